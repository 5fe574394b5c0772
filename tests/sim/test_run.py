import asyncio
from contextlib import suppress

import pytest

from csisim.sim.errors import Deadlock
from csisim.sim.run import simulate


async def forever(log: list[str], name: str) -> None:
    try:
        await asyncio.sleep(1e9)
    finally:
        log.append(name)


def test_what_is_left_behind_is_named_and_cancelled_in_the_order_of_its_creation() -> None:
    log: list[str] = []
    kept: list[object] = []

    async def program() -> str:
        kept.extend(asyncio.create_task(forever(log, name), name=name) for name in ("b", "a", "c"))
        await asyncio.sleep(0)
        return "done"

    outcome = simulate(program)
    assert outcome.result == "done"
    assert outcome.error is None
    assert outcome.leaked == ("b", "a", "c")
    assert log == ["b", "a", "c"]


def test_what_was_left_to_a_timer_comes_and_its_error_is_heard() -> None:
    heard: list[object] = []

    async def program(delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: heard.append(context["exception"]))
        loop.call_later(delay_s, [].pop)

    soon, late = simulate(lambda: program(0.01)), simulate(lambda: program(10.0))
    assert [type(each) for each in heard] == [IndexError]
    assert soon.trace_hash == late.trace_hash  # what comes after the end is no part of the run
    assert soon.virtual_s == 0.0


def test_the_error_of_the_program_is_in_the_outcome() -> None:
    async def program() -> None:
        await asyncio.sleep(2)
        raise KeyError("volume")

    outcome = simulate(program)
    assert isinstance(outcome.error, KeyError)
    assert outcome.virtual_s == 2.0
    assert outcome.result is None


def test_a_task_that_does_not_end_though_it_is_cancelled_is_told() -> None:
    async def stubborn() -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async def program() -> object:
        task = asyncio.create_task(stubborn(), name="stubborn")
        await asyncio.sleep(0)
        return task

    outcome = simulate(program)
    assert isinstance(outcome.error, Deadlock)
    assert "tasks that were cancelled do not end" in str(outcome.error)
    assert "stubborn" in str(outcome.error)
    task = outcome.result
    assert isinstance(task, asyncio.Task)
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    task.get_coro().close()  # type: ignore[union-attr]


def test_interrupting_the_run_passes_through() -> None:
    async def program() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(program)
