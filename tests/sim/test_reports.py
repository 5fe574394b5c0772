import asyncio

from csisim.sim.loop import SimLoop
from csisim.sim.reports import waiting
from csisim.sim.run import simulate


def test_each_task_is_reported_with_its_stack_and_what_it_waits_on() -> None:
    async def program() -> str:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        event, free = asyncio.Event(), asyncio.Condition()

        async def outer() -> None:
            await inner()

        async def inner() -> None:
            await event.wait()

        async def condition() -> None:
            async with free:
                await free.wait()

        tasks = [
            asyncio.create_task(outer(), name="outer"),
            asyncio.create_task(condition(), name="condition"),
            asyncio.create_task(asyncio.wait_for(loop.create_future(), None), name="future"),
        ]
        await asyncio.sleep(1)
        tasks.append(asyncio.create_task(asyncio.sleep(0), name="new"))
        text = waiting(reversed([task for task in loop.live_tasks() if task.get_name() != "main"]))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return text

    text = simulate(program).result
    assert text is not None
    outer, condition, future, new = (
        text.split("\ncondition:")[0],
        *[text.split(f"{name}:\n")[1] for name in ("condition", "future", "new")],
    )
    assert outer.startswith("outer:\n  test_reports.py:")
    assert outer.index("outer\n") < outer.index("inner\n") < outer.index("Event.wait\n")
    assert outer.endswith("waits for an asyncio.Event")
    assert "waits for an asyncio.Condition, which is free" in condition
    assert "waits for a future that nobody completes" in future
    assert new.endswith("waits for its turn")
    assert "0x" not in text
