"""Which crash struck in the midst of which fault at which venue; an empty cell is a gap."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self, TypeAlias

from judge.evidence import Evidence

Cell: TypeAlias = tuple[str, str, str]  # crash point, fault kind, venue


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The matrix crash point x fault kind x venue: what must be hit, and how often what was."""

    cells: tuple[Cell, ...] = ()
    hits: Mapping[Cell, int] = field(default_factory=dict)

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        hits: Counter[Cell] = Counter()
        for each in evidence.diary:
            if each.kind == "crash" and each.fields.get("fault"):
                fields = each.fields
                hits[str(fields["point"]), str(fields["fault"]), str(fields["venue"])] += 1
        cells = [
            (point, kind, venue)
            for venue in sorted({owned.venue for owned in evidence.owned})
            for point in evidence.crash_points
            for kind in evidence.fault_kinds
        ]
        return cls(cells=tuple(cells), hits=dict(hits))

    @classmethod
    def merged(cls, every: Iterable["Coverage"]) -> Self:
        cells: dict[Cell, None] = {}
        hits: Counter[Cell] = Counter()
        for one in every:
            cells |= dict.fromkeys(one.cells)
            hits.update(one.hits)
        return cls(cells=tuple(cells), hits=dict(hits))

    @property
    def points(self) -> list[str]:
        return list(dict.fromkeys(point for point, _, _ in self.cells))

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(kind for _, kind, _ in self.cells))

    @property
    def venues(self) -> list[str]:
        return list(dict.fromkeys(venue for _, _, venue in self.cells))

    @property
    def empty(self) -> list[Cell]:
        return [cell for cell in self.cells if not self.hits.get(cell)]

    @property
    def is_full(self) -> bool:
        return not self.empty

    @property
    def fewest(self) -> int:
        """Return how often the cell was hit that was hit least."""
        return min((self.hits.get(cell, 0) for cell in self.cells), default=0)

    @property
    def total(self) -> int:
        return sum(self.hits.values())
