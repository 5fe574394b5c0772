"""Delete, expand, modify and list: what is refused leaves the volume untouched."""

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as pb
from fake_truenas.errors import CallError
from tests.support.rig import GIB, capability, create, from_snapshot, from_volume

PROTOCOLS = ("nfs", "iscsi", "nvmeof")


def expand(volume_id, required=0, limit=0):
    span = pb.CapacityRange(required_bytes=required, limit_bytes=limit)
    return pb.ControllerExpandVolumeRequest(volume_id=volume_id, capacity_range=span)


def modify(volume_id, **parameters):
    return pb.ControllerModifyVolumeRequest(volume_id=volume_id, mutable_parameters=parameters)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_delete_leaves_nothing_and_may_be_repeated(rig, protocol):
    await rig.rpc(create("pvc-1", protocol))
    for _ in range(2):
        await rig.rpc(pb.DeleteVolumeRequest(volume_id="pvc-1"))

    assert await rig.leftovers() == []


async def test_deleting_an_nfs_volume_takes_two_calls_to_the_nas(rig):
    await rig.rpc(create("pvc-1"))
    rig.methods()
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="pvc-1"))

    assert rig.methods() == ["pool.dataset.query", "pool.dataset.delete"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_volume_with_snapshots_is_not_deleted_and_stays_reachable(rig, protocol):
    await rig.rpc(create("pvc-1", protocol))
    await rig.rpc(pb.CreateSnapshotRequest(name="s", source_volume_id="pvc-1"))
    before = await rig.leftovers()

    assert await rig.rpc.code(pb.DeleteVolumeRequest(volume_id="pvc-1")) is StatusCode.FAILED_PRECONDITION
    assert await rig.leftovers() == before


async def test_half_deleted_is_deleted_by_the_repeat(rig):
    await rig.rpc(create("pvc-1", "iscsi"))

    async def cut(call, _proceed):
        call.connection.abort()

    rig.on_call("pool.dataset.delete", cut)
    assert await rig.rpc.code(pb.DeleteVolumeRequest(volume_id="pvc-1")) is StatusCode.UNAVAILABLE
    assert await rig.leftovers() == ["tank/csi/pvc-1"]

    await rig.rpc(pb.DeleteVolumeRequest(volume_id="pvc-1"))
    assert await rig.leftovers() == []


@pytest.mark.parametrize("volume_id", ["fake-vol-id", "no/such", "x" * 128, "a@b"])
async def test_deleting_what_is_not_ours_is_fine(rig, volume_id):
    assert await rig.rpc.code(pb.DeleteVolumeRequest(volume_id=volume_id)) is StatusCode.OK


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_expanding_changes_what_the_nas_and_every_answer_say(rig, protocol):
    await rig.rpc(create("pvc-1", protocol))
    grown = await rig.rpc(expand("pvc-1", 5 * GIB))
    again = await rig.rpc(expand("pvc-1", 5 * GIB))
    smaller = await rig.rpc(expand("pvc-1", 1 * GIB))

    assert grown.capacity_bytes == again.capacity_bytes == smaller.capacity_bytes == 5 * GIB
    assert grown.node_expansion_required is (protocol != "nfs")
    row = (await rig.ask("pool.dataset.query", [["id", "=", "tank/csi/pvc-1"]], {}))[0]
    assert row["refquota" if protocol == "nfs" else "volsize"]["parsed"] == 5 * GIB
    assert (await rig.rpc(pb.ControllerGetVolumeRequest(volume_id="pvc-1"))).volume.capacity_bytes == 5 * GIB


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (expand("pvc-1", 5 << 60), StatusCode.OUT_OF_RANGE),
        (expand("pvc-1", 0, GIB), StatusCode.OUT_OF_RANGE),
        (expand("pvc-1", 900 << 40), StatusCode.RESOURCE_EXHAUSTED),
        (expand("none", 5 * GIB), StatusCode.NOT_FOUND),
        (expand("no/such", 5 * GIB), StatusCode.NOT_FOUND),
        (expand("", 5 * GIB), StatusCode.INVALID_ARGUMENT),
        (expand("pvc-1"), StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_cannot_be_expanded(rig, request_, code):
    await rig.rpc(create("pvc-1"))

    assert await rig.rpc.code(request_) is code
    assert (await rig.rpc(pb.ControllerGetVolumeRequest(volume_id="pvc-1"))).volume.capacity_bytes == 2 * GIB


async def test_expanding_with_a_capability_that_does_not_fit_is_invalid(rig):
    await rig.rpc(create("pvc-1"))
    request = expand("pvc-1", 5 * GIB)
    request.volume_capability.CopyFrom(capability(block=True))

    assert await rig.rpc.code(request) is StatusCode.INVALID_ARGUMENT


async def test_modify_sends_only_what_differs(rig):
    await rig.rpc(create("pvc-1", mutable_parameters={"compression": "zstd"}))
    rig.methods()
    await rig.rpc(modify("pvc-1", compression="ZSTD"))
    assert rig.methods() == ["pool.dataset.query"]

    await rig.rpc(modify("pvc-1", compression="zstd", sync="disabled"))
    method, params = rig.calls[-1]
    assert (method, params[1]) == ("pool.dataset.update", {"sync": "DISABLED"})


async def test_modify_with_one_bad_key_changes_nothing(rig):
    await rig.rpc(create("pvc-1"))

    assert await rig.rpc.code(modify("pvc-1", sync="always", nonsense="x")) is StatusCode.INVALID_ARGUMENT
    row = (await rig.ask("pool.dataset.query", [["id", "=", "tank/csi/pvc-1"]], {}))[0]
    assert row["sync"]["value"] == "STANDARD"


async def test_a_walk_by_pages_sees_every_volume_once_while_others_come_and_go(rig):
    for number in range(7):
        await rig.rpc(create(f"pvc-{number}"))
    seen, token = [], ""
    while True:
        page = await rig.rpc(pb.ListVolumesRequest(max_entries=2, starting_token=token))
        seen += [entry.volume.volume_id for entry in page.entries]
        token = page.next_token
        if not token:
            break
        if len(seen) == 2:
            await rig.rpc(pb.DeleteVolumeRequest(volume_id="pvc-1"))
            await rig.rpc(create("another"))

    assert seen == [f"pvc-{number}" for number in range(7)]


async def test_a_page_costs_the_same_number_of_calls_wherever_it_begins(rig):
    for number in range(6):
        await rig.rpc(create(f"pvc-{number}"))
    rig.methods()
    await rig.rpc(pb.ListVolumesRequest(max_entries=2))
    first = rig.methods()
    await rig.rpc(pb.ListVolumesRequest(max_entries=2, starting_token="v.pvc-3"))

    assert first == rig.methods() == ["pool.dataset.query"]


async def test_releasing_clones_keeps_the_content_of_all_of_them(rig):
    await rig.rpc(create("a", "iscsi"))
    for name in ("b", "c"):
        await rig.rpc(create(name, "iscsi", volume_content_source=from_volume("a")))
    await rig.rpc(pb.CreateSnapshotRequest(name="s", source_volume_id="c"))
    await rig.rpc(create("d", "iscsi", volume_content_source=from_snapshot("c@s")))
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="a"))

    left = sorted(entry.volume.volume_id for entry in (await rig.rpc(pb.ListVolumesRequest())).entries)
    assert left == ["b", "c", "d"]
    for name in ("d", "b"):
        await rig.rpc(pb.DeleteVolumeRequest(volume_id=name))
    await rig.rpc(pb.DeleteSnapshotRequest(snapshot_id="c@s"))
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="c"))
    assert await rig.leftovers() == []


async def test_a_clone_that_vanishes_while_its_source_is_deleted_is_looked_at_again(rig):
    await rig.rpc(create("a"))
    for name in ("b", "c"):
        await rig.rpc(create(name, volume_content_source=from_volume("a")))

    async def vanish(_call, proceed):
        answer = await proceed()
        await rig.client.call("pool.dataset.delete", "tank/csi/c", {})
        return answer

    rig.on_call("pool.snapshot.query", vanish)
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="a"))

    await rig.rpc(pb.DeleteVolumeRequest(volume_id="b"))
    assert await rig.leftovers() == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_volume_that_the_nas_does_not_let_go_stays_reachable(rig, protocol):
    await rig.rpc(create("v", protocol))

    async def busy(_call, _proceed):
        raise CallError("Failed to delete dataset: cannot destroy 'tank/csi/v': dataset is busy", 16)

    rig.on_call("pool.dataset.delete", busy)
    assert await rig.rpc.code(pb.DeleteVolumeRequest(volume_id="v")) is StatusCode.FAILED_PRECONDITION
    answer = await rig.rpc(pb.ControllerGetVolumeHealthRequest(volume_id="v"))
    assert not answer.volume_health.health_statuses


async def test_an_error_that_only_sounds_like_gone_is_no_success(rig):
    await rig.rpc(create("v"))

    async def broken(_call, _proceed):
        raise CallError("device not found", 5)

    rig.on_call("pool.dataset.delete", broken)
    assert await rig.rpc.code(pb.DeleteVolumeRequest(volume_id="v")) is StatusCode.UNAVAILABLE
    assert "tank/csi/v" in await rig.leftovers()


@pytest.mark.parametrize("method", ["iscsi.target.query", "iscsi.extent.query"])
async def test_a_nas_that_is_too_busy_to_answer_does_not_make_the_volume_one_in_use(rig, method):
    await rig.rpc(create("v", "iscsi"))

    async def busy(_call, _proceed):
        raise CallError("try again later", 16)

    rig.on_call(method, busy)
    assert await rig.rpc.code(pb.DeleteVolumeRequest(volume_id="v")) is StatusCode.UNAVAILABLE
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="v"))
    assert await rig.leftovers() == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_deletion_that_was_done_and_is_answered_with_an_error_is_done(rig, protocol):
    await rig.rpc(create("v", protocol))

    async def done_and_denied(_call, proceed):
        await proceed()
        raise CallError("lost the other controller on the way", 5)

    rig.on_call("pool.dataset.delete", done_and_denied)
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="v"))
    assert await rig.leftovers() == []
