"""Group snapshots beyond csi-sanity: the success paths, and the error table of the specification."""

from collections.abc import Iterator
from typing import Any

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.orchestrator import create_request, from_snapshot
from tests.support.rpc import Client, refused


@pytest.fixture
def volumes(call: Client) -> Iterator[list[str]]:
    protocols = ("nfs", "iscsi", "nvmeof")
    made = [call(create_request(f"group-{protocol}", protocol)).volume.volume_id for protocol in protocols]
    yield made
    for volume_id in made:
        call(csi.DeleteVolumeRequest(volume_id=volume_id))
    assert not call(csi.ListVolumesRequest()).entries


@pytest.fixture
def group(call: Client, volumes: list[str]) -> Iterator[Any]:
    made = _create(call, volumes)
    yield made
    call(_named(csi.DeleteVolumeGroupSnapshotRequest, made))
    assert not call(csi.ListSnapshotsRequest()).entries


def _create(call: Client, volume_ids: list[str], name: str = "nightly") -> Any:
    return call(csi.CreateVolumeGroupSnapshotRequest(name=name, source_volume_ids=volume_ids)).group_snapshot


def _named(request: Any, group: Any, members: list[str] | None = None) -> Any:
    """Get or Delete of this group, with all of its members or with those given."""
    ids = [snapshot.snapshot_id for snapshot in group.snapshots] if members is None else members
    return request(group_snapshot_id=group.group_snapshot_id, snapshot_ids=ids)


def test_a_group_has_one_member_per_volume(group: Any, volumes: list[str]) -> None:
    assert group.group_snapshot_id
    assert group.ready_to_use
    assert group.creation_time.seconds > 0
    assert sorted(snapshot.source_volume_id for snapshot in group.snapshots) == sorted(volumes)
    for snapshot in group.snapshots:
        assert snapshot.group_snapshot_id == group.group_snapshot_id
        assert snapshot.ready_to_use
        assert snapshot.creation_time.seconds > 0


def test_a_repeat_answers_the_same_group(call: Client, group: Any, volumes: list[str]) -> None:
    assert _create(call, volumes) == group
    assert _create(call, volumes[::-1]).group_snapshot_id == group.group_snapshot_id
    assert len(call(csi.ListSnapshotsRequest()).entries) == len(volumes)


def test_a_repeat_with_other_volumes_already_exists(call: Client, group: Any, volumes: list[str]) -> None:
    with refused(StatusCode.ALREADY_EXISTS):
        _create(call, volumes[:2])


def test_get_answers_what_create_did(call: Client, group: Any) -> None:
    assert call(_named(csi.GetVolumeGroupSnapshotRequest, group)).group_snapshot == group


@pytest.mark.parametrize("request_type", [csi.GetVolumeGroupSnapshotRequest, csi.DeleteVolumeGroupSnapshotRequest])
def test_members_that_do_not_match_are_invalid(call: Client, group: Any, request_type: Any) -> None:
    stranger = [group.snapshots[0].snapshot_id, "no@such"]
    with refused(StatusCode.INVALID_ARGUMENT):
        call(_named(request_type, group, stranger))
    assert len(call(csi.ListSnapshotsRequest()).entries) == len(group.snapshots)


def test_a_member_cannot_be_deleted_alone(call: Client, group: Any) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        call(csi.DeleteSnapshotRequest(snapshot_id=group.snapshots[0].snapshot_id))


def test_members_are_listed_with_their_group(call: Client, group: Any) -> None:
    entries = call(csi.ListSnapshotsRequest()).entries
    assert {entry.snapshot.snapshot_id: entry.snapshot.group_snapshot_id for entry in entries} == {
        snapshot.snapshot_id: group.group_snapshot_id for snapshot in group.snapshots
    }


def test_a_member_can_be_restored_and_keeps_the_group_alive_meanwhile(call: Client, group: Any, volumes: Any) -> None:
    member = next(snapshot for snapshot in group.snapshots if snapshot.source_volume_id == volumes[0])
    restored = call(create_request("restored", source=from_snapshot(member.snapshot_id))).volume
    assert restored.content_source.snapshot.snapshot_id == member.snapshot_id
    call(csi.DeleteVolumeRequest(volume_id=restored.volume_id))


def test_a_deleted_group_is_gone_and_deleting_it_again_is_ok(call: Client, volumes: list[str]) -> None:
    made = _create(call, volumes, "short-lived")
    for _ in range(2):
        call(_named(csi.DeleteVolumeGroupSnapshotRequest, made))
    with refused(StatusCode.NOT_FOUND):
        call(_named(csi.GetVolumeGroupSnapshotRequest, made))
    assert not call(csi.ListSnapshotsRequest()).entries


def test_a_group_with_an_unknown_volume_leaves_nothing_behind(call: Client, volumes: list[str]) -> None:
    with refused(StatusCode.NOT_FOUND):
        _create(call, [*volumes, "no-such-volume"], "half-made")
    assert not call(csi.ListSnapshotsRequest()).entries
    made = _create(call, volumes, "half-made")
    call(_named(csi.DeleteVolumeGroupSnapshotRequest, made))


def test_a_group_of_nothing_is_invalid(call: Client) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        _create(call, [])
