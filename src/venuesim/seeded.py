"""Random numbers that depend on a seed and on what they are for, and on nothing else."""

from hashlib import sha256
from random import Random
from typing import TypeAlias

Dice: TypeAlias = Random


def dice(seed: int, *purpose: object) -> Dice:
    """Return a generator of its own for a purpose: what one draws moves no other."""
    text = "|".join(map(str, (seed, *purpose)))
    return Random(int.from_bytes(sha256(text.encode()).digest()[:8]))
