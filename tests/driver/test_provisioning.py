"""CreateVolume: one volume per name, completed on a repeat, whatever got lost on the way."""

import asyncio
import base64
from dataclasses import replace

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as pb
from fake_truenas.errors import CallError
from fake_truenas.nas import NO_REPLY
from tests.support.rig import CONFIG, GIB, capability, create, from_snapshot, from_volume

PROTOCOLS = ("nfs", "iscsi", "nvmeof")


async def lose_reply(_call, proceed):
    await proceed()
    return NO_REPLY


async def cut_after(call, proceed):
    await proceed()
    call.connection.abort()
    return NO_REPLY


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_same_name_gives_the_same_volume(rig, protocol):
    first = await rig.rpc(create("pvc-1", protocol))
    before = await rig.leftovers()
    second = await rig.rpc(create("pvc-1", protocol))

    assert first == second
    assert first.volume.capacity_bytes == 2 * GIB
    assert first.volume.volume_context["protocol"] == protocol
    assert await rig.leftovers() == before


async def test_an_nfs_volume_takes_two_calls_to_the_nas(rig):
    await rig.rpc(create("warm-up"))
    rig.methods()
    await rig.rpc(create("pvc-1"))

    assert rig.methods() == ["pool.dataset.create", "sharing.nfs.create"]


@pytest.mark.parametrize(
    "other",
    [
        create("pvc-1", gib=3),
        create("pvc-1", "iscsi"),
        create("pvc-1", volume_content_source=from_snapshot("a@b")),
        create(
            "pvc-1", accessibility_requirements=pb.TopologyRequirement(requisite=[pb.Topology(segments={"z": "x"})])
        ),
    ],
    ids=["size", "protocol", "source", "topology"],
)
async def test_the_same_name_with_something_else_already_exists(rig, other):
    await rig.rpc(create("pvc-1"))

    assert await rig.rpc.code(other) is StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize("fits", [pb.CapacityRange(required_bytes=1), pb.CapacityRange(limit_bytes=5 * GIB)])
async def test_an_existing_volume_within_the_range_is_the_one(rig, fits):
    made = await rig.rpc(create("pvc-1"))
    request = create("pvc-1")
    request.capacity_range.CopyFrom(fits)

    assert await rig.rpc(request) == made


async def test_a_dataset_of_somebody_else_is_neither_used_nor_changed(rig):
    await rig.rpc(create("warm-up"))
    await rig.client.call("pool.dataset.create", {"name": "tank/csi/pvc-1"})

    assert await rig.rpc.code(create("pvc-1")) is StatusCode.ALREADY_EXISTS
    assert await rig.rpc(pb.DeleteVolumeRequest(volume_id="pvc-1")) == pb.DeleteVolumeResponse()
    assert "tank/csi/pvc-1" in await rig.names("pool.dataset.query")


async def test_an_inherited_property_does_not_make_a_dataset_ours(rig):
    await rig.rpc(create("warm-up"))
    await rig.client.call(
        "pool.dataset.create",
        {
            "name": "tank/csi/a",
            "user_properties": [
                {"key": "csisim:volume_name", "value": "b"},
                {"key": "csisim:protocol", "value": "nfs"},
            ],
        },
    )
    await rig.client.call("pool.dataset.create", {"name": "tank/csi/a/b"})

    listed = await rig.rpc(pb.ListVolumesRequest())

    assert [entry.volume.volume_id for entry in listed.entries] == ["warm-up"]


@pytest.mark.parametrize("act", [lose_reply, cut_after])
@pytest.mark.parametrize(
    ("protocol", "method"),
    [
        ("nfs", "pool.dataset.create"),
        ("nfs", "sharing.nfs.create"),
        ("iscsi", "pool.dataset.create"),
        ("iscsi", "iscsi.extent.create"),
        ("iscsi", "iscsi.target.create"),
        ("iscsi", "iscsi.targetextent.create"),
        ("nvmeof", "nvmet.subsys.create"),
        ("nvmeof", "nvmet.namespace.create"),
        ("nvmeof", "nvmet.port_subsys.create"),
    ],
)
async def test_a_lost_answer_leads_to_one_volume_all_the_same(rig, protocol, method, act):
    await rig.rpc(create("warm-up"))
    rig.on_call(method, act)
    await rig.rpc.code(create("pvc-1", protocol), timeout_s=0.5)
    made = await rig.rpc(create("pvc-1", protocol))
    once = await rig.leftovers()
    await rig.rpc(create("pvc-1", protocol))

    assert made.volume.volume_id == "pvc-1"
    assert await rig.leftovers() == once
    for name in ("pvc-1", "warm-up"):
        await rig.rpc(pb.DeleteVolumeRequest(volume_id=name))
    assert await rig.leftovers() == []


async def test_a_cut_connection_is_looked_up_and_not_repeated_blindly(rig):
    await rig.rpc(create("warm-up"))
    rig.methods()
    rig.on_call("sharing.nfs.create", cut_after)
    await rig.rpc(create("pvc-1"))

    asked = [method for method in rig.methods() if method.startswith("sharing")]
    assert asked == ["sharing.nfs.create", "sharing.nfs.query"]
    assert await rig.names("sharing.nfs.query") == ["/mnt/tank/csi/pvc-1", "/mnt/tank/csi/warm-up"]


async def test_half_a_volume_is_completed_by_the_repeat(rig):
    await rig.rpc(create("pvc-1", "iscsi"))
    target = (await rig.ask("iscsi.target.query", [["name", "=", "pvc-1"]], {}))[0]
    await rig.client.call("iscsi.target.delete", target["id"], True)

    await rig.rpc(create("pvc-1", "iscsi"))

    assert await rig.names("iscsi.target.query") == ["pvc-1"]
    assert len(await rig.ask("iscsi.targetextent.query", [], {})) == 1


async def test_restoring_gives_the_snapshots_size_or_more(rig):
    await rig.rpc(create("source", "iscsi"))
    await rig.rpc(pb.CreateSnapshotRequest(name="s", source_volume_id="source"))
    plain = create("same", "iscsi", volume_content_source=from_snapshot("source@s"))
    plain.ClearField("capacity_range")

    same = await rig.rpc(plain)
    bigger = await rig.rpc(create("more", "iscsi", gib=5, volume_content_source=from_snapshot("source@s")))

    assert same.volume.capacity_bytes == 2 * GIB
    assert bigger.volume.capacity_bytes == 5 * GIB
    assert bigger.volume.content_source == from_snapshot("source@s")
    zvol = (await rig.ask("pool.dataset.query", [["id", "=", "tank/csi/more"]], {}))[0]
    assert zvol["volsize"]["parsed"] == 5 * GIB


@pytest.mark.parametrize(
    "source", [from_snapshot("source@none"), from_snapshot("?"), from_volume("none"), from_volume("?")]
)
async def test_a_source_that_is_gone_is_not_found(rig, source):
    await rig.rpc(create("source"))

    assert await rig.rpc.code(create("copy", volume_content_source=source)) is StatusCode.NOT_FOUND
    await rig.rpc(create("copy"))  # the failure reserved no name


async def test_a_copy_cannot_be_smaller_than_its_source(rig):
    await rig.rpc(create("source", gib=4))
    request = create("copy", volume_content_source=from_volume("source"))
    request.capacity_range.CopyFrom(pb.CapacityRange(limit_bytes=3 * GIB))

    assert await rig.rpc.code(request) is StatusCode.OUT_OF_RANGE


async def test_a_copy_cannot_change_from_files_to_blocks(rig):
    await rig.rpc(create("source", "nfs"))
    for source in (from_volume("source"),):
        request = create("copy", "iscsi", volume_content_source=source)
        assert await rig.rpc.code(request) is StatusCode.INVALID_ARGUMENT
    assert await rig.names("pool.snapshot.query") == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_clone_outlives_its_source_and_leaves_nothing(rig, protocol):
    await rig.rpc(create("a", protocol))
    await rig.rpc(create("b", protocol, volume_content_source=from_volume("a")))
    await rig.rpc(create("c", protocol, volume_content_source=from_volume("a")))
    for gone in ("a", "c", "b"):
        await rig.rpc(pb.DeleteVolumeRequest(volume_id=gone))

    assert await rig.leftovers() == []


async def test_a_clone_interrupted_after_its_snapshot_starts_from_the_present_content(rig):
    await rig.rpc(create("a"))
    await rig.client.call(
        "pool.snapshot.create",
        {"dataset": "tank/csi/a", "name": "clone_b", "properties": {"csisim:clone_for": "b"}},
    )
    stale = (await rig.ask("pool.snapshot.query", [], {}))[0]["createtxg"]

    await rig.rpc(create("b", volume_content_source=from_volume("a")))

    fresh = (await rig.ask("pool.snapshot.query", [], {}))[0]["createtxg"]
    assert int(fresh) > int(stale)


async def test_a_clone_that_never_came_to_be_leaves_no_snapshot_after_deletes(rig):
    await rig.rpc(create("a"))
    snapshot = {"dataset": "tank/csi/a", "name": "clone_b", "properties": {"csisim:clone_for": "b"}}
    await rig.client.call("pool.snapshot.create", snapshot)
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="b"))

    assert await rig.names("pool.snapshot.query") == []


async def test_mutable_parameters_are_in_force_from_the_start_on_copies_too(rig):
    settings = {"compression": "zstd", "sync": "always", "comments": "for Ada"}
    await rig.rpc(create("a", mutable_parameters=settings))
    await rig.rpc(create("b", mutable_parameters=settings, volume_content_source=from_volume("a")))

    for name in ("a", "b"):
        row = (await rig.ask("pool.dataset.query", [["id", "=", f"tank/csi/{name}"]], {}))[0]
        assert [row[key]["value"] for key in settings] == ["ZSTD", "ALWAYS", "for Ada"]


async def test_more_than_the_pool_has_is_resource_exhausted_and_leaves_nothing(rig):
    for protocol in PROTOCOLS:
        request = create("huge", protocol, gib=2000)
        assert await rig.rpc.code(request) is StatusCode.RESOURCE_EXHAUSTED

    assert await rig.leftovers() == []


async def test_another_topology_is_resource_exhausted(rig):
    elsewhere = pb.TopologyRequirement(requisite=[pb.Topology(segments={"topology.csi.csisim.dev/zone": "mars"})])

    assert await rig.rpc.code(create("a", accessibility_requirements=elsewhere)) is StatusCode.RESOURCE_EXHAUSTED


async def test_many_callers_of_one_name_get_one_volume_or_aborted(rig):
    answers = await asyncio.gather(*(rig.rpc.code(create("pvc-1")) for _ in range(20)))

    assert set(answers) <= {StatusCode.OK, StatusCode.ABORTED}
    assert StatusCode.OK in answers
    assert await rig.names("sharing.nfs.query") == ["/mnt/tank/csi/pvc-1"]
    assert rig.volumes.locks.held() == ()


async def test_cancelled_calls_start_nothing_more_and_free_their_lock(rig):
    await rig.rpc(create("warm-up"))
    arrived, release = asyncio.Event(), asyncio.Event()

    async def park(_call, proceed):
        arrived.set()
        await release.wait()
        return await proceed()

    rig.on_call("pool.dataset.create", park)
    call = rig.rpc.begin(create("pvc-1"))
    await arrived.wait()
    call.cancel()
    assert await call.code() is StatusCode.CANCELLED
    while rig.volumes.locks.held():  # the server hears of it a little later
        await asyncio.sleep(0.001)
    rig.methods()
    release.set()
    again = await rig.rpc(create("pvc-1"))

    assert again.volume.volume_id == "pvc-1"
    # The first mutation landed after all; the repeat waited for it and found it.
    assert rig.methods() == ["pool.dataset.create", "pool.dataset.query", "sharing.nfs.query", "sharing.nfs.create"]
    assert rig.volumes.locks.held() == ()


async def test_a_block_device_needs_no_parameter(rig):
    request = pb.CreateVolumeRequest(name="raw", volume_capabilities=[capability(block=True)])

    assert (await rig.rpc(request)).volume.volume_context["protocol"] == "iscsi"


class TestWithoutThePool:
    @pytest.fixture
    def config(self):
        return replace(CONFIG, root_dataset="puddle/csi")

    async def test_a_pool_that_the_nas_does_not_have_is_named(self, rig):
        call = rig.rpc.begin(create("v"))

        assert await call.code() is StatusCode.FAILED_PRECONDITION
        assert "'puddle'" in await call.details()
        assert await rig.rpc.code(pb.GetCapacityRequest()) is StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize(
    ("protocol", "method"),
    [("nfs", "sharing.nfs.create"), ("iscsi", "iscsi.targetextent.create"), ("nvmeof", "nvmet.namespace.create")],
)
@pytest.mark.parametrize("source", [None, "snapshot", "volume"])
async def test_a_definite_error_leaves_nothing_behind(rig, protocol, method, source):
    await rig.rpc(create("src", protocol))
    await rig.rpc(pb.CreateSnapshotRequest(name="s", source_volume_id="src"))
    before = await rig.leftovers()
    given = {"snapshot": from_snapshot("src@s"), "volume": from_volume("src")}

    async def refuse(_call, _proceed):
        raise CallError("the daemon did not start", 14)

    rig.on_call(method, refuse)
    fields = {"volume_content_source": given[source]} if source else {}
    assert await rig.rpc.code(create("v", protocol, **fields)) is StatusCode.INTERNAL
    assert await rig.leftovers() == before


async def test_an_undo_that_is_cut_off_asks_for_a_repeat(rig):
    await rig.rpc(create("warm-up"))
    before = await rig.leftovers()

    async def refuse_then_cut(call, proceed):
        if call.method == "sharing.nfs.create":
            raise CallError("no", 5)
        if call.method == "pool.dataset.delete" and call.params[0] == "tank/csi/v":
            call.connection.abort()
            return NO_REPLY
        return await proceed()

    rig.nas.intercept = refuse_then_cut
    assert await rig.rpc.code(create("v")) is StatusCode.UNAVAILABLE
    rig.on_call("", lambda call, proceed: proceed())
    await rig.rpc(create("v"))
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="v"))
    assert await rig.leftovers() == before


async def test_no_room_stays_no_room_when_the_undo_was_cut_off(rig):
    await rig.rpc(create("warm-up"))

    async def cut(call, _proceed):
        call.connection.abort()
        return NO_REPLY

    rig.on_call("pool.dataset.delete", cut)
    assert await rig.rpc.code(create("v", gib=5000)) is StatusCode.UNAVAILABLE
    assert await rig.rpc.code(create("v", gib=5000)) is StatusCode.RESOURCE_EXHAUSTED
    assert "tank/csi/v" not in await rig.leftovers()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_copy_larger_than_the_pool_is_resource_exhausted_and_leaves_nothing(rig, protocol):
    await rig.rpc(create("src", protocol))
    await rig.rpc(pb.CreateSnapshotRequest(name="s", source_volume_id="src"))
    before = await rig.leftovers()
    for source in (from_snapshot("src@s"), from_volume("src")):
        request = create("copy", protocol, gib=5000, volume_content_source=source)
        assert await rig.rpc.code(request) is StatusCode.RESOURCE_EXHAUSTED
        assert await rig.leftovers() == before


async def test_a_snapshot_of_somebody_else_under_our_clones_name_is_left_alone(rig):
    await rig.rpc(create("a"))
    await rig.client.call("pool.snapshot.create", {"dataset": "tank/csi/a", "name": "clone_b"})

    assert await rig.rpc.code(create("b", volume_content_source=from_volume("a"))) is StatusCode.ALREADY_EXISTS
    assert await rig.names("pool.snapshot.query") == ["tank/csi/a@clone_b"]


async def test_a_clone_cut_off_before_its_snapshot_was_deferred_leaves_no_snapshot(rig):
    await rig.rpc(create("a"))

    async def cut(call, _proceed):
        call.connection.abort()
        return NO_REPLY

    for repeat in (True, False):
        rig.on_call("pool.snapshot.delete", cut)
        request = create("b", volume_content_source=from_volume("a"))
        assert await rig.rpc.code(request) is StatusCode.UNAVAILABLE
        if repeat:
            await rig.rpc(request)
        await rig.rpc(pb.DeleteVolumeRequest(volume_id="b"))
        assert await rig.names("pool.snapshot.query") == []


async def test_a_thick_copy_has_its_space_reserved(rig):
    request = create("a", "iscsi")
    request.parameters["provisioning"] = "thick"
    await rig.rpc(request)
    copy = create("b", "iscsi", volume_content_source=from_volume("a"))
    copy.parameters["provisioning"] = "thick"
    await rig.rpc(copy)

    row = (await rig.ask("pool.dataset.query", [["id", "=", "tank/csi/b"]], {}))[0]
    assert row["refreservation"]["parsed"] >= 2 * GIB


async def test_a_snapshot_is_not_deleted_while_a_volume_is_made_from_it(rig):
    await rig.rpc(create("a"))
    await rig.rpc(pb.CreateSnapshotRequest(name="s", source_volume_id="a"))
    arrived, release = asyncio.Event(), asyncio.Event()

    async def park(_call, proceed):
        arrived.set()
        await release.wait()
        return await proceed()

    rig.on_call("pool.snapshot.clone", park)
    restoring = rig.rpc.begin(create("b", volume_content_source=from_snapshot("a@s")))
    await arrived.wait()
    assert await rig.rpc.code(pb.DeleteSnapshotRequest(snapshot_id="a@s")) is StatusCode.ABORTED
    assert await rig.rpc.code(create("c", volume_content_source=from_snapshot("a@s"))) is StatusCode.OK
    release.set()
    assert await restoring.code() is StatusCode.OK


async def test_a_copy_of_a_share_with_files_has_room_within_its_own_quota(rig):
    await rig.rpc(create("src"))
    await rig.client.call("fake.block.write", "tank/csi/src", 0, base64.b64encode(b"x" * 16384).decode())
    await rig.rpc(pb.CreateSnapshotRequest(name="s", source_volume_id="src"))
    for name, source in (("restored", from_snapshot("src@s")), ("cloned", from_volume("src"))):
        reply = await rig.rpc(create(name, volume_content_source=source))
        assert reply.volume.capacity_bytes == 2 * GIB


@pytest.mark.parametrize("source", [from_snapshot("src@s"), from_volume("src")], ids=["snapshot", "volume"])
async def test_a_copy_is_not_made_again_when_the_look_at_it_was_never_sent(rig, source):
    await rig.rpc(create("src"))
    await rig.rpc(pb.CreateSnapshotRequest(name="s", source_volume_id="src"))
    cloned, refused = [], []

    async def end_the_session(call, proceed):
        if call.method == "pool.snapshot.clone":
            cloned.append(call.params)
        elif call.method == "pool.dataset.query" and cloned and len(refused) < 3:
            refused.append(call.params)
            raise CallError("Not authenticated", 207)
        return await proceed()

    rig.nas.intercept = end_the_session
    request = create("copy", volume_content_source=source)
    assert await rig.rpc.code(request) is StatusCode.UNAVAILABLE
    assert await rig.rpc.code(request) is StatusCode.OK
    assert len(cloned) == 1
    assert "tank/csi/copy" in await rig.leftovers()


async def test_a_copy_that_an_earlier_attempt_makes_at_the_last_moment_is_completed(rig):
    await rig.rpc(create("src"))

    async def twice(_call, proceed):
        await proceed()
        return await proceed()

    rig.on_call("pool.snapshot.clone", twice)
    request = create("copy", volume_content_source=from_volume("src"))
    made = await rig.rpc(request)
    assert await rig.rpc(request) == made
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="copy"))
    assert await rig.names("pool.snapshot.query") == []
