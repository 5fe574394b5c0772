import asyncio

from csisim.sim.lanes import LANE, SUBJECT, lane, subject
from csisim.sim.run import simulate


def test_child_tasks_and_timers_inherit_lane_and_subject() -> None:
    async def program() -> list[tuple[str | None, str | None]]:
        seen: list[tuple[str | None, str | None]] = []

        def look() -> None:
            seen.append((LANE.get(), SUBJECT.get()))

        async def child() -> None:
            look()

        with lane("CreateVolume 1"), subject("pvc-1"):
            asyncio.get_running_loop().call_later(0.1, look)
            task = asyncio.create_task(child())
        look()
        await task
        await asyncio.sleep(1)
        return seen

    assert simulate(program).result == [(None, None), ("CreateVolume 1", "pvc-1"), ("CreateVolume 1", "pvc-1")]
