"""Seeded chance, split by purpose: what one draws moves no other."""

from venuesim.seeded import Dice, dice


class Chance:
    """Generators by what they are for, each made at its first use."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._made: dict[str, Dice] = {}

    def of(self, purpose: str) -> Dice:
        found = self._made.get(purpose)
        if found is None:
            found = self._made[purpose] = dice(self.seed, purpose)
        return found
