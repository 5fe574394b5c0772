"""CreateSnapshot, DeleteSnapshot, ListSnapshots, GetSnapshot."""

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as pb
from fake_truenas.nas import NO_REPLY
from tests.support.rig import GIB, create, from_snapshot


def cut(name, source):
    return pb.CreateSnapshotRequest(name=name, source_volume_id=source)


async def test_the_same_name_and_source_give_the_same_snapshot(rig):
    await rig.rpc(create("v"))
    first = await rig.rpc(cut("s", "v"))

    assert await rig.rpc(cut("s", "v")) == first
    assert first.snapshot.snapshot_id == "v@s"
    assert first.snapshot.size_bytes == 2 * GIB
    assert first.snapshot.ready_to_use
    assert first.snapshot.creation_time.seconds > 0


async def test_a_name_is_taken_over_all_volumes(rig):
    for name in ("v", "w"):
        await rig.rpc(create(name))
    await rig.rpc(cut("s", "v"))

    assert await rig.rpc.code(cut("s", "w")) is StatusCode.ALREADY_EXISTS
    assert await rig.rpc.code(cut("s", "none")) is StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (cut("s", "none"), StatusCode.NOT_FOUND),
        (cut("s", "no/such"), StatusCode.NOT_FOUND),
        (cut("", "v"), StatusCode.INVALID_ARGUMENT),
        (cut("s", ""), StatusCode.INVALID_ARGUMENT),
        (cut("n" * 129, "v"), StatusCode.INVALID_ARGUMENT),
        (pb.CreateSnapshotRequest(name="s", source_volume_id="v", parameters={"x": "y"}), StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_is_refused(rig, request_, code):
    await rig.rpc(create("v"))

    assert await rig.rpc.code(request_) is code
    assert await rig.names("pool.snapshot.query") == []


async def test_a_lost_answer_gives_one_snapshot(rig):
    await rig.rpc(create("v"))

    async def cut_after(call, proceed):
        await proceed()
        call.connection.abort()
        return NO_REPLY

    rig.on_call("pool.snapshot.create", cut_after)
    made = await rig.rpc(cut("s", "v"))

    assert made.snapshot.snapshot_id == "v@s"
    assert await rig.names("pool.snapshot.query") == ["tank/csi/v@s"]


async def test_a_snapshot_that_a_volume_depends_on_stays(rig):
    await rig.rpc(create("v"))
    await rig.rpc(cut("s", "v"))
    await rig.rpc(create("copy", volume_content_source=from_snapshot("v@s")))

    assert await rig.rpc.code(pb.DeleteSnapshotRequest(snapshot_id="v@s")) is StatusCode.FAILED_PRECONDITION
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="copy"))
    assert await rig.rpc.code(pb.DeleteSnapshotRequest(snapshot_id="v@s")) is StatusCode.OK
    assert await rig.rpc.code(pb.GetSnapshotRequest(snapshot_id="v@s")) is StatusCode.NOT_FOUND


@pytest.mark.parametrize("snapshot_id", ["v@none", "none@s", "fake-vol-id", "@", "a@b@c", "no snapshot", "x" * 128])
async def test_deleting_what_is_not_there_is_fine(rig, snapshot_id):
    await rig.rpc(create("v"))

    assert await rig.rpc.code(pb.DeleteSnapshotRequest(snapshot_id=snapshot_id)) is StatusCode.OK


async def test_a_snapshot_of_somebody_else_is_neither_listed_nor_deleted(rig):
    await rig.rpc(create("v"))
    await rig.client.call("pool.snapshot.create", {"dataset": "tank/csi/v", "name": "auto"})

    assert not (await rig.rpc(pb.ListSnapshotsRequest())).entries
    await rig.rpc(pb.DeleteSnapshotRequest(snapshot_id="v@auto"))
    assert await rig.names("pool.snapshot.query") == ["tank/csi/v@auto"]
    assert await rig.rpc.code(cut("auto", "v")) is StatusCode.ALREADY_EXISTS


async def test_listing_filters_and_pages(rig):
    for volume in ("v", "w"):
        await rig.rpc(create(volume))
        for number in range(3):
            await rig.rpc(cut(f"{volume}{number}", volume))

    async def ids(**fields):
        listed = await rig.rpc(pb.ListSnapshotsRequest(**fields))
        return [entry.snapshot.snapshot_id for entry in listed.entries], listed.next_token

    everything, _ = await ids()
    first, token = await ids(max_entries=2)
    rest, end = await ids(starting_token=token)

    assert first + rest == everything == ["v@v0", "v@v1", "v@v2", "w@w0", "w@w1", "w@w2"]
    assert end == ""
    assert (await ids(source_volume_id="w"))[0] == everything[3:]
    assert (await ids(snapshot_id="v@v1"))[0] == ["v@v1"]
    assert (await ids(snapshot_id="v@v1", source_volume_id="w"))[0] == []
    for nothing in ({"snapshot_id": "none"}, {"source_volume_id": "none"}, {"source_volume_id": "no/such"}):
        assert (await ids(**nothing))[0] == []
    assert await rig.rpc.code(pb.ListSnapshotsRequest(starting_token="invalid-token")) is StatusCode.ABORTED


async def test_the_snapshot_of_a_clone_in_progress_is_not_listed(rig):
    await rig.rpc(create("v"))
    await rig.rpc(create("copy", volume_content_source={"volume": {"volume_id": "v"}}))

    assert not (await rig.rpc(pb.ListSnapshotsRequest())).entries


async def test_finding_one_snapshot_does_not_fetch_the_others(rig):
    await rig.rpc(create("v"))
    for number in range(5):
        await rig.rpc(cut(f"s{number}", "v"))
    rig.methods()
    await rig.rpc(pb.GetSnapshotRequest(snapshot_id="v@s3"))

    assert rig.methods() == ["pool.snapshot.query"]
