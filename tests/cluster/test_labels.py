"""Whose work the steps of a simulated cluster are: from the caller through the driver to the NAS."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from csisim.cluster.labels import LabelledIds, subject_of
from csisim.cluster.nas_trace import FIRST_ID
from csisim.cluster.simulated import SimulatedSurroundings
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from csisim.sim.lanes import LANE, SUBJECT, lane, subject
from csisim.sim.run import simulate
from tests.cluster.test_simulated_faults import NODE
from tests.features.world import CAPABILITY, World, create, world

Seen = list[tuple[str, Any, str | None, str | None]]


def watched(w: World) -> Seen:
    """Method, first parameter, lane and subject of each call that the NAS applies from now on."""
    nas, seen = w.cluster.nas, Seen()
    assert nas is not None
    inner = nas.apply

    async def apply(session: Any, name: str, params: list[Any], request_id: Any = None) -> Any:
        seen.append((name, params[0] if params else None, LANE.get(), SUBJECT.get()))
        await asyncio.sleep(0.1)  # so that calls overlap
        return await inner(session, name, params, request_id)

    nas.apply = apply  # type: ignore[method-assign]
    return seen


def simulated(program: Callable[[World], Awaitable[None]]) -> None:
    async def whole() -> None:
        surroundings = SimulatedSurroundings()
        async with world(NODE, surroundings=surroundings) as w:
            await program(w)

    outcome = simulate(whole, seed=1)
    if outcome.error is not None:
        raise outcome.error


async def created(w: World, number: int) -> None:
    with lane(f"call {number}"):
        await w.first.retried(w.first.controller.CreateVolume, create(f"v{number}"))


def test_the_nas_works_for_the_call_that_asked_also_after_crashes() -> None:
    async def program(w: World) -> None:
        for start, what in ((0, ""), (3, "driver"), (6, "nas")):
            if what:
                await w.cluster.crash(what)
            seen = watched(w)
            await asyncio.gather(*(created(w, number) for number in range(start, start + 3)))
            made = {params["name"]: labels for method, params, *labels in seen if method == "pool.dataset.create"}
            assert made == {
                f"tank/csi/v{number}": [f"call {number}", f"v{number}"] for number in range(start, start + 3)
            }

    simulated(program)


def test_a_caller_without_a_lane_gets_one_and_a_node_touches_its_volume() -> None:
    async def program(w: World) -> None:
        staged = await w.staged("pvc-1", "iscsi")
        seen = watched(w)
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        assert seen
        assert {each[3] for each in seen} == {"pvc-1"}
        lanes = {each[2] for each in seen}
        assert len(lanes) == 1
        assert str(lanes.pop()).startswith("NodeStageVolume ")

    simulated(program)


def test_a_stream_is_labelled_too() -> None:
    async def program(w: World) -> None:
        request = create("v", "iscsi")
        request.volume_capabilities[0].CopyFrom(
            csi.VolumeCapability(access_mode=CAPABILITY.access_mode, block=csi.VolumeCapability.BlockVolume())
        )
        await w.first.retried(w.first.controller.CreateVolume, request)
        cut = csi.CreateSnapshotRequest(source_volume_id="v", name="s")
        snapshot = (await w.first.retried(w.first.controller.CreateSnapshot, cut)).snapshot
        seen = watched(w)
        with lane("walk"):
            stub = csi_pb2_grpc.SnapshotMetadataStub(w.first.channel)
            request = csi.GetMetadataAllocatedRequest(snapshot_id=snapshot.snapshot_id)
            assert [list(part.block_metadata) async for part in stub.GetMetadataAllocated(request)] in ([], [[]])
        assert seen
        assert {each[2:] for each in seen} == {("walk", "v")}

    simulated(program)


@pytest.mark.parametrize(
    ("method", "request_", "found"),
    [
        ("CreateVolume", csi.CreateVolumeRequest(name="pvc-1"), "pvc-1"),
        ("DeleteVolume", csi.DeleteVolumeRequest(volume_id="pvc-1"), "pvc-1"),
        ("CreateSnapshot", csi.CreateSnapshotRequest(source_volume_id="pvc-1", name="s"), "pvc-1"),
        ("DeleteSnapshot", csi.DeleteSnapshotRequest(snapshot_id="pvc-1@s"), "pvc-1"),
        ("NodePublishVolume", csi.NodePublishVolumeRequest(volume_id="pvc-1"), "pvc-1"),
        ("ListVolumes", csi.ListVolumesRequest(), None),
        ("GetPluginInfo", csi.GetPluginInfoRequest(), None),
    ],
)
def test_a_call_touches_the_volume_that_it_names(method: str, request_: Any, found: str | None) -> None:
    assert subject_of(method, request_) == found


def test_the_name_of_a_new_volume_is_the_subject_that_its_id_will_be() -> None:
    name = "Not plain!"
    found = subject_of("CreateVolume", csi.CreateVolumeRequest(name=name))
    assert found not in {None, name}
    assert subject_of("DeleteVolume", csi.DeleteVolumeRequest(volume_id=str(found))) == found


def test_numbers_remember_and_forget() -> None:
    ids = LabelledIds()
    with lane("a"), subject("v"):
        number = ids.take()
    assert number == FIRST_ID
    assert ids.labels(number) == ("a", "v")
    assert ids.labels(number) == ids.labels("7") == ids.labels(None) == (None, None)
    with lane("lost"):
        lost = [ids.take() for _ in range(2000)]
    assert ids.labels(lost[0]) == (None, None)  # what never arrives does not stay for ever
    assert ids.labels(lost[-1]) == ("lost", None)
