"""Known bugs are hunted: how many schedules, and how much time, until the check that must find one does."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Final

from csisim.executors import Workplace
from csisim.explore import work
from csisim.explore.code import version
from csisim.explore.hunted import PATIENT, REAL, Effort, Hunted
from csisim.explore.mix import Mix
from csisim.explore.records import Shrunk
from csisim.explore.shrink import Bounds
from csisim.mutants.mutant import Mutant

CAMPAIGNS: Final = 20
CAP: Final = 10_000
AGAINST: Final[Mapping[str, Mapping[str, Any]]] = {
    "fifo": {"strategy": "fifo"}, REAL: {"real": True}, PATIENT: {"real": True, "patient": True},
}  # fmt: skip
"""Other ways to search, by name: members of all plans. The same workloads, sizes, faults and checks, and

* fifo: no strategy but first in, first out, with random latencies;
* real: on real sockets by the real clock, where nothing decides about the order: a stress test, in haste;
* patient: the same, waiting as long as Kubernetes does, and as the simulated runs do in virtual time."""

_PIECE: Final = 50
_REAL_PIECE: Final = 4

Told = Callable[[int, int], None]
"""Told after each piece of work how many campaigns are over, and how many runs there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How it is hunted.

    Attributes:
        campaigns: how many searches.
        cap: how many schedules each may take.
        members: of all plans, instead of being drawn; workload, say.
        shrink: of each hit that is brought down; None: none is.
        shrunk: how many are, the smallest first.
        against: other ways to search, by name, see `AGAINST`.
        against_s: how long all campaigns of another way may take together: processor time, or by the clock for those
            on real sockets.
        first: the first seed.
    """

    campaigns: int = CAMPAIGNS
    cap: int = CAP
    members: Mapping[str, Any] = field(default_factory=dict)
    shrink: Bounds | None = field(default_factory=lambda: Bounds(cpu_s=30.0))
    shrunk: int = 3
    against: tuple[str, ...] = ()
    against_s: float = 40.0
    first: int = 0

    def mixes(self, mutant: Mutant) -> dict[str, Mix]:
        """What the runs are like: "" for the simulation, and by name for the other ways.

        Raises:
            ValueError: there is no such other way, or a member is no part of a plan.
        """
        members = {**self.members, "mutant": mutant.name}
        return {name: Mix({**members, **_other(name)}) for name in ("", *self.against)}


def hunt(mutant: Mutant, place: Workplace, terms: Terms, told: Told | None = None) -> Hunted:
    """Search for a mutant in independent campaigns, none of which has a seed of another one.

    Args:
        mutant: what is hunted; the first of its checks that fires is a hit.
        place: where the runs are made.
        terms: how.
        told: how it goes on.

    Raises:
        ValueError: there is no such other way, or a member is no part of a plan.
        Exception: what a worker raised, see `csisim.explore.campaign.campaign`.
    """
    mixes = terms.mixes(mutant)
    own = _Hunt(mixes.pop(""), mutant.oracle, terms)
    own.search(place, told)
    shrunk = _shrunk(own.hits, place, terms)
    done = [(each.replay, each.signature) for each in own.hits]
    done += [(each.replay, each.signature) for each in shrunk]
    again = [place.executor.submit(work.fails_so, *each) for each in done]
    reproduced = sum(future.result() for future in again)
    against: dict[str, Effort] = {}
    for name, mix in mixes.items():
        other = _Hunt(mix, mutant.oracle, terms, terms.against_s)
        other.search(place, told)
        against[name] = other.effort
    return Hunted(
        name=mutant.name, origin=mutant.origin, race=mutant.race, effort=own.effort, shrunk=shrunk,
        replays=len(again), reproduced=reproduced, against=against,
    )  # fmt: skip


def _other(name: str) -> Mapping[str, Any]:
    if not name:
        return {}
    if name not in AGAINST:
        raise ValueError(f"{name[:80]!r} is no other way to search: there are {', '.join(AGAINST)}")
    return AGAINST[name]


@dataclass(slots=True)
class _Campaign:
    """One search: the seeds from `start` on, until the first hit or `cap` of them."""

    start: int
    cap: int
    runs: int = 0
    hit: work.Hit | None = None

    @property
    def over(self) -> bool:
        return self.hit is not None or self.runs >= self.cap

    def piece(self, most: int) -> tuple[int, int]:
        """The next seeds."""
        first = self.start + self.runs
        return first, min(first + most, self.start + self.cap)


class _Hunt:
    """All campaigns of one kind.

    Args:
        mix: what the runs are like.
        oracle: names of the checks.
        terms: how many campaigns, and how long each.
        limit_s: how long all of them together; no new piece is begun after that.
    """

    def __init__(self, mix: Mix, oracle: tuple[str, ...], terms: Terms, limit_s: float | None = None) -> None:
        self.real = bool(mix.fixed.get("real"))
        self._piece = _PIECE if not self.real else 1 if mix.fixed.get("patient") else _REAL_PIECE
        self._mix = mix.to_json()
        self._oracle = oracle
        self._limit_ms = None if limit_s is None else 1000 * limit_s
        self._searches = [_Campaign(terms.first + each * terms.cap, terms.cap) for each in range(terms.campaigns)]
        self._cpu_ms = 0.0
        self._wall_ms = 0.0

    @property
    def hits(self) -> list[work.Hit]:
        """Of all campaigns, in their order."""
        return [each.hit for each in self._searches if each.hit is not None]

    @property
    def effort(self) -> Effort:
        """What it took."""
        return Effort(
            campaigns=len(self._searches), schedules=tuple(each.runs for each in self._searches if each.hit),
            runs=sum(each.runs for each in self._searches), cpu_ms=self._cpu_ms, wall_ms=self._wall_ms,
        )  # fmt: skip

    @property
    def _spent(self) -> bool:
        return self._limit_ms is not None and (self._wall_ms if self.real else self._cpu_ms) >= self._limit_ms

    def search(self, place: Workplace, told: Told | None) -> None:
        """One piece of each campaign at a time, as many at once as there are workers."""
        waiting = list(reversed(self._searches))
        pending: dict[Future[work.Search], _Campaign] = {}
        try:
            while pending or (waiting and not self._spent):
                while waiting and not self._spent and len(pending) <= place.workers:
                    search = waiting.pop()
                    pending[self._submit(place, search)] = search
                for future in wait(pending, None, FIRST_COMPLETED).done:
                    search = pending.pop(future)
                    self._add(search, future.result())
                    if not search.over:
                        waiting.append(search)
                    if told is not None:
                        told(sum(each.over for each in self._searches), sum(each.runs for each in self._searches))
        finally:
            for future in pending:
                future.cancel()

    def _submit(self, place: Workplace, search: _Campaign) -> "Future[work.Search]":
        return place.executor.submit(work.first_hit, self._mix, self._oracle, *search.piece(self._piece), version())

    def _add(self, search: _Campaign, found: work.Search) -> None:
        search.runs += found.runs
        search.hit = found.hit
        self._cpu_ms += found.cpu_ms
        self._wall_ms += found.wall_ms


def _shrunk(hits: Sequence[work.Hit], place: Workplace, terms: Terms) -> tuple[Shrunk, ...]:
    """The smallest hits, brought down: those that need fewest steps out of order and have fewest operations."""
    bounds = terms.shrink
    if bounds is None:
        return ()
    smallest = sorted(hits, key=lambda hit: (hit.deviations, hit.operations, hit.seed))[: terms.shrunk]
    orders = [(hit.replay, hit.signature, bounds.runs, bounds.cpu_s) for hit in smallest]
    futures = [place.executor.submit(work.shrink_failure, *order, loosely=True) for order in orders]
    return tuple(found for future in futures if (found := future.result()) is not None)
