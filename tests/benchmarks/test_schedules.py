"""The work whose speed is measured."""

from dataclasses import replace

from benchmarks.schedules import (
    KINDS,
    LARGE,
    SMALL,
    run_simulated,
    seams_real,
    seams_simulated,
    stack_real,
    stack_simulated,
)

LITTLE = replace(SMALL, clients=2, operations=3)


def test_a_schedule_takes_the_same_steps_each_time_and_others_for_another_seed() -> None:
    for schedule in (stack_simulated, run_simulated):
        steps = [schedule(LITTLE, seed) for seed in (1, 1, 2)]
        assert steps[0] == steps[1] > 50
        assert steps[2] != steps[0]


def test_a_larger_schedule_takes_more_of_them() -> None:
    assert stack_simulated(SMALL, 1) > stack_simulated(LITTLE, 1)


def test_without_driver_and_nas_it_takes_fewer() -> None:
    assert 50 < seams_simulated(LITTLE, 1) == seams_simulated(LITTLE, 1) < stack_simulated(LITTLE, 1)
    assert seams_real(LITTLE, 1) == 0


def test_the_stack_also_runs_on_sockets() -> None:
    assert stack_real(LITTLE, 1) == 0


def test_the_bars_are_those_that_are_claimed() -> None:
    assert [(size.name, size.bar_per_s) for size in (SMALL, LARGE)] == [("3 x 5", 500.0), ("8 x 20", 50.0)]
    assert list(KINDS) == ["seams", "stack", "run"]
