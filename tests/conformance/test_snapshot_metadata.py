"""SnapshotMetadata: allocated and changed blocks of snapshots, which csi-sanity never calls."""

from collections.abc import Iterator
from typing import Any

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.orchestrator import GIB, create_request, expand_request
from tests.support.rpc import Client, refused


@pytest.fixture(params=["iscsi", "nvmeof"])
def snapshots(call: Client, request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """Two of one block volume, in order of time."""
    volume_id = call(create_request("blocks", request.param)).volume.volume_id
    made = [
        call(csi.CreateSnapshotRequest(name=f"blocks-{number}", source_volume_id=volume_id)).snapshot
        for number in range(2)
    ]
    yield made
    for snapshot in made:
        call(csi.DeleteSnapshotRequest(snapshot_id=snapshot.snapshot_id))
    call(csi.DeleteVolumeRequest(volume_id=volume_id))


def _allocated(snapshots: list[Any], **fields: Any) -> Any:
    return csi.GetMetadataAllocatedRequest(snapshot_id=snapshots[0].snapshot_id, **fields)


def _delta(snapshots: list[Any], **fields: Any) -> Any:
    return csi.GetMetadataDeltaRequest(
        base_snapshot_id=snapshots[0].snapshot_id, target_snapshot_id=snapshots[1].snapshot_id, **fields
    )


BOTH = pytest.mark.parametrize("build", [_allocated, _delta], ids=["allocated", "delta"])


def _check_stream(responses: list[Any]) -> list[tuple[int, int]]:
    """One style and one capacity; ranges ascending, inside the volume, without overlap. Answers the ranges."""
    assert len({(part.block_metadata_type, part.volume_capacity_bytes) for part in responses}) <= 1
    ranges = [(block.byte_offset, block.size_bytes) for part in responses for block in part.block_metadata]
    end = 0
    for offset, size in ranges:
        assert offset >= end
        assert size > 0
        end = offset + size
    for part in responses:
        assert part.block_metadata_type in {csi.FIXED_LENGTH, csi.VARIABLE_LENGTH}
        assert part.volume_capacity_bytes >= end
        assert part.volume_capacity_bytes == GIB
    return ranges


@BOTH
def test_streams_are_ordered_and_repeatable(call: Client, snapshots: list[Any], build: Any) -> None:
    first = call(build(snapshots))
    assert first, "even a stream without ranges tells style and capacity"
    assert _check_stream(call(build(snapshots))) == _check_stream(first)


@BOTH
def test_a_message_holds_no_more_than_max_results(call: Client, snapshots: list[Any], build: Any) -> None:
    whole = _check_stream(call(build(snapshots)))
    parts = call(build(snapshots, max_results=1))
    assert all(len(part.block_metadata) <= 1 for part in parts)
    assert _check_stream(parts) == whole


@BOTH
def test_a_stream_can_be_resumed_at_any_range(call: Client, snapshots: list[Any], build: Any) -> None:
    whole = _check_stream(call(build(snapshots)))
    for index, (offset, _) in enumerate(whole[:5]):
        assert _check_stream(call(build(snapshots, starting_offset=offset))) == whole[index:]


@BOTH
@pytest.mark.parametrize("offset", [-1, GIB, 1 << 60], ids=["negative", "end", "far"])
def test_offsets_outside_the_volume_are_out_of_range(call: Client, snapshots: Any, build: Any, offset: int) -> None:
    with refused(StatusCode.OUT_OF_RANGE):
        call(build(snapshots, starting_offset=offset))


@BOTH
def test_missing_and_negative_arguments_are_invalid(call: Client, snapshots: list[Any], build: Any) -> None:
    for request in (type(build(snapshots))(), build(snapshots, max_results=-1)):
        with refused(StatusCode.INVALID_ARGUMENT):
            call(request)


def test_unknown_snapshots_are_not_found(call: Client, snapshots: list[Any]) -> None:
    known = snapshots[0].snapshot_id
    for request in (
        csi.GetMetadataAllocatedRequest(snapshot_id="no@such"),
        csi.GetMetadataDeltaRequest(base_snapshot_id="no@such", target_snapshot_id=known),
        csi.GetMetadataDeltaRequest(base_snapshot_id=known, target_snapshot_id="no@such"),
    ):
        with refused(StatusCode.NOT_FOUND):
            call(request)


def test_snapshots_of_different_volumes_have_no_delta(call: Client, snapshots: list[Any]) -> None:
    other = call(create_request("other-blocks", "iscsi")).volume.volume_id
    stranger = call(csi.CreateSnapshotRequest(name="stranger", source_volume_id=other)).snapshot
    with refused(StatusCode.INVALID_ARGUMENT):
        call(_delta([snapshots[0], stranger]))
    call(csi.DeleteSnapshotRequest(snapshot_id=stranger.snapshot_id))
    call(csi.DeleteVolumeRequest(volume_id=other))


def test_each_snapshot_knows_the_size_it_was_cut_at(call: Client, snapshots: list[Any]) -> None:
    volume_id = snapshots[0].source_volume_id
    call(expand_request(volume_id, 2 * GIB))
    later = call(csi.CreateSnapshotRequest(name="blocks-grown", source_volume_id=volume_id)).snapshot
    assert call(csi.GetMetadataAllocatedRequest(snapshot_id=later.snapshot_id))[0].volume_capacity_bytes == 2 * GIB
    assert call(_allocated(snapshots))[0].volume_capacity_bytes == GIB
    call(csi.DeleteSnapshotRequest(snapshot_id=later.snapshot_id))
