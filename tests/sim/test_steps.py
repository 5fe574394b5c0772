import asyncio
import functools

from csisim.sim.run import simulate
from csisim.sim.steps import SimFuture, SimTask, name_of, task_of


def test_tasks_and_futures_hash_by_the_number_of_their_creation() -> None:
    async def program() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        task = asyncio.create_task(asyncio.sleep(0))
        assert isinstance(future, SimFuture)
        assert isinstance(task, SimTask)
        assert hash(future) == future.seq
        assert hash(task) == task.seq == future.seq + 1
        assert task.get_name() == f"task {task.seq}"
        assert task != future
        await task

    assert simulate(program).error is None


def test_a_step_of_a_task_is_told_from_other_calls() -> None:
    async def program() -> list[tuple[str, bool]]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        task = loop.create_task(asyncio.sleep(0))
        seen = [(type(step).__name__, step.task is task) for step in loop._ready]  # type: ignore[attr-defined]
        others = [loop.call_soon(task.cancelling), loop.call_soon(task.cancel), loop.call_soon(future.set_result, 1)]
        seen.extend((type(other).__name__, other.task is None) for other in others)  # type: ignore[attr-defined]
        await asyncio.wait([task])
        return seen

    assert simulate(program).result == [("Step", True)] * 4
    assert task_of(print) is None


def test_a_wake_up_is_a_step_of_the_task_that_waited() -> None:
    async def program() -> bool:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        async def wait() -> None:
            await future

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        future.set_result(None)
        (step,) = loop._ready  # type: ignore[attr-defined]
        await task
        return step.task is task

    assert simulate(program).result is True


def test_names_of_callbacks_have_no_addresses() -> None:
    class Callable:
        def __call__(self) -> None: ...

    assert name_of(print) == "print"
    assert name_of(functools.partial(asyncio.Event.set)) == "Event.set"
    assert name_of(Callable()).endswith("Callable")
