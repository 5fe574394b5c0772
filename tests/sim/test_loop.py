import asyncio
import gc
from typing import Any

import pytest

from csisim.sim.errors import Deadlock, EscapedSimulation, Livelock
from csisim.sim.loop import SimLoop
from csisim.sim.run import simulate


def test_time_is_virtual_and_jumps_to_the_next_timer() -> None:
    async def program() -> list[float]:
        loop = asyncio.get_running_loop()
        seen = [loop.time()]
        await asyncio.sleep(3600)
        seen.append(loop.time())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.25):
                await asyncio.Event().wait()
        seen.append(loop.time())
        await asyncio.sleep(0)
        seen.append(loop.time())
        return seen

    assert simulate(program).result == [0.0, 3600.0, 3600.25, 3600.25]


def test_timers_of_one_moment_come_in_the_order_in_which_they_were_made() -> None:
    async def program() -> list[int]:
        loop = asyncio.get_running_loop()
        log: list[int] = []
        for number in range(50):
            loop.call_at(1.0, log.append, number)
        loop.call_at(0.5, log.append, -1)
        await asyncio.sleep(2)
        return log

    assert simulate(program).result == [-1, *range(50)]


def test_a_timer_that_is_due_runs_though_something_is_always_ready() -> None:
    async def program() -> int:
        due = asyncio.Event()
        asyncio.get_running_loop().call_later(0, due.set)
        turns = 0
        while not due.is_set():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert simulate(program).result in {1, 2}


def test_cancelled_timers_do_not_pile_up() -> None:
    async def program() -> int:
        loop = asyncio.get_running_loop()
        for _ in range(5000):
            loop.call_later(1000, print).cancel()
        await asyncio.sleep(1)
        return len(loop._scheduled)  # type: ignore[attr-defined]

    assert (simulate(program).result or 0) < 300


def test_it_runs_as_asyncio_does_first_in_first_out() -> None:
    async def program() -> list[str]:
        log: list[str] = []

        async def worker(name: str) -> None:
            for turn in range(3):
                log.append(f"{name}{turn}")
                await asyncio.sleep(0)
            await asyncio.sleep(0.01 if name == "a" else 0.005)
            log.append(name)

        await asyncio.gather(*(worker(name) for name in "abc"))
        return log

    assert simulate(program).result == asyncio.run(program())


def test_a_deadlock_is_reported_with_stacks_and_what_they_wait_on() -> None:
    async def program() -> None:
        first, second = asyncio.Lock(), asyncio.Lock()

        async def holds(mine: asyncio.Lock, other: asyncio.Lock) -> None:
            async with mine:
                await asyncio.sleep(1)
                await inner(other)

        async def inner(other: asyncio.Lock) -> None:
            async with other:
                pass

        async def waits(task: Any) -> None:
            await task

        async with asyncio.TaskGroup() as group:
            one = group.create_task(holds(first, second), name="one")
            group.create_task(holds(second, first), name="two")
            group.create_task(waits(one), name="three")
            group.create_task(asyncio.Queue[int]().get(), name="four")

    reports = []
    for _ in range(2):
        outcome = simulate(program)
        assert isinstance(outcome.error, Deadlock)
        reports.append(str(outcome.error))
        assert outcome.leaked == ("one", "two", "three", "four")
    text = reports[0]
    assert reports[0] == reports[1]
    assert text.startswith("nothing can run any more at 1.000000 s:\nmain:\n")
    assert "holds\n" in text
    assert "inner\n" in text
    assert "locks.py" in text
    assert text.count("waits for an asyncio.Lock, which is held") == 2
    assert "three:\n" in text
    assert "waits for the task one" in text
    assert "waits for an asyncio.Queue" in text
    assert "0x" not in text


def test_a_livelock_is_reported_with_its_last_steps() -> None:
    async def program() -> None:
        async def spin() -> None:
            while True:
                await asyncio.sleep(0)

        await asyncio.sleep(0.5)
        try:
            await asyncio.create_task(spin(), name="spinner")
        finally:
            ended.append("main")

    ended: list[str] = []
    outcome = simulate(program, steps_per_instant=500)
    assert isinstance(outcome.error, Livelock)
    assert "500 steps have run at 0.500000 s" in str(outcome.error)
    assert "spinner" in str(outcome.error)
    assert outcome.virtual_s == 0.5
    assert ended == ["main"]  # nobody's step is lost: also the one that was too many


def test_steps_at_many_moments_are_no_livelock() -> None:
    async def program() -> None:
        for _ in range(2000):
            await asyncio.sleep(0.001)

    assert simulate(program, steps_per_instant=50).error is None


def test_a_run_with_asyncio_runner_is_a_run() -> None:
    async def program() -> float:
        await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=lambda: SimLoop(1)) as runner:
        assert runner.run(program()) == 1.0
        assert runner.run(program()) == 2.0


def test_a_loop_that_was_stopped_before_runs_what_is_ready() -> None:
    loop = SimLoop()
    log: list[int] = []
    loop.call_soon(log.append, 1)
    loop.stop()
    loop.run_forever()
    assert log == [1]
    loop.close()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(log.append, 2)
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1, log.append, 2)


def test_close_finalizes_what_the_run_left() -> None:
    closed: list[str] = []

    class Resource:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            closed.append("resource")

    async def program() -> None:
        Resource()

    gc.collect()
    simulate(program)
    assert closed == ["resource"]


def test_another_thread_may_not_call_into_the_loop() -> None:
    import threading

    loop = SimLoop()
    errors: list[BaseException] = []

    async def program() -> None:
        for _ in range(1000):
            await asyncio.sleep(1)

    def call() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except EscapedSimulation as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert "another thread calls print" in str(errors[0])
    with pytest.raises(EscapedSimulation, match="another thread"):
        loop.run_until_complete(program())
    loop.settle()
    for task in loop.live_tasks():
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    loop.close()
