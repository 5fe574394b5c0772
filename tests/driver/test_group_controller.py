"""Group snapshots over gRPC: one cut, one record, all or nothing."""

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as pb
from fake_truenas.errors import CallError
from fake_truenas.nas import NO_REPLY
from tests.support.rig import GIB, create, from_snapshot


def group(name="g", *volumes, **fields):
    return pb.CreateVolumeGroupSnapshotRequest(name=name, source_volume_ids=volumes, **fields)


def get(group_id="g", *snapshots):
    return pb.GetVolumeGroupSnapshotRequest(group_snapshot_id=group_id, snapshot_ids=snapshots)


def delete(group_id="g", *snapshots):
    return pb.DeleteVolumeGroupSnapshotRequest(group_snapshot_id=group_id, snapshot_ids=snapshots)


@pytest.fixture
async def volumes(rig):
    for name, protocol in (("a", "nfs"), ("b", "iscsi"), ("c", "nfs")):
        await rig.rpc(create(name, protocol))


@pytest.mark.usefixtures("volumes")
async def test_members_are_cut_at_one_instant_and_nobody_else(rig):
    made = (await rig.rpc(group("g", "b", "a"))).group_snapshot

    assert [each.snapshot_id for each in made.snapshots] == ["a@g_g", "b@g_g"]
    assert {each.size_bytes for each in made.snapshots} == {2 * GIB}
    assert made.ready_to_use
    rows = await rig.ask("pool.snapshot.query", [], {})
    assert len({row["createtxg"] for row in rows}) == 1
    assert sorted(row["id"] for row in rows) == ["tank/csi/a@g_g", "tank/csi/b@g_g", "tank/csi@g_g"]


@pytest.mark.usefixtures("volumes")
async def test_repeats_in_any_order_give_the_same_group(rig):
    first = await rig.rpc(group("g", "a", "b"))

    assert await rig.rpc(group("g", "b", "a", "a")) == first
    assert (await rig.rpc(get("g"))).group_snapshot == first.group_snapshot
    assert (await rig.rpc(get("g", "b@g_g", "a@g_g"))).group_snapshot == first.group_snapshot


@pytest.mark.usefixtures("volumes")
@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (group("g", "a", "c"), StatusCode.ALREADY_EXISTS),
        (group("g", "a", "b", parameters={"x": "y"}), StatusCode.ALREADY_EXISTS),
        (group("h", "a", "none"), StatusCode.NOT_FOUND),
        (group("h", "a", "no/such"), StatusCode.NOT_FOUND),
        (group("h"), StatusCode.INVALID_ARGUMENT),
        (group("", "a"), StatusCode.INVALID_ARGUMENT),
        (get("g", "a@g_g"), StatusCode.INVALID_ARGUMENT),
        (get("none"), StatusCode.NOT_FOUND),
        (get(""), StatusCode.INVALID_ARGUMENT),
        (delete("g", "a@g_g"), StatusCode.INVALID_ARGUMENT),
        (delete("none"), StatusCode.OK),
        (delete("no/such"), StatusCode.OK),
        (delete(""), StatusCode.INVALID_ARGUMENT),
        (pb.DeleteSnapshotRequest(snapshot_id="a@g_g"), StatusCode.INVALID_ARGUMENT),
        (pb.CreateSnapshotRequest(name="g", source_volume_id="c"), StatusCode.OK),
        (pb.DeleteVolumeRequest(volume_id="a"), StatusCode.FAILED_PRECONDITION),
    ],
)
async def test_what_does_not_fit_the_group(rig, request_, code):
    await rig.rpc(group("g", "a", "b"))

    assert await rig.rpc.code(request_) is code
    assert len((await rig.rpc(get("g"))).group_snapshot.snapshots) == 2


@pytest.mark.usefixtures("volumes")
async def test_members_are_listed_with_their_group_and_can_be_restored(rig):
    await rig.rpc(group("g", "a", "b"))
    listed = (await rig.rpc(pb.ListSnapshotsRequest())).entries

    assert [(each.snapshot.snapshot_id, each.snapshot.group_snapshot_id) for each in listed] == [
        ("a@g_g", "g"),
        ("b@g_g", "g"),
    ]
    await rig.rpc(create("copy", volume_content_source=from_snapshot("a@g_g")))
    assert await rig.rpc.code(delete("g")) is StatusCode.FAILED_PRECONDITION
    assert len((await rig.rpc(get("g"))).group_snapshot.snapshots) == 2
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="copy"))
    await rig.rpc(delete("g"))
    assert await rig.names("pool.snapshot.query") == []


@pytest.mark.usefixtures("volumes")
async def test_a_snapshot_in_the_way_refuses_the_whole_group(rig):
    await rig.client.call("pool.snapshot.create", {"dataset": "tank/csi/a", "name": "g_g"})

    for _ in range(2):
        assert await rig.rpc.code(group("g", "a", "b")) is StatusCode.ALREADY_EXISTS
        assert await rig.names("pool.snapshot.query") == ["tank/csi/a@g_g"]


@pytest.mark.usefixtures("volumes")
async def test_a_half_deleted_group_is_deleted_by_the_repeat(rig):
    await rig.rpc(group("g", "a", "b"))

    async def cut(call, _proceed):
        call.connection.abort()

    await rig.client.call("pool.snapshot.delete", "tank/csi/a@g_g")
    rig.on_call("pool.snapshot.delete", cut)
    assert await rig.rpc.code(delete("g")) is StatusCode.UNAVAILABLE
    await rig.rpc(delete("g"))

    assert await rig.names("pool.snapshot.query") == []


@pytest.mark.usefixtures("volumes")
async def test_a_volume_that_appears_during_the_cut_is_no_member(rig):
    async def appear(call, proceed):
        await rig.client.call("pool.dataset.create", {"name": "tank/csi/late"})
        return await proceed()

    rig.on_call("pool.snapshot.create", appear)
    await rig.rpc(group("g", "a", "b"))

    assert "tank/csi/late@g_g" not in await rig.names("pool.snapshot.query")


async def cut_before(call, _proceed):
    call.connection.abort()


async def cut_after(call, proceed):
    await proceed()
    call.connection.abort()
    return NO_REPLY


@pytest.mark.usefixtures("volumes")
@pytest.mark.parametrize("act", [cut_before, cut_after])
@pytest.mark.parametrize("method", ["pool.dataset.update", "pool.snapshot.create", "pool.snapshot.update"])
@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_creation_cut_off_anywhere_is_completed_by_the_repeat(rig, method, act, nth):
    passed = 0

    async def act_on_nth(call, proceed):
        nonlocal passed
        passed += 1
        return await (act(call, proceed) if passed == nth else proceed())

    rig.on_call(method, act_on_nth, times=nth)
    await rig.rpc.code(group("g", "a", "b"))
    made = (await rig.rpc(group("g", "a", "b"))).group_snapshot

    rows = await rig.ask("pool.snapshot.query", [], {})
    assert sorted(row["id"] for row in rows) == ["tank/csi/a@g_g", "tank/csi/b@g_g", "tank/csi@g_g"]
    assert len({row["createtxg"] for row in rows}) == 1
    listed = (await rig.rpc(pb.ListSnapshotsRequest())).entries
    assert [(each.snapshot.snapshot_id, each.snapshot.group_snapshot_id) for each in listed] == [
        ("a@g_g", "g"),
        ("b@g_g", "g"),
    ]
    assert (await rig.rpc(get("g"))).group_snapshot == made
    await rig.rpc(delete("g"))
    assert await rig.names("pool.snapshot.query") == []
    root = (await rig.ask("pool.dataset.query", [["id", "=", "tank/csi"]], {}))[0]
    assert root["user_properties"] == {}


@pytest.mark.usefixtures("volumes")
async def test_a_recursive_snapshot_of_somebody_else_survives_whatever_is_tried(rig):
    await rig.client.call("pool.snapshot.create", {"dataset": "tank/csi", "name": "g_g", "recursive": True})
    theirs = await rig.names("pool.snapshot.query")

    async def refuse(_call, _proceed):
        raise CallError("pool is busy", 16)

    for method in ("pool.dataset.update", "pool.snapshot.create"):
        rig.on_call(method, refuse)
        await rig.rpc.code(group("g", "a", "b"))
        await rig.rpc.code(group("g", "a", "b"))
        await rig.rpc.code(delete("g"))
    assert await rig.names("pool.snapshot.query") == theirs


@pytest.mark.usefixtures("volumes")
async def test_a_cut_that_was_never_marked_goes_with_the_group(rig):
    rig.on_call("pool.snapshot.update", cut_before)
    assert await rig.rpc.code(group("g", "a", "b")) is StatusCode.UNAVAILABLE
    assert len(await rig.names("pool.snapshot.query")) == 3

    await rig.rpc(delete("g"))

    assert await rig.names("pool.snapshot.query") == []
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="a"))


@pytest.mark.usefixtures("volumes")
async def test_a_refused_mark_takes_the_cut_back(rig):
    async def refuse(_call, _proceed):
        raise CallError("I/O error", 5)

    rig.on_call("pool.snapshot.update", refuse)
    await rig.rpc.code(group("g", "a", "b"))

    assert await rig.names("pool.snapshot.query") == []


@pytest.mark.usefixtures("volumes")
async def test_a_held_member_keeps_the_whole_group(rig):
    await rig.rpc(group("g", "a", "b"))
    await rig.client.call("pool.snapshot.hold", "tank/csi/b@g_g")

    assert await rig.rpc.code(delete("g")) is StatusCode.FAILED_PRECONDITION
    assert len(await rig.names("pool.snapshot.query")) == 3
    await rig.client.call("pool.snapshot.release", "tank/csi/b@g_g")
    await rig.rpc(delete("g"))
    assert await rig.names("pool.snapshot.query") == []


@pytest.mark.usefixtures("volumes")
async def test_a_group_whose_deletion_has_begun_is_gone_and_can_be_cut_anew(rig):
    first = (await rig.rpc(group("g", "a", "b"))).group_snapshot
    rig.on_call("pool.snapshot.delete", cut_before)
    assert await rig.rpc.code(delete("g")) is StatusCode.UNAVAILABLE

    assert await rig.rpc.code(get("g")) is StatusCode.NOT_FOUND
    again = (await rig.rpc(group("g", "a", "c"))).group_snapshot
    assert again.group_snapshot_id == first.group_snapshot_id
    assert [each.source_volume_id for each in again.snapshots] == ["a", "c"]
    assert await rig.names("pool.snapshot.query") == ["tank/csi/a@g_g", "tank/csi/c@g_g", "tank/csi@g_g"]


@pytest.mark.usefixtures("volumes")
async def test_a_record_that_was_made_and_answered_with_an_error_is_completed_by_the_repeat(rig):
    async def done_and_denied(_call, proceed):
        await proceed()
        raise CallError("lost the other controller on the way", 5)

    rig.on_call("pool.snapshot.update", done_and_denied)
    assert await rig.rpc.code(group("g", "a", "b")) is StatusCode.UNAVAILABLE

    await rig.rpc(group("g", "a", "b"))

    listed = (await rig.rpc(pb.ListSnapshotsRequest())).entries
    assert [each.snapshot.snapshot_id for each in listed] == ["a@g_g", "b@g_g"]
    await rig.rpc(delete("g"))
    assert await rig.names("pool.snapshot.query") == []
    root = (await rig.ask("pool.dataset.query", [["id", "=", "tank/csi"]], {}))[0]
    assert root["user_properties"] == {}
