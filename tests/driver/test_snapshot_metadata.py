"""Allocated and changed blocks, streamed in pages."""

import base64
import sys

import pytest
from grpc import StatusCode

from csisim.driver.snapshot_metadata import SnapshotMetadataService
from csisim.pb import csi_pb2 as pb
from csisim.pb import csi_pb2_grpc
from tests.support.rig import GIB, create

BLOCK = 16384


async def write(rig, volume, *blocks):
    for block in blocks:
        data = base64.b64encode(bytes([block % 255 + 1]) * BLOCK).decode()
        await rig.client.call("fake.block.write", f"tank/csi/{volume}", block * BLOCK, data)


@pytest.fixture
async def stub(rig):
    await rig.rpc(create("v", "iscsi"))
    await write(rig, "v", 0, 1, 5, 9)
    await rig.rpc(pb.CreateSnapshotRequest(name="one", source_volume_id="v"))
    await write(rig, "v", 1, 7)
    await rig.rpc(pb.CreateSnapshotRequest(name="two", source_volume_id="v"))
    return csi_pb2_grpc.SnapshotMetadataStub(rig.rpc.channel)


async def runs(stream):
    """Blocks of all pages, in order; every page says the same capacity."""
    found = []
    async for page in stream:
        assert page.volume_capacity_bytes == 2 * GIB
        assert page.block_metadata_type == pb.VARIABLE_LENGTH
        for each in page.block_metadata:
            first = each.byte_offset // BLOCK
            found += range(first, first + each.size_bytes // BLOCK)
    return found


async def code(stream):
    async for _ in stream:
        pass
    return await stream.code()


async def failing(stream):
    try:
        return await code(stream)
    except Exception as error:  # noqa: BLE001 - the code is what is asked for
        return error.code()


@pytest.mark.parametrize("page", [0, 1, 2])
async def test_allocated_blocks_of_each_snapshot(stub, page):
    def ask(name):
        return stub.GetMetadataAllocated(pb.GetMetadataAllocatedRequest(snapshot_id=f"v@{name}", max_results=page))

    assert await runs(ask("one")) == [0, 1, 5, 9]
    assert await runs(ask("two")) == [0, 1, 5, 7, 9]


@pytest.mark.parametrize("page", [0, 1])
async def test_the_delta_is_what_was_written_in_between(stub, page):
    request = pb.GetMetadataDeltaRequest(base_snapshot_id="v@one", target_snapshot_id="v@two", max_results=page)

    assert await runs(stub.GetMetadataDelta(request)) == [1, 7]


async def test_a_stream_can_be_resumed_at_an_offset(stub):
    request = pb.GetMetadataAllocatedRequest(snapshot_id="v@two", starting_offset=5 * BLOCK)

    assert await runs(stub.GetMetadataAllocated(request)) == [5, 7, 9]


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("GetMetadataAllocated", pb.GetMetadataAllocatedRequest(snapshot_id="v@one", max_results=1)),
        ("GetMetadataDelta", pb.GetMetadataDeltaRequest(base_snapshot_id="v@one", target_snapshot_id="v@two", max_results=1)),
    ],
)  # fmt: skip
async def test_a_stream_that_is_given_up_leaves_nothing_half_read(rig, stub, method, request_):
    """What is left half-read is ended by a task that the event loop makes up, at some later time."""
    before = sys.get_asyncgen_hooks()
    left = []
    answers = getattr(SnapshotMetadataService(rig.volumes), method)(request_, None)
    sys.set_asyncgen_hooks(finalizer=lambda generator: left.append(generator.__name__))
    try:
        await anext(answers)
        await answers.aclose()
    finally:
        sys.set_asyncgen_hooks(*before)
    assert left == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"snapshot_id": ""}, StatusCode.INVALID_ARGUMENT),
        ({"snapshot_id": "v@none"}, StatusCode.NOT_FOUND),
        ({"snapshot_id": "no snapshot"}, StatusCode.NOT_FOUND),
        ({"snapshot_id": "v@one", "starting_offset": -1}, StatusCode.OUT_OF_RANGE),
        ({"snapshot_id": "v@one", "starting_offset": 2 * GIB}, StatusCode.OUT_OF_RANGE),
        ({"snapshot_id": "v@one", "max_results": -1}, StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_is_refused(stub, fields, expected):
    assert await failing(stub.GetMetadataAllocated(pb.GetMetadataAllocatedRequest(**fields))) is expected


@pytest.mark.parametrize(
    ("base", "target", "expected"),
    [
        ("", "v@two", StatusCode.INVALID_ARGUMENT),
        ("v@one", "", StatusCode.INVALID_ARGUMENT),
        ("v@none", "v@two", StatusCode.NOT_FOUND),
        ("v@one", "v@none", StatusCode.NOT_FOUND),
        ("v@one", "w@three", StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_has_no_delta(rig, stub, base, target, expected):
    await rig.rpc(create("w", "iscsi"))
    await rig.rpc(pb.CreateSnapshotRequest(name="three", source_volume_id="w"))
    request = pb.GetMetadataDeltaRequest(base_snapshot_id=base, target_snapshot_id=target)

    assert await failing(stub.GetMetadataDelta(request)) is expected


async def test_a_file_system_has_no_blocks_to_tell_of(rig, stub):
    await rig.rpc(create("files"))
    await rig.rpc(pb.CreateSnapshotRequest(name="f", source_volume_id="files"))
    request = pb.GetMetadataAllocatedRequest(snapshot_id="files@f")

    assert await failing(stub.GetMetadataAllocated(request)) is StatusCode.INVALID_ARGUMENT
