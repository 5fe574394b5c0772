"""The program that two simulations run."""

from benchmarks.lock_program import TASKS, TURNS, cpu_ms, ours, program
from csisim.sim.run import simulate


def test_every_task_has_held_a_lock_as_often_as_it_was_to() -> None:
    assert simulate(program).result == TASKS * TURNS


def test_the_time_of_one_schedule_is_the_best_rounds() -> None:
    seeds: list[int] = []
    assert cpu_ms(seeds.append, 2) >= 0.0
    assert seeds == [*range(40), *range(40)]
    ours(3)
