"""Exhaustion: every schedule within its bounds once, none beyond them, counted another way as well."""

import asyncio
from collections.abc import Iterator

import pytest

from csisim.sim.errors import Diverged
from csisim.sim.exhaustive import Exhaustion
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

    return list(Exhaustion(run, deviations=deviations)), results


def every_schedule(program: object, picks: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """All of them, with however many deviations: each pick that comes up is made in every way, from the first on."""
    outcome = simulate(program, strategy=replay(Tape(dict(enumerate(picks)))))  # type: ignore[arg-type]
    if len(outcome.choices) == len(picks):
        yield picks
        return
    for pick in range(outcome.choices[len(picks)]):
        yield from every_schedule(program, (*picks, pick))


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


async def three_writers() -> None:
    async def write(steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for steps in (1, 0, 1):
            group.create_task(write(steps))


def test_there_are_as_many_schedules_as_a_count_of_all_of_them_leaves_within_the_bound() -> None:
    everything = list(every_schedule(three_writers))
    for deviations in range(4):
        within = {
            tuple((at, pick) for at, pick in enumerate(picks) if pick)
            for picks in everything
            if sum(map(bool, picks)) <= deviations
        }
        assert len(within) > deviations * 5
        tapes = explore(three_writers, deviations)[0]
        assert {tuple(tape.picks.items()) for tape in tapes} == within
        assert len(tapes) == len(within)


def test_how_many_there_are_at_least_is_known_before_they_ran_and_exact_in_the_end() -> None:
    space = Exhaustion(lambda tape: simulate(three_writers, strategy=replay(tape)).choices, deviations=2)
    seen = [(space.ran, space.known, space.finished) for _ in space]
    total = len(seen)
    first = simulate(three_writers).choices
    assert seen[0] == (1, 1 + sum(first) - len(first), False)
    assert [known for _, known, _ in seen] == sorted(known for _, known, _ in seen)
    assert [finished for *_, finished in seen] == [False] * (total - 1) + [True]
    assert (space.ran, space.known) == (total, total)


def test_a_program_that_does_not_repeat_is_an_error_and_no_proof() -> None:
    runs = iter([(2, 2, 2), (2, 2, 2), (3, 2, 2)])
    with pytest.raises(Diverged, match=r"picks.*\[1,1\]"):
        list(Exhaustion(lambda _: next(runs), deviations=1))


def test_less_than_no_deviation_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 deviations"):
        Exhaustion(lambda _: (), deviations=-1)
