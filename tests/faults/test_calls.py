"""The running code knows the CSI call that it belongs to."""

import asyncio

import pytest

from csisim.faults.calls import CallInfo, current_call, serving


@pytest.mark.parametrize(
    ("method", "phase"), [("CreateVolume", "create"), ("NodeStageVolume", "stage"), ("NodeGetVolumeStats", "use")]
)
def test_a_method_belongs_to_a_phase_of_a_volumes_life(method: str, phase: str) -> None:
    assert CallInfo("c1", method).phase == phase


async def test_tasks_started_inside_belong_to_the_call_and_others_do_not() -> None:
    call = CallInfo("c1", "NodeStageVolume", vol="pvc-1")

    async def look() -> CallInfo | None:
        return current_call()

    with serving(call):
        inside = asyncio.create_task(look())
        assert current_call() is call
    assert current_call() is None
    assert await inside is call
    assert await asyncio.create_task(look()) is None
