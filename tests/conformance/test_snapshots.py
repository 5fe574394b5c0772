"""ListSnapshots, GetSnapshot, CreateSnapshot and DeleteSnapshot, as csi-sanity asserts them."""

from typing import Any

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.rpc import refused
from tests.support.sanity import Sanity, check_snapshot, longest, unique

spec = pytest.mark.spec


def _volume_with_snapshot(sanity: Sanity, prefix: str) -> Any:
    volume = sanity.new_volume(f"{prefix}-vol")
    return sanity.snapshot(volume.volume_id, unique(f"{prefix}-snap"))


@spec("ListSnapshots [Controller Server] should return appropriate values (no optional values added)")
def test_listed_snapshots_are_complete(sanity: Sanity) -> None:
    snapshot = _volume_with_snapshot(sanity, "listSnapshots")
    assert [item.snapshot_id for item in sanity.snapshots()] == [snapshot.snapshot_id]


@spec("ListSnapshots [Controller Server] should return snapshots that match the specified snapshot id")
def test_list_by_snapshot_id(sanity: Sanity) -> None:
    snapshots = [_volume_with_snapshot(sanity, f"listSnapshots-{number}") for number in range(3)]
    wanted = snapshots[1].snapshot_id
    assert [item.snapshot_id for item in sanity.snapshots(snapshot_id=wanted)] == [wanted]


@spec("ListSnapshots [Controller Server] should return empty when the specified snapshot id does not exist")
def test_list_by_unknown_snapshot_id(sanity: Sanity) -> None:
    assert sanity.snapshots(snapshot_id="none-exist-id") == []


@spec("ListSnapshots [Controller Server] should return snapshots that match the specified source volume id")
def test_list_by_source_volume(sanity: Sanity) -> None:
    snapshots = [_volume_with_snapshot(sanity, f"listSnapshots-{number}") for number in range(3)]
    found = sanity.snapshots(source_volume_id=snapshots[2].source_volume_id)
    assert [item.snapshot_id for item in found] == [snapshots[2].snapshot_id]


@spec("ListSnapshots [Controller Server] should return empty when the specified source volume id does not exist")
def test_list_by_unknown_source_volume(sanity: Sanity) -> None:
    assert sanity.snapshots(source_volume_id="none-exist-volume-id") == []


@spec("ListSnapshots [Controller Server] check the presence of new snapshots in the snapshot list")
def test_list_follows_create_and_delete(sanity: Sanity) -> None:
    before = len(sanity.snapshots())
    snapshot = _volume_with_snapshot(sanity, "listSnapshots-presence")
    assert len(sanity.snapshots()) == before + 1
    sanity.delete_snapshot(snapshot.snapshot_id)
    assert len(sanity.snapshots()) == before


@spec("ListSnapshots [Controller Server] should return next token when a limited number of entries are requested")
def test_list_by_pages(sanity: Sanity) -> None:
    ids = {_volume_with_snapshot(sanity, f"listSnapshots-page-{number}").snapshot_id for number in range(5)}
    first = sanity.call(csi.ListSnapshotsRequest(max_entries=2))
    assert len(first.entries) == 2
    assert first.next_token
    for _ in range(2):  # a token is not used up
        rest = sanity.call(csi.ListSnapshotsRequest(starting_token=first.next_token))
        assert not rest.next_token
        assert len(rest.entries) == 3
        assert {entry.snapshot.snapshot_id for entry in (*first.entries, *rest.entries)} == ids


@spec("GetSnapshot [Controller Server] should return an error")
def test_get_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.GetSnapshotRequest())


@spec("GetSnapshot [Controller Server] should return snapshot that match the specified snapshot id")
def test_get(sanity: Sanity) -> None:
    snapshot = _volume_with_snapshot(sanity, "getSnapshot")
    found = sanity.call(csi.GetSnapshotRequest(snapshot_id=snapshot.snapshot_id)).snapshot
    check_snapshot(found)
    assert found == snapshot


@spec("GetSnapshot [Controller Server] should return an error when the specified snapshot id does not exist")
def test_get_unknown_id(sanity: Sanity) -> None:
    with refused(StatusCode.NOT_FOUND):
        sanity.call(csi.GetSnapshotRequest(snapshot_id="non-existing-snapshot-id"))


@spec("DeleteSnapshot [Controller Server] should fail when no snapshot id is provided")
def test_delete_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.DeleteSnapshotRequest())


@spec("DeleteSnapshot [Controller Server] should succeed when an invalid snapshot id is used")
def test_delete_of_an_unknown_id(sanity: Sanity) -> None:
    sanity.call(csi.DeleteSnapshotRequest(snapshot_id="reallyfakesnapshotid"))


@spec("DeleteSnapshot [Controller Server] should return appropriate values (no optional values added)")
def test_delete(sanity: Sanity) -> None:
    snapshot = _volume_with_snapshot(sanity, "DeleteSnapshot")
    sanity.delete_snapshot(snapshot.snapshot_id)
    assert sanity.snapshots() == []


@spec("CreateSnapshot [Controller Server] should fail when no name is provided")
def test_create_without_name(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.CreateSnapshotRequest(source_volume_id="testId"))


@spec("CreateSnapshot [Controller Server] should fail when no source volume id is provided")
def test_create_without_source(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.CreateSnapshotRequest(name="name"))


@spec(
    "CreateSnapshot [Controller Server] should succeed when requesting to create a snapshot with already existing name"
    " and same source volume ID"
)
def test_create_twice(sanity: Sanity) -> None:
    volume = sanity.new_volume("CreateSnapshot-volume-1")
    name = unique("CreateSnapshot-snapshot-1")
    assert sanity.snapshot(volume.volume_id, name) == sanity.snapshot(volume.volume_id, name)


@spec(
    "CreateSnapshot [Controller Server] should fail when requesting to create a snapshot with already existing name and"
    " different source volume ID"
)
def test_create_twice_with_another_source(sanity: Sanity) -> None:
    first = sanity.new_volume("CreateSnapshot-volume-2")
    other = sanity.new_volume("CreateSnapshot-volume-3")
    name = unique("CreateSnapshot-snapshot-2")
    sanity.snapshot(first.volume_id, name)
    with refused(StatusCode.ALREADY_EXISTS):
        sanity.call(csi.CreateSnapshotRequest(source_volume_id=other.volume_id, name=name))


@spec("CreateSnapshot [Controller Server] should succeed when creating snapshot with maximum-length name")
def test_create_with_the_longest_name(sanity: Sanity) -> None:
    volume = sanity.new_volume("CreateSnapshot-volume-3")
    name = longest("CreateSnapshot-snapshot-3")
    assert sanity.snapshot(volume.volume_id, name) == sanity.snapshot(volume.volume_id, name)
