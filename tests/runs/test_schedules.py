"""Strategies by name."""

import pytest

from csisim.runs.schedules import STRATEGIES, strategy
from csisim.sim.strategies import Fifo, Pct, Pos, RandomWalk, Replay, Stalls
from csisim.sim.streams import Streams
from csisim.sim.tape import Tape


def test_each_name_is_a_strategy():
    kinds = {"fifo": Fifo, "walk": RandomWalk, "pct": Pct, "pct:1": Pct, "pct:100": Pct, "pos": Pos, "stalls": Stalls}
    assert {name: type(strategy(name)(Streams(1))) for name in kinds} == kinds
    drawn = {type(strategy("portfolio")(Streams(seed))) for seed in range(60)}
    assert drawn == {Fifo, RandomWalk, Pct, Pos, Stalls}
    assert set(STRATEGIES) <= {*kinds, "portfolio"}


def test_a_tape_takes_the_place_of_the_strategy():
    assert type(strategy("pos", Tape({3: 1}).dump())(Streams(1))) is Replay


@pytest.mark.parametrize("name", ["", "PCT", "pct:", "pct:0", "pct:101", "pct:x", "pct:²", "pos:2", "a" * 200])
def test_what_is_none_is_refused_with_those_there_are(name):
    with pytest.raises(ValueError, match=r"is no strategy: there are portfolio, fifo, walk, pct, pos, stalls"):
        strategy(name)
