import asyncio

from csisim.sim.exhaustive import exhaust
from csisim.sim.run import simulate
from csisim.sim.strategies import replay
from csisim.sim.tape import Tape
from tests.sim.programs import is_found, lost_wake_up


async def two_writers() -> str:
    log = ""

    async def write(name: str) -> None:
        nonlocal log
        log += name
        await asyncio.sleep(0)
        log += name

    async with asyncio.TaskGroup() as group:
        group.create_task(write("a"))
        group.create_task(write("b"))
    return log


def explore(program: object, deviations: int) -> tuple[list[Tape], list[str | None]]:
    results: list[str | None] = []

    def run(tape: Tape) -> tuple[int, ...]:
        outcome = simulate(program, strategy=replay(tape))  # type: ignore[arg-type]
        results.append("found" if is_found(outcome) else outcome.result)
        return outcome.choices

    return list(exhaust(run, deviations=deviations)), results


def test_without_deviations_there_is_one_schedule() -> None:
    tapes, results = explore(two_writers, 0)
    assert tapes == [Tape()]
    assert results == ["abab"]


def test_every_order_of_a_small_program_comes_up_and_none_that_cannot_be() -> None:
    tapes, results = explore(two_writers, 3)
    assert set(results) == {"abab", "abba", "baab", "baba", "aabb", "bbaa"}
    assert len({tape.dump() for tape in tapes}) == len(tapes)
    assert [len(tape) for tape in tapes] == sorted(len(tape) for tape in tapes)


def test_a_bug_that_needs_one_deviation_is_proved_absent_without_and_found_with_it() -> None:
    assert "found" not in explore(lost_wake_up(3), 0)[1]
    needed = next(number for number in range(1, 6) if "found" in explore(lost_wake_up(3), number)[1])
    assert needed <= 3
