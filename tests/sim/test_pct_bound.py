"""PCT finds a bug of depth d among n lanes and k picks with a chance of at least 1/(n k^(d-1)): counted, not believed.

Of each program it is known which orders are its bug and how deep it is: so many constraints hold it up that each but
the first needs a change of priorities at one certain pick.
"""

import asyncio
from dataclasses import dataclass

import pytest

from csisim.explore.statistics import wilson
from csisim.sim.lanes import lane
from csisim.sim.run import simulate
from csisim.sim.strategies import Choose, Pct
from csisim.sim.streams import Streams


@dataclass(frozen=True, slots=True)
class Chains:
    """Lanes that take steps, each of which is a letter of the order in which they come.

    Attributes:
        lengths: how many steps each lane has, by its letter.
        bug: what the order is when the lanes of no other letters are left out of it.
        depth: how many ordering constraints the bug consists of.
        runs: enough of them to tell the chance that is promised from half of it.
    """

    lengths: dict[str, int]
    bug: str
    depth: int
    runs: int

    @property
    def picks(self) -> int:
        """How many steps there are: as many picks can be contested, and more cannot."""
        return sum(self.lengths.values())

    @property
    def bound(self) -> float:
        """The chance that is promised."""
        return 1 / (len(self.lengths) * float(self.picks) ** (self.depth - 1))

    def strategy(self, depth: int) -> Choose:
        """PCT as it is meant to be used on this program."""
        return lambda streams: Pct(streams, depth=depth, picks=self.picks)

    async def run(self) -> str:
        """The order of the letters that matter. Nothing but the steps of the lanes is ever ready beside another one."""
        order: list[str] = []
        left = len(self.lengths)
        ended = asyncio.get_running_loop().create_future()

        async def chain(name: str, steps: int) -> None:
            nonlocal left
            for step in range(steps):
                order.append(name)
                if step < steps - 1:
                    await asyncio.sleep(0)
            left -= 1
            if not left:
                ended.set_result(None)

        tasks = []
        for name, steps in self.lengths.items():
            with lane(name):
                tasks.append(asyncio.create_task(chain(name, steps)))
        await ended
        return "".join(name for name in order if name in self.bug)

    def hit_rate(self, strategy: Choose) -> tuple[float, float]:
        """In how many of the runs the bug shows: the lower and upper limit of the 95 % interval of the share."""
        outcomes = (simulate(self.run, seed=seed, strategy=strategy) for seed in range(self.runs))
        return wilson(sum(outcome.result == self.bug for outcome in outcomes), self.runs)


# One constraint: the last of b before the first of a, although a comes first.
INVERTED = Chains({"a": 3, "b": 3, "c": 2, "d": 2}, "bbbaaa", 1, 100)
# Two: all of b between the first and the second step of a, wherever the others are.
WINDOW = Chains({"a": 4, "b": 2, "c": 1, "d": 1}, "abbaaa", 2, 500)
# Three: both in turn.
IN_TURN = Chains({"a": 2, "b": 2, "c": 1, "d": 1}, "abab", 3, 1000)
PROGRAMS = pytest.mark.parametrize("program", [INVERTED, WINDOW, IN_TURN], ids=["depth 1", "depth 2", "depth 3"])


@PROGRAMS
def test_a_bug_of_known_depth_is_found_at_least_as_often_as_promised(program: Chains) -> None:
    lower, _ = program.hit_rate(program.strategy(program.depth))
    assert lower >= program.bound


@PROGRAMS
def test_no_more_picks_are_contested_than_the_bound_counts(program: Chains) -> None:
    choices = {len(simulate(program.run, seed=seed, strategy=program.strategy(3)).choices) for seed in range(20)}
    assert max(choices) < program.picks


@pytest.mark.parametrize("program", [WINDOW, IN_TURN], ids=["depth 2", "depth 3"])
def test_the_depth_is_what_it_is_said_to_be(program: Chains) -> None:
    lower, upper = program.hit_rate(program.strategy(program.depth - 1))
    assert lower == 0
    assert upper < program.bound


class NoChanges(Pct):
    """Its change points are gone."""

    def __init__(self, streams: Streams, *, depth: int, picks: int) -> None:
        super().__init__(streams, depth=depth, picks=picks)
        self._changes = {}


class LateChanges(Pct):
    """Its change points come where the program is over for the most part."""

    def __init__(self, streams: Streams, *, depth: int, picks: int) -> None:
        super().__init__(streams, depth=depth, picks=8 * picks)


class OneOrder(Pct):
    """Its priorities are those in which the lanes came."""

    def _priority(self, candidate: object) -> float:
        key = self._key(candidate)  # type: ignore[arg-type]
        return self._priorities.setdefault(key, 1 / (1 + len(self._priorities)))


@pytest.mark.parametrize(
    ("program", "wrong"),
    [(INVERTED, OneOrder), (WINDOW, NoChanges), (WINDOW, LateChanges)],
    ids=["one order", "no changes", "late changes"],
)
def test_a_strategy_that_is_wrong_does_not_keep_the_bound(program: Chains, wrong: type[Pct]) -> None:
    _, upper = program.hit_rate(lambda streams: wrong(streams, depth=program.depth, picks=program.picks))
    assert upper < program.bound
