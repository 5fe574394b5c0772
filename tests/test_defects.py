"""Defects of the README's table that show only across modules: what a call costs, what is dropped, what overlaps.

Cost is counted where it arises, in calls to the NAS and in rows that it answers, never in time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from fake_truenas.errors import CallError
from tests.support.rig import GIB, Rig, capability, create, running

Act = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


@dataclass
class Tap:
    """Sits between driver and NAS: counts what passes, and lets `acts` stand in for methods."""

    methods: list[str] = field(default_factory=list)
    rows: int = 0
    acts: dict[str, Act] = field(default_factory=dict)

    async def __call__(self, call: Any, proceed: Callable[[], Awaitable[Any]]) -> Any:
        self.methods.append(call.method)
        act = self.acts.get(call.method)
        result = await (act(proceed) if act else proceed())
        self.rows += len(result) if isinstance(result, list) else 1
        return result


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(tmp_path / "csi.sock") as made:
        await made.rpc(create("first"))
        yield made


async def cost(rig: Rig, request: Any) -> tuple[list[str], int]:
    """Methods that the call makes the driver use, sorted, and rows that come back."""
    rig.nas.intercept = tap = Tap()
    await rig.rpc(request)
    rig.nas.intercept = None
    return sorted(tap.methods), tap.rows


def tapped(rig: Rig, **acts: Act) -> Tap:
    """A tap that stands in for methods, given with `__` for `.`."""
    rig.nas.intercept = tap = Tap()
    tap.acts = {name.replace("__", "."): act for name, act in acts.items()}
    return tap


async def refuse(_proceed: Callable[[], Awaitable[Any]]) -> Any:
    raise CallError("the disk is on fire")


def snapshot(name: str) -> csi.CreateSnapshotRequest:
    return csi.CreateSnapshotRequest(name=name, source_volume_id="first")


@pytest.mark.parametrize(
    "request_",
    [
        csi.GetSnapshotRequest(snapshot_id="first@s-0"),
        csi.ListSnapshotsRequest(snapshot_id="first@s-0"),
        csi.ListSnapshotsRequest(max_entries=2),
        snapshot("s-0"),
    ],
    ids=["get", "list-one", "list-page", "create-again"],
)
async def test_cost_of_finding_a_snapshot_does_not_depend_on_their_number(rig: Rig, request_: Any) -> None:
    for number in range(5):
        await rig.rpc(snapshot(f"s-{number}"))
    few = await cost(rig, request_)
    for number in range(5, 40):
        await rig.rpc(snapshot(f"s-{number}"))
    assert await cost(rig, request_) == few


@pytest.mark.parametrize(
    "request_",
    [
        create("first"),
        create("first", "nfs", 2),
        csi.ControllerGetVolumeRequest(volume_id="first"),
        csi.ListVolumesRequest(max_entries=1),
        csi.ListVolumesRequest(max_entries=1, starting_token="v.first"),
        csi.ControllerModifyVolumeRequest(volume_id="first", mutable_parameters={"sync": "always"}),
        csi.ControllerExpandVolumeRequest(volume_id="first", capacity_range=csi.CapacityRange(required_bytes=GIB)),
    ],
    ids=["create-again", "create-same-size", "get", "first-page", "next-page", "modify", "expand"],
)
async def test_cost_of_a_call_does_not_depend_on_the_number_of_volumes_and_shares(rig: Rig, request_: Any) -> None:
    for number in range(3):
        await rig.rpc(create(f"pvc-{number}"))
    await cost(rig, request_)  # a change is made once
    few = await cost(rig, request_)
    for number in range(3, 30):
        await rig.rpc(create(f"pvc-{number}"))
    assert await cost(rig, request_) == few


async def test_settings_in_force_already_are_not_sent_again(rig: Rig) -> None:
    modify = csi.ControllerModifyVolumeRequest(volume_id="first", mutable_parameters={"compression": "zstd"})
    publish = csi.ControllerPublishVolumeRequest(volume_id="first", node_id="node-1", volume_capability=capability())
    for request in (modify, publish):
        methods, _ = await cost(rig, request)
        assert methods.count("pool.dataset.update") == 1
    for repeated in (modify, publish, create("first")):
        methods, _ = await cost(rig, repeated)
        assert "pool.dataset.update" not in methods


@pytest.mark.parametrize(
    "request_",
    [
        csi.ControllerModifyVolumeRequest(volume_id="first", mutable_parameters={"compression": "zstd"}),
        csi.ControllerPublishVolumeRequest(volume_id="first", node_id="node-1", volume_capability=capability()),
        csi.ControllerExpandVolumeRequest(volume_id="first", capacity_range=csi.CapacityRange(required_bytes=3 * GIB)),
    ],
    ids=["modify", "publish", "expand"],
)
async def test_a_property_that_cannot_be_set_fails_the_call(rig: Rig, request_: Any) -> None:
    tapped(rig, pool__dataset__update=refuse)
    assert await rig.rpc.code(request_) is StatusCode.INTERNAL
    rig.nas.intercept = None
    assert await rig.rpc.code(request_) is StatusCode.OK


async def test_the_error_of_a_parallel_step_fails_the_call_and_stops_the_other_steps(rig: Rig) -> None:
    """Extent and target are made side by side. The extent is refused while the target's step is under way."""
    extent_refused, portal_asked = asyncio.Event(), asyncio.Event()

    async def refuse_once_the_other_is_on_its_way(_proceed: Callable[[], Awaitable[Any]]) -> Any:
        await portal_asked.wait()
        extent_refused.set()
        raise CallError("the disk is on fire")

    async def answer_after_the_refusal(proceed: Callable[[], Awaitable[Any]]) -> Any:
        portal_asked.set()
        await extent_refused.wait()
        return await proceed()

    acts = {
        "iscsi__extent__create": refuse_once_the_other_is_on_its_way,
        "iscsi__portal__query": answer_after_the_refusal,
    }
    tap = tapped(rig, **acts)
    assert await rig.rpc.code(create("second", "iscsi")) is StatusCode.INTERNAL
    # A round trip behind everything that might still be on its way.
    await rig.rpc(csi.ControllerGetVolumeRequest(volume_id="first"))
    assert "iscsi.target.create" not in tap.methods
    rig.nas.intercept = None
    assert (await rig.rpc(create("second", "iscsi"))).volume.volume_id == "second"


async def test_expansion_holds_the_operation_lock(rig: Rig) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def hold(proceed: Callable[[], Awaitable[Any]]) -> Any:
        entered.set()
        await leave.wait()
        return await proceed()

    tapped(rig, pool__dataset__update=hold)
    wanted = csi.CapacityRange(required_bytes=4 * GIB)
    running_call = rig.rpc.begin(csi.ControllerExpandVolumeRequest(volume_id="first", capacity_range=wanted))
    async with asyncio.timeout(30):
        await entered.wait()
    for other in (
        csi.ControllerExpandVolumeRequest(volume_id="first", capacity_range=wanted),
        csi.DeleteVolumeRequest(volume_id="first"),
        create("first"),
    ):
        assert await rig.rpc.code(other) is StatusCode.ABORTED
    leave.set()
    assert (await running_call).capacity_bytes == 4 * GIB
