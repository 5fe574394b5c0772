"""Who runs next: the ways to choose among steps that are ready. No single one finds every bug.

| strategy | finds | misses |
|---|---|---|
| Fifo, with random latency below it | windows within one instant | orders that need many odd choices in a row |
| RandomWalk | the same, and short odd orders | long ones: each further choice halves the chance |
| Pct | long odd orders | windows within one instant |
| Pos | a little of both | |
| Stalls over any of them | a ready task that is overtaken by time, which nothing else reaches | |
"""

import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias

from csisim.sim.steps import Candidate
from csisim.sim.streams import Streams
from csisim.sim.tape import Tape

_CHANGES_WITHIN = 400
_MONOPOLY_PICKS = 200
_SHORTEST_STALL_S = 1e-4
_LONGEST_STALL_S = 10.0


class Strategy(Protocol):
    """Chooses; numbers count the decisions of its kind from 0.

    Attributes:
        is_fifo: `pick` always gives 0, and is not asked.
        stalls: whether `stall_s` is asked.
    """

    is_fifo: bool
    stalls: bool

    def pick(self, number: int, candidates: Sequence[Candidate]) -> int:
        """The index of the one that runs, of at least two; the oldest is 0."""

    def stall_s(self, number: int, step: Candidate) -> float:
        """For how many virtual seconds this step of a task is kept from running; 0 for not at all."""


Choose: TypeAlias = Callable[[Streams], Strategy]


class Fifo:
    """As asyncio does it: whoever was ready first."""

    is_fifo = True
    stalls = False

    def __init__(self, streams: Streams | None = None) -> None:
        self.streams = streams

    def pick(self, number: int, candidates: Sequence[Candidate]) -> int:  # noqa: ARG002 - see Strategy
        """The oldest."""
        return 0

    def stall_s(self, number: int, step: Candidate) -> float:  # noqa: ARG002 - see Strategy
        """Never."""
        return 0.0


class RandomWalk(Fifo):
    """Each with the same chance."""

    is_fifo = False

    def __init__(self, streams: Streams) -> None:
        super().__init__(streams)
        self._rng = streams.stream("sched")

    def pick(self, number: int, candidates: Sequence[Candidate]) -> int:  # noqa: ARG002 - see Strategy
        """Any."""
        return int(self._rng.random() * len(candidates))


class Pct(Fifo):
    """Probabilistic concurrency testing (Burckhardt et al., 2010), by lane.

    Each lane has a random priority, and the highest that is ready runs; at `depth` - 1 random picks the lane that would
    run falls below all others. A bug that needs `depth` orderings among n lanes is found with a chance of at least
    1 / (n * picks ** (depth - 1)). Steps without a lane count by task, and callbacks as a lane of their own. A lane
    that is alone in running for long falls too: a loop that polls would starve what it polls for.

    Args:
        streams: of the run.
        depth: how many orderings the bug may need.
        picks: within how many contested picks the changes fall.
        by_task: take tasks for lanes.
    """

    is_fifo = False

    def __init__(
        self, streams: Streams, *, depth: int = 3, picks: int = _CHANGES_WITHIN, by_task: bool = False
    ) -> None:
        super().__init__(streams)
        if depth < 1 or picks < 1:
            raise ValueError(f"PCT wants a depth and a number of picks of at least 1, not {depth} and {picks}")
        self._rng = streams.stream("sched")
        # The highest of the low priorities goes to the first change.
        self._changes = {self._rng.randrange(picks): -change for change in range(1, depth)}
        self._by_task = by_task
        self._priorities: dict[str | int, float] = {}
        self._lowest = float(-depth)
        self._last: str | int | None = None
        self._in_a_row = 0

    def pick(self, number: int, candidates: Sequence[Candidate]) -> int:
        """The one whose lane has the highest priority."""
        best = self._best(candidates)
        key = self._key(candidates[best])
        self._in_a_row = self._in_a_row + 1 if key == self._last else 0
        self._last = key
        change = self._changes.get(number)
        if change is not None:
            self._priorities[key] = change
        elif self._in_a_row >= _MONOPOLY_PICKS:
            self._lowest -= 1
            self._in_a_row = 0
            self._priorities[key] = self._lowest
        else:
            return best
        return self._best(candidates)

    def _best(self, candidates: Sequence[Candidate]) -> int:
        best, highest = 0, float("-inf")
        for index, candidate in enumerate(candidates):
            priority = self._priority(candidate)
            if priority > highest:
                best, highest = index, priority
        return best

    def _priority(self, candidate: Candidate) -> float:
        key = self._key(candidate)
        found = self._priorities.get(key)
        if found is None:
            found = self._priorities[key] = self._rng.random()
        return found

    def _key(self, candidate: Candidate) -> str | int:
        if candidate.task is None:
            return -1
        if candidate.lane is None or self._by_task:
            return candidate.task.seq
        return candidate.lane


class Pos(Fifo):
    """Partial order sampling (Yuan et al., 2018): each step has a random priority, and the highest that is ready runs.

    Steps that race with the one that ran, those of its subject, get new priorities.
    """

    is_fifo = False

    def __init__(self, streams: Streams) -> None:
        super().__init__(streams)
        self._rng = streams.stream("sched")

    def pick(self, number: int, candidates: Sequence[Candidate]) -> int:  # noqa: ARG002 - see Strategy
        """The one with the highest priority."""
        best, highest = 0, -1.0
        for index, candidate in enumerate(candidates):
            if candidate.priority is None:
                candidate.priority = self._rng.random()
            if candidate.priority > highest:
                best, highest = index, candidate.priority
        touched = candidates[best].subject
        if touched is not None:
            for candidate in candidates:
                if candidate.subject == touched:
                    candidate.priority = None
        return best


class Stalls:
    """Any strategy, and some steps of tasks are kept from running for a while, as on a machine that is too busy.

    Args:
        streams: of the run.
        base: chooses among those that are not stalled.
        share: of the steps, between 0 and 1.
        longest_s: a stall takes between a tenth of a millisecond and this long, short ones as often as long ones; where
            steps are not to be put off for so long (`csisim.sim.lanes.prompt`), as long as they may be.
    """

    stalls = True

    def __init__(
        self, streams: Streams, *, base: Choose = Fifo, share: float = 0.1, longest_s: float = _LONGEST_STALL_S
    ) -> None:
        if not 0 < share < 1 or longest_s < _SHORTEST_STALL_S:
            raise ValueError(f"stalls want a share between 0 and 1 and at least 0.0001 s, not {share} and {longest_s}")
        self._base = base(streams)
        self.is_fifo = self._base.is_fifo
        self._rng = streams.stream("stall")
        self._share = share
        self._ratio = longest_s / _SHORTEST_STALL_S

    def pick(self, number: int, candidates: Sequence[Candidate]) -> int:
        """As the strategy below."""
        return self._base.pick(number, candidates)

    def stall_s(self, number: int, step: Candidate) -> float:  # noqa: ARG002 - see Strategy
        """Rarely more than 0."""
        if self._rng.random() >= self._share:
            return 0.0
        return min(_SHORTEST_STALL_S * float(self._ratio ** self._rng.random()), step.longest_stall_s)


class Replay:
    """What a tape says; FIFO where it says nothing.

    Args:
        streams: of the run.
        tape: what it does.
        deviates: called before each step that is not what FIFO would do.
    """

    def __init__(self, streams: Streams | None, *, tape: Tape, deviates: Callable[[], object] | None = None) -> None:
        self.streams = streams
        self._tape = tape
        self._deviates = deviates or (lambda: None)
        self.is_fifo = not tape.picks
        self.stalls = bool(tape.stalls)

    def pick(self, number: int, candidates: Sequence[Candidate]) -> int:
        """As it was; the newest, where there were more to choose from."""
        chosen = self._tape.picks.get(number, 0)
        if chosen:
            self._deviates()
        return min(chosen, len(candidates) - 1)

    def stall_s(self, number: int, step: Candidate) -> float:  # noqa: ARG002 - see Strategy
        """As it was."""
        delay_s = self._tape.stalls.get(number, 0.0)
        if delay_s:
            self._deviates()
        return delay_s


def replay(tape: Tape, deviates: Callable[[], object] | None = None) -> Choose:
    """The strategy that does what the tape says; see `Replay`."""
    return lambda streams: Replay(streams, tape=tape, deviates=deviates)


def pct(depth: int, *, picks: int = _CHANGES_WITHIN) -> Choose:
    """PCT of a depth."""
    return lambda streams: Pct(streams, depth=depth, picks=picks)


def stalls(share: float = 0.1, *, base: Choose = Fifo, longest_s: float = _LONGEST_STALL_S) -> Choose:
    """Stalls over another strategy."""
    return lambda streams: Stalls(streams, base=base, share=share, longest_s=longest_s)


_PCT_DEPTHS: Final = (1, 2, 2, 3)


def portfolio(streams: Streams) -> Strategy:
    """A strategy drawn by the seed: 30 % FIFO, 20 % walk, 20 % PCT, 15 % POS, 15 % FIFO with stalls."""
    draw: random.Random = streams.stream("portfolio")
    chance = draw.random()
    if chance < 0.30:
        return Fifo(streams)
    if chance < 0.50:
        return RandomWalk(streams)
    if chance < 0.70:
        return Pct(streams, depth=draw.choice(_PCT_DEPTHS))
    return Pos(streams) if chance < 0.85 else Stalls(streams)
