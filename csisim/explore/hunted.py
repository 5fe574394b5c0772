"""What a hunt came to: how long it takes until a known bug is found, by simulation and by what it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from csisim.explore.records import Shrunk
from csisim.explore.statistics import wilson

REAL: Final = "real"
PATIENT: Final = "patient"
BY_CLOCK: Final = frozenset({REAL, PATIENT})
"""The other ways that have no virtual time: their time to a bug is that of the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What some independent campaigns took.

    Attributes:
        campaigns: how many searches there were.
        schedules: of those that had a hit, how many runs until then.
        runs: of all of them.
        cpu_ms, wall_ms: of all runs: processor time, and time by the clock.
    """

    campaigns: int
    schedules: tuple[int, ...]
    runs: int
    cpu_ms: float
    wall_ms: float

    @property
    def hits(self) -> int:
        """In how many of the campaigns it was found."""
        return len(self.schedules)

    @property
    def found(self) -> bool:
        """In every campaign."""
        return self.hits == self.campaigns

    def each(self, amount: float) -> float | None:
        """So much for one hit: the mean of the campaigns where each had one, else what is to be expected."""
        return round(amount / self.hits, 3) if self.hits else None

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not known is null."""
        low, high = wilson(self.hits, self.runs)
        return {
            "found": self.found,
            "campaigns": self.campaigns,
            "hits": self.hits,
            "schedules_mean": self.each(self.runs),
            "schedules_max": max(self.schedules, default=None),
            "cpu_ms_mean": self.each(self.cpu_ms),
            "wall_ms_mean": self.each(self.wall_ms),
            "runs": self.runs,
            "cpu_ms": round(self.cpu_ms, 1),
            "wall_ms": round(self.wall_ms, 1),
            "hit_rate": round(self.hits / self.runs, 6) if self.runs else 0.0,
            "hit_rate_low": round(low, 6),
            "hit_rate_high": round(high, 6),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunted:
    """A mutant that was hunted.

    Attributes:
        name, origin: of the mutant.
        race: see `csisim.mutants.mutant.Mutant`.
        effort: until it was found.
        shrunk: the smallest hits, brought down to what decides them; none where that was not wanted.
        replays: how many runs were done again, in processes of any age: every hit, and all that were brought down.
        reproduced: how many of them were the same.
        against: what the other ways took, by name.
    """

    name: str
    origin: str
    race: bool
    effort: Effort
    shrunk: tuple[Shrunk, ...] = ()
    replays: int = 0
    reproduced: int = 0
    against: Mapping[str, Effort] = field(default_factory=dict)

    @property
    def smallest(self) -> Shrunk | None:
        """Of what was brought down, the one with the fewest steps out of order and operations."""
        return min(self.shrunk, key=lambda each: (each.deviations, each.operations), default=None)

    def times_longer(self, other: str) -> float | None:
        """How much longer another way takes until it finds it; where it never did, it takes longer than that.

        Processor time of the simulation; of the other way the same, or by the clock where it runs by that. None where
        the simulation has not found it, or where nothing else was tried.
        """
        own_ms, effort = self.effort.each(self.effort.cpu_ms), self.against.get(other)
        if not own_ms or effort is None or not effort.runs:
            return None
        spent_ms = effort.wall_ms if other in BY_CLOCK else effort.cpu_ms
        return round(spent_ms / max(1, effort.hits) / own_ms, 2)

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not known is null."""
        smallest = self.smallest
        return {
            "name": self.name,
            "origin": self.origin,
            "race": self.race,
            **self.effort.to_json(),
            "deviations": max((each.deviations for each in self.shrunk), default=None),
            "shrunk": len(self.shrunk),
            "operations": None if smallest is None else smallest.operations,
            "rules": None if smallest is None else smallest.rules,
            "replays": self.replays,
            "replayed": self.reproduced / self.replays if self.replays else None,
            "replay": "" if smallest is None else smallest.replay,
            "against": {
                name: {**effort.to_json(), "times_longer": self.times_longer(name)}
                for name, effort in self.against.items()
            },
        }
