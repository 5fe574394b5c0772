"""Size limits, banned characters and paths of the specification, field by field."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.orchestrator import GIB, capability, create_request, expand_request, from_snapshot, node_requests
from tests.support.processes import NODE_ID
from tests.support.rpc import Client, refused

_NUMBERS = count()
OUTSIDE = [
    "relative/path",
    "../up",
    "{root}/../outside",
    "{root}/a/../../outside",
    "{root}/nul\x00",
]


@pytest.fixture
def volume(call: Client) -> Iterator[Any]:
    """Each test has another one: what a node keeps about it cannot come from an earlier test."""
    made = call(create_request(f"limits-{next(_NUMBERS)}")).volume
    yield made
    for entry in call(csi.ListSnapshotsRequest(source_volume_id=made.volume_id)).entries:
        call(csi.DeleteSnapshotRequest(snapshot_id=entry.snapshot.snapshot_id))
    call(csi.DeleteVolumeRequest(volume_id=made.volume_id))


def _names(volume_id: str, name: str) -> list[Any]:
    return [
        create_request(name),
        csi.CreateSnapshotRequest(name=name, source_volume_id=volume_id),
        csi.CreateVolumeGroupSnapshotRequest(name=name, source_volume_ids=[volume_id]),
    ]


def _delete(call: Client, response: Any) -> None:
    match response:
        case csi.CreateVolumeResponse():
            call(csi.DeleteVolumeRequest(volume_id=response.volume.volume_id))
        case csi.CreateSnapshotResponse():
            call(csi.DeleteSnapshotRequest(snapshot_id=response.snapshot.snapshot_id))
        case csi.CreateVolumeGroupSnapshotResponse():
            group = response.group_snapshot
            members = [snapshot.snapshot_id for snapshot in group.snapshots]
            call(csi.DeleteVolumeGroupSnapshotRequest(group_snapshot_id=group.group_snapshot_id, snapshot_ids=members))


@pytest.mark.parametrize("name", ["n" * 128, "ü" * 64, "N / @ #", "Ünï cödé 🐟"], ids=["ascii", "utf-8", "odd", "fish"])
@pytest.mark.parametrize("kind", [0, 1, 2], ids=["volume", "snapshot", "group"])
def test_names_of_128_bytes_are_accepted(call: Client, volume: Any, kind: int, name: str) -> None:
    request = _names(volume.volume_id, name)[kind]
    first = call(request)
    assert call(request) == first
    _delete(call, first)


@pytest.mark.parametrize(
    "name",
    ["n" * 129, "ü" * 64 + "n", "a\x00b", "a\nb", "\x1b[0m", "a\x7f", "\u0085"],
    ids=["129", "129-utf-8", "nul", "newline", "escape", "delete", "c1"],
)
@pytest.mark.parametrize("kind", [0, 1, 2], ids=["volume", "snapshot", "group"])
def test_longer_names_and_control_characters_are_refused(call: Client, volume: Any, kind: int, name: str) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        call(_names(volume.volume_id, name)[kind])


@pytest.mark.parametrize("field", ["parameters", "mutable_parameters", "secrets"])
def test_maps_over_4_kib_are_refused(call: Client, field: str) -> None:
    request = create_request("big-map")
    getattr(request, field).update({f"key-{number}": "v" * 100 for number in range(50)})
    with refused(StatusCode.INVALID_ARGUMENT):
        call(request)


@pytest.mark.parametrize(
    "wanted",
    [
        csi.CapacityRange(required_bytes=-1),
        csi.CapacityRange(limit_bytes=-1),
        csi.CapacityRange(required_bytes=GIB, limit_bytes=-GIB),
        csi.CapacityRange(required_bytes=2 * GIB, limit_bytes=GIB),
        csi.CapacityRange(),
    ],
    ids=["required", "limit", "negative-limit", "limit-below-required", "neither"],
)
def test_impossible_sizes_are_refused(call: Client, volume: Any, wanted: csi.CapacityRange) -> None:
    request = create_request("negative")
    request.capacity_range.CopyFrom(wanted)
    expand = csi.ControllerExpandVolumeRequest(volume_id=volume.volume_id, capacity_range=wanted)
    for refused_request in (request, expand):
        with refused(StatusCode.INVALID_ARGUMENT, StatusCode.OUT_OF_RANGE):
            call(refused_request)


def test_negative_counts_are_refused(call: Client) -> None:
    for request in (csi.ListVolumesRequest(max_entries=-1), csi.ListSnapshotsRequest(max_entries=-1)):
        with refused(StatusCode.INVALID_ARGUMENT):
            call(request)


def test_what_does_not_fit_the_pool_is_out_of_range_or_exhausted(call: Client, volume: Any) -> None:
    for request in (create_request("huge", size_bytes=1 << 60), expand_request(volume.volume_id, 1 << 60)):
        with refused(StatusCode.OUT_OF_RANGE, StatusCode.RESOURCE_EXHAUSTED):
            call(request)


def test_a_volume_smaller_than_its_source_is_out_of_range(call: Client, volume: Any) -> None:
    grown = call(expand_request(volume.volume_id, 3 * GIB))
    assert grown.capacity_bytes == 3 * GIB
    snapshot = call(csi.CreateSnapshotRequest(name="of-3-gib", source_volume_id=volume.volume_id)).snapshot
    request = create_request("smaller", size_bytes=GIB, source=from_snapshot(snapshot.snapshot_id))
    request.capacity_range.limit_bytes = 2 * GIB
    with refused(StatusCode.OUT_OF_RANGE):
        call(request)


@pytest.mark.parametrize("odd", ["../../etc", "a/b", "tank/csi", ".", "..", "\x00", "v" * 5000, "a@b@c", "-rf", "*"])
def test_ids_that_cannot_be_ours_are_not_found(call: Client, odd: str) -> None:
    """Deleting what cannot exist is OK; so is refusing an id that is too long or banned."""
    for gone in (
        csi.DeleteVolumeRequest(volume_id=odd),
        csi.DeleteSnapshotRequest(snapshot_id=odd),
        csi.ControllerUnpublishVolumeRequest(volume_id=odd, node_id=NODE_ID),
    ):
        _ok_or(call, gone, StatusCode.INVALID_ARGUMENT)
    for request in (
        csi.ControllerGetVolumeRequest(volume_id=odd),
        csi.GetSnapshotRequest(snapshot_id=odd),
        expand_request(odd, GIB),
        csi.ValidateVolumeCapabilitiesRequest(volume_id=odd, volume_capabilities=[capability("nfs")]),
        create_request("from-odd", source=from_snapshot(odd)),
    ):
        with refused(StatusCode.NOT_FOUND, StatusCode.INVALID_ARGUMENT):
            call(request)


def _ok_or(call: Client, request: Any, code: StatusCode) -> None:
    try:
        call(request)
    except grpc.RpcError as error:
        answered: StatusCode = error.code()
    else:
        return
    assert answered is code


@pytest.fixture
def attached(call: Client, volume: Any) -> Iterator[Any]:
    """The volume, published on the node and not staged yet."""
    attach = csi.ControllerPublishVolumeRequest(
        volume_id=volume.volume_id, node_id=NODE_ID, volume_capability=capability("nfs")
    )
    call(attach)
    yield volume
    call(csi.ControllerUnpublishVolumeRequest(volume_id=volume.volume_id, node_id=NODE_ID))


@pytest.fixture
def staged(call: Client, attached: Any, tmp_path: Path) -> Iterator[str]:
    """A path at which the volume is really staged, so that nothing but the path given is wrong."""
    staging = tmp_path / "staging"
    staging.mkdir()
    call(node_requests(attached, "nfs", {}, str(staging), "")[0])
    yield str(staging)
    call(csi.NodeUnstageVolumeRequest(volume_id=attached.volume_id, staging_target_path=str(staging)))


@pytest.mark.parametrize("path", OUTSIDE, ids=["relative", "up", "climb", "climb-deep", "nul"])
def test_paths_that_lead_elsewhere_are_refused(
    call: Client, volume: Any, staged: str, tmp_path: Path, path: str
) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    bad = path.format(root=root)
    for request in (
        node_requests(volume, "nfs", {}, bad, staged)[0],
        node_requests(volume, "nfs", {}, staged, bad)[1],
        csi.NodeUnpublishVolumeRequest(volume_id=volume.volume_id, target_path=bad),
        csi.NodeUnstageVolumeRequest(volume_id=volume.volume_id, staging_target_path=bad),
    ):
        with refused(StatusCode.INVALID_ARGUMENT):
            call(request)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["outside", "root", "staging"]
    assert [entry.name for entry in root.iterdir()] == ["a"]


IMPOSSIBLE = {
    "component-too-long": "x" * 256,
    "path-too-long": "/".join(["y" * 200] * 21),
    "below-a-file": "file/target",
    "a-file": "file",
    "a-loop": "loop/target",
}


@pytest.mark.parametrize("name", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_target_that_cannot_be_made_is_refused_and_nothing_is_stuck(
    call: Client, volume: Any, staged: str, tmp_path: Path, name: str
) -> None:
    """Afterwards the volume can still be published elsewhere, and `staged` unstages it."""
    (tmp_path / "file").write_text("somebody's")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with refused(StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION):
        call(node_requests(volume, "nfs", {}, staged, str(tmp_path / name))[1])
    good = str(tmp_path / "good")
    call(node_requests(volume, "nfs", {}, staged, good)[1])
    call(csi.NodeUnpublishVolumeRequest(volume_id=volume.volume_id, target_path=good))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "loop", "staging"]
    assert (tmp_path / "file").read_text() == "somebody's"


@pytest.mark.parametrize("name", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_staging_path_that_cannot_be_made_is_refused_and_nothing_is_stuck(
    call: Client, attached: Any, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("somebody's")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with refused(StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION):
        call(node_requests(attached, "nfs", {}, str(tmp_path / name), "")[0])
    good = tmp_path / "good"
    good.mkdir()
    call(node_requests(attached, "nfs", {}, str(good), "")[0])
    call(csi.NodeUnstageVolumeRequest(volume_id=attached.volume_id, staging_target_path=str(good)))
    assert (tmp_path / "file").read_text() == "somebody's"


def test_node_ids_up_to_256_bytes_are_looked_up_and_longer_ones_refused(call: Client, volume: Any) -> None:
    request = csi.ControllerPublishVolumeRequest(
        volume_id=volume.volume_id, node_id="n" * 256, volume_capability=capability("nfs")
    )
    with refused(StatusCode.NOT_FOUND):
        call(request)
    request.node_id = "n" * 257
    with refused(StatusCode.INVALID_ARGUMENT):
        call(request)
