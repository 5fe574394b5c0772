"""Patience by either clock."""

from dataclasses import fields

from csisim.runs.pace import REAL, SIMULATED


def test_by_the_real_clock_everything_is_shorter():
    for each in fields(REAL):
        assert getattr(REAL, each.name) < getattr(SIMULATED, each.name), each.name


def test_a_run_may_take_as_long_as_its_phases():
    assert SIMULATED.whole_s > SIMULATED.safety_s + SIMULATED.heal_s + SIMULATED.liveness_s + SIMULATED.heal_s
    assert REAL.whole_s < 600
