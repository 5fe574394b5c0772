"""How the simulation is measured."""

import sys

import pytest

from benchmarks import pure_loop, simulation
from benchmarks.schedules import SMALL, Size
from benchmarks.simulation import (
    SIMLOOM_PYTHON,
    SimulationPlan,
    SimulationResult,
    measure_locks,
    measure_simulation,
)
from benchmarks.statistics import Spread

PLAN = SimulationPlan(sizes=(SMALL,), rounds=2, simulated_s=0.001, real=3, lock_rounds=1)


def test_both_sides_get_their_turns_with_seeds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated: list[int] = []
    real: list[int] = []

    def in_simulation(_size: Size, seed: int) -> int:
        simulated.append(seed)
        pure_loop.seconds()
        return 7

    def on_sockets(_size: Size, seed: int) -> int:
        real.append(seed)
        return 0

    monkeypatch.setattr(simulation, "KINDS", {"made up": (in_simulation, on_sockets)})
    (result,) = measure_simulation(PLAN).results
    assert real == [0, 0, 1, 2, 3, 4, 5]
    turns = [[seed for seed in simulated[1:] if seed // 10_000 == turn] for turn in range(2)]
    assert turns == [[*range(len(turns[0]))], [*range(10_000, 10_000 + len(turns[1]))]]
    assert all(turns)
    assert result.steps_per_s.median == pytest.approx(7 * result.per_s.median)
    assert 0 < result.cpu_ratio.median < 1
    assert result.kind == "made up"


@pytest.mark.parametrize(("scaled", "ratio", "kept"), [(500.0, 5.0, True), (499.0, 4.9, False)])
def test_the_bars_are_for_the_medians(scaled: float, ratio: float, kept: bool) -> None:
    low = Spread(1.0, 1.0, 1.0)
    result = SimulationResult("stack", SMALL, low, Spread(scaled, 1.0, 900.0), low, Spread(ratio, 1.0, 9.0))
    assert (result.is_fast, result.is_cheap) == (kept, kept)


def test_without_simloom_the_result_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIMLOOM_PYTHON, sys.executable)
    found = measure_locks(1)
    if not found.ms:  # it wants a later Python than the oldest that this project runs on
        assert "simloom" in found.why_not
        assert SIMLOOM_PYTHON in found.why_not
