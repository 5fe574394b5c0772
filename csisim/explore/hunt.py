"""Known bugs are hunted: how many schedules, and how much time, until the check that must find one does."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Final

from csisim.executors import Workplace
from csisim.explore import work
from csisim.explore.code import version
from csisim.explore.mix import Mix
from csisim.explore.records import Shrunk
from csisim.explore.shrink import Bounds
from csisim.explore.statistics import mean, wilson
from csisim.mutants.mutant import Mutant
from csisim.runs.replay import parse_token

CAMPAIGNS: Final = 20
CAP: Final = 10_000
REPLAYS: Final = 5
_PIECE: Final = 50
_TRIED: Final = 6
_FEW: Final = 3


@dataclass(slots=True)
class _Campaign:
    """One search: the seeds from `start` on, until the first hit or `cap` of them."""

    start: int
    cap: int
    runs: int = 0
    cpu_ms: float = 0.0
    wall_ms: float = 0.0
    hit: work.Hit | None = None

    @property
    def over(self) -> bool:
        return self.hit is not None or self.runs >= self.cap

    def piece(self) -> tuple[int, int]:
        """The next seeds."""
        first = self.start + self.runs
        return first, min(first + _PIECE, self.start + self.cap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunted:
    """What a hunt came to.

    Attributes:
        name, origin: of the mutant.
        campaigns: how many searches there were.
        hits: in how many of them it was found, within the cap.
        schedules, cpu_ms, wall_ms: of those, one value each, until the first hit.
        runs: of all of them.
        shrunk: one hit, brought down to what decides it; None where nothing was hit or shrinking was not wanted.
        replays: how often the smallest run was done again, in processes of any age.
        reproduced: how often it was the same.
    """

    name: str
    origin: str
    campaigns: int
    hits: int
    schedules: tuple[int, ...]
    cpu_ms: tuple[float, ...]
    wall_ms: tuple[float, ...]
    runs: int
    shrunk: Shrunk | None
    replays: int
    reproduced: int

    @property
    def found(self) -> bool:
        """In every campaign."""
        return self.hits == self.campaigns

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not known is null."""
        low, high = wilson(self.hits, self.runs)
        return {
            "name": self.name,
            "origin": self.origin,
            "found": self.found,
            "campaigns": self.campaigns,
            "hits": self.hits,
            "schedules_mean": _rounded(mean(list(self.schedules))),
            "schedules_max": max(self.schedules, default=None),
            "cpu_ms_mean": _rounded(mean(list(self.cpu_ms))),
            "wall_ms_mean": _rounded(mean(list(self.wall_ms))),
            "runs": self.runs,
            "hit_rate": round(self.hits / self.runs, 6) if self.runs else 0.0,
            "hit_rate_low": round(low, 6),
            "hit_rate_high": round(high, 6),
            "deviations": None if self.shrunk is None else self.shrunk.deviations,
            "operations": None if self.shrunk is None else self.shrunk.operations,
            "rules": None if self.shrunk is None else self.shrunk.rules,
            "replayed": self.reproduced / self.replays if self.replays else None,
            "replay": "" if self.shrunk is None else self.shrunk.replay,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How it is hunted.

    Attributes:
        campaigns: how many searches.
        cap: how many schedules each may take.
        members: of all plans, instead of the mutant's own: strategy, say, or real.
        shrink: bring one hit down; None: no.
        replays: how often that is done again.
        first: the first seed.
    """

    campaigns: int = CAMPAIGNS
    cap: int = CAP
    members: dict[str, Any] = field(default_factory=dict)
    shrink: Bounds | None = field(default_factory=Bounds)
    replays: int = REPLAYS
    first: int = 0


def hunt(mutant: Mutant, place: Workplace, terms: Terms, told: Callable[[int, int], None] | None = None) -> Hunted:
    """Search for a mutant in independent campaigns, none of which has a seed of another one.

    Args:
        mutant: what is hunted; the first of its checks that fires is a hit.
        place: where the runs are made.
        terms: how.
        told: after each piece of work, how many campaigns are over, and how many runs there were.

    Raises:
        Exception: what a worker raised, see `csisim.explore.campaign.campaign`.
    """
    mix = Mix({**mutant.plan, **terms.members, "mutant": mutant.name})
    searches = [_Campaign(terms.first + number * terms.cap, terms.cap) for number in range(terms.campaigns)]
    _search(searches, mix, mutant.oracle, place, told)
    hits = [each for each in searches if each.hit is not None]
    shrunk = _shrunk(hits, place, terms) if terms.shrink is not None and not mix.fixed.get("real") else None
    reproduced = 0
    if shrunk is not None:
        again = [place.executor.submit(work.fails_so, shrunk.replay, shrunk.signature) for _ in range(terms.replays)]
        reproduced = sum(future.result() for future in again)
    return Hunted(
        name=mutant.name, origin=mutant.origin, campaigns=terms.campaigns, hits=len(hits),
        schedules=tuple(each.runs for each in hits), cpu_ms=tuple(each.cpu_ms for each in hits),
        wall_ms=tuple(each.wall_ms for each in hits), runs=sum(each.runs for each in searches), shrunk=shrunk,
        replays=terms.replays if shrunk is not None else 0, reproduced=reproduced,
    )  # fmt: skip


def _search(
    searches: Sequence[_Campaign],
    mix: Mix,
    oracle: tuple[str, ...],
    place: Workplace,
    told: Callable[[int, int], None] | None,
) -> None:
    """One piece of each campaign at a time, as many at once as there are workers."""
    waiting = list(reversed(searches))
    pending: dict[Future[work.Search], _Campaign] = {}
    try:
        while waiting or pending:
            while waiting and len(pending) <= place.workers:
                search = waiting.pop()
                task = place.executor.submit(work.first_hit, mix.to_json(), oracle, *search.piece(), version())
                pending[task] = search
            for future in wait(pending, None, FIRST_COMPLETED).done:
                search, found = pending.pop(future), future.result()
                search.runs += found.runs
                search.cpu_ms += found.cpu_ms
                search.wall_ms += found.wall_ms
                search.hit = found.hit
                if not search.over:
                    waiting.append(search)
                if told is not None:
                    told(sum(each.over for each in searches), sum(each.runs for each in searches))
    finally:
        for future in pending:
            future.cancel()


def _shrunk(hits: Sequence[_Campaign], place: Workplace, terms: Terms) -> Shrunk | None:
    """Of the smallest hits the first that can be brought down to few deviations, else the one with the fewest."""
    assert terms.shrink is not None  # noqa: S101 - asked before
    best: Shrunk | None = None
    for hit in sorted((each.hit for each in hits if each.hit is not None), key=_size)[:_TRIED]:
        order = (hit.replay, hit.signature, terms.shrink.runs, terms.shrink.cpu_s)
        found = place.executor.submit(work.shrink_failure, *order).result()
        if found is not None and (best is None or found.deviations < best.deviations):
            best = found
        if best is not None and best.deviations <= _FEW:
            break
    return best


def _size(hit: work.Hit) -> tuple[int, int]:
    plan = parse_token(hit.replay).plan
    return plan.clients * plan.operations, hit.seed


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
