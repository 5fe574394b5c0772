"""ControllerPublish and ControllerUnpublish: the record is on the NAS, and counts are exact."""

import asyncio
from dataclasses import replace

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as pb
from tests.support.rig import CONFIG, MODE, capability, create, from_volume


def publish(volume_id, node_id="node-1", mode=MODE.SINGLE_NODE_WRITER, *, readonly=False):
    return pb.ControllerPublishVolumeRequest(
        volume_id=volume_id, node_id=node_id, volume_capability=capability(mode), readonly=readonly
    )


def unpublish(volume_id, node_id=""):
    return pb.ControllerUnpublishVolumeRequest(volume_id=volume_id, node_id=node_id)


async def nodes(rig, volume_id):
    return list((await rig.rpc(pb.ControllerGetVolumeRequest(volume_id=volume_id))).status.published_node_ids)


async def test_publishing_again_alike_changes_nothing(rig):
    await rig.rpc(create("v"))
    first = await rig.rpc(publish("v"))
    rig.methods()

    assert await rig.rpc(publish("v")) == first
    assert rig.methods() == ["pool.dataset.query"]
    assert await nodes(rig, "v") == ["node-1"]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (publish("v", readonly=True), StatusCode.ALREADY_EXISTS),
        (publish("v", mode=MODE.SINGLE_NODE_READER_ONLY), StatusCode.ALREADY_EXISTS),
        (publish("v", "node-2"), StatusCode.FAILED_PRECONDITION),
        (publish("v", "node-2", MODE.MULTI_NODE_MULTI_WRITER), StatusCode.FAILED_PRECONDITION),
        (publish("v", "node-3"), StatusCode.NOT_FOUND),
        (publish("none"), StatusCode.NOT_FOUND),
        (publish("no/such"), StatusCode.NOT_FOUND),
        (publish("", "node-1"), StatusCode.INVALID_ARGUMENT),
        (publish("v", ""), StatusCode.INVALID_ARGUMENT),
        (publish("v", "n" * 257), StatusCode.INVALID_ARGUMENT),
        (pb.ControllerPublishVolumeRequest(volume_id="v", node_id="node-1"), StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_does_not_fit_the_first_publication(rig, request_, code):
    await rig.rpc(create("v"))
    await rig.rpc(publish("v"))

    assert await rig.rpc.code(request_) is code
    assert await nodes(rig, "v") == ["node-1"]


async def test_a_shared_volume_goes_to_several_nodes_and_comes_back_one_by_one(rig):
    await rig.rpc(create("v"))
    for node in ("node-2", "node-1"):
        await rig.rpc(publish("v", node, MODE.MULTI_NODE_MULTI_WRITER))
    assert await nodes(rig, "v") == ["node-1", "node-2"]

    await rig.rpc(unpublish("v", "node-2"))
    assert await nodes(rig, "v") == ["node-1"]
    await rig.rpc(unpublish("v"))
    assert await nodes(rig, "v") == []


@pytest.mark.parametrize("request_", [unpublish("v", "node-2"), unpublish("none", "node-1"), unpublish("no/such")])
async def test_what_is_not_published_counts_as_detached(rig, request_):
    await rig.rpc(create("v"))

    assert await rig.rpc.code(request_) is StatusCode.OK


async def test_a_published_volume_is_not_deleted(rig):
    await rig.rpc(create("v"))
    await rig.rpc(publish("v"))

    assert await rig.rpc.code(pb.DeleteVolumeRequest(volume_id="v")) is StatusCode.FAILED_PRECONDITION


async def test_a_clone_does_not_inherit_where_its_source_is_published(rig):
    await rig.rpc(create("v"))
    await rig.rpc(publish("v"))
    await rig.rpc(create("copy", volume_content_source=from_volume("v")))

    assert await nodes(rig, "copy") == []


class TestAttachLimit:
    @pytest.fixture
    def config(self):
        return replace(CONFIG, max_volumes_per_node=3)

    async def test_concurrent_publishing_never_passes_the_limit(self, rig):
        for number in range(6):
            await rig.rpc(create(f"v{number}"))
        codes = await asyncio.gather(*(rig.rpc.code(publish(f"v{number}")) for number in range(6)))

        assert sorted(codes, key=str) == [StatusCode.OK] * 3 + [StatusCode.RESOURCE_EXHAUSTED] * 3

    async def test_the_limit_is_per_node_and_frees_up(self, rig):
        for number in range(4):
            await rig.rpc(create(f"v{number}"))
        for number in range(3):
            await rig.rpc(publish(f"v{number}"))
        assert await rig.rpc.code(publish("v3")) is StatusCode.RESOURCE_EXHAUSTED
        assert await rig.rpc.code(publish("v3", "node-2")) is StatusCode.OK
        await rig.rpc(unpublish("v3"))
        await rig.rpc(unpublish("v0", "node-1"))

        assert await rig.rpc.code(publish("v3")) is StatusCode.OK


class TestControllerApart:
    @pytest.fixture
    def config(self):
        return replace(CONFIG, known_nodes=None)

    async def test_any_valid_node_is_accepted(self, rig):
        await rig.rpc(create("v"))
        node = "ip-10-0-0-1." + "x" * 240
        await rig.rpc(publish("v", node))

        assert await nodes(rig, "v") == [node]


async def test_a_publication_that_lands_after_its_connection_is_gone_is_still_taken_back(rig):
    await rig.rpc(create("v"))
    cut, land = asyncio.Event(), asyncio.Event()

    async def land_late(call, proceed):
        call.connection.abort()
        cut.set()
        await land.wait()
        return await proceed()

    rig.on_call("pool.dataset.update", land_late)
    assert await rig.rpc.code(publish("v")) is StatusCode.UNAVAILABLE
    await cut.wait()
    asyncio.get_running_loop().call_later(0.02, land.set)
    await rig.rpc(unpublish("v"))

    assert await nodes(rig, "v") == []
    await rig.rpc(pb.DeleteVolumeRequest(volume_id="v"))


class TestLateLanding:
    @pytest.fixture
    def config(self):
        return replace(CONFIG, max_volumes_per_node=1)

    async def test_a_cancelled_publication_that_lands_late_counts(self, rig):
        for name in ("v", "w"):
            await rig.rpc(create(name))
        arrived, land = asyncio.Event(), asyncio.Event()

        async def park(_call, proceed):
            arrived.set()
            await land.wait()
            return await proceed()

        rig.on_call("pool.dataset.update", park)
        call = rig.rpc.begin(publish("v"))
        await arrived.wait()
        call.cancel()
        while rig.volumes.locks.held():  # the server hears of it a little later
            await asyncio.sleep(0.001)
        second = rig.rpc.begin(publish("w"))
        asyncio.get_running_loop().call_later(0.02, land.set)

        assert await second.code() is StatusCode.RESOURCE_EXHAUSTED
