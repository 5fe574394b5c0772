"""Pages, ControllerGetVolume and published nodes: what csi-sanity leaves out of the lists."""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.orchestrator import GIB, capability, create_request
from tests.support.processes import NODE_ID
from tests.support.rpc import Client, refused

COUNT = 7


@pytest.fixture
def volumes(call: Client) -> Iterator[list[Any]]:
    made = [call(create_request(f"list-{number}")).volume for number in range(COUNT)]
    yield made
    for volume in made:
        call(csi.DeleteVolumeRequest(volume_id=volume.volume_id))


@pytest.fixture
def snapshots(call: Client, volumes: list[Any]) -> Iterator[list[Any]]:
    """Four of one volume, and one each of the next three."""
    sources = [volumes[0]] * 4 + volumes[1:4]
    made = [
        call(csi.CreateSnapshotRequest(name=f"snap-{number}", source_volume_id=source.volume_id)).snapshot
        for number, source in enumerate(sources)
    ]
    yield made
    for snapshot in made:
        call(csi.DeleteSnapshotRequest(snapshot_id=snapshot.snapshot_id))


def _all_pages(call: Client, request: Any, item_id: Callable[[Any], str]) -> list[list[str]]:
    pages: list[list[str]] = []
    while True:
        response = call(request)
        pages.append([item_id(entry) for entry in response.entries])
        if not response.next_token:
            return pages
        assert len(pages) < 50, "paging does not end"
        request.starting_token = response.next_token


@pytest.mark.parametrize("page", [1, 2, 3, COUNT, COUNT + 1])
def test_volume_pages_add_up_to_every_volume_once(call: Client, volumes: list[Any], page: int) -> None:
    request = csi.ListVolumesRequest(max_entries=page)
    pages = _all_pages(call, request, lambda entry: str(entry.volume.volume_id))
    assert sorted(chain.from_iterable(pages)) == sorted(volume.volume_id for volume in volumes)
    assert all(len(ids) == page for ids in pages[:-1])
    assert pages[-1], "a next_token must not lead to an empty page"


@pytest.mark.parametrize("page", [1, 2, COUNT, COUNT + 1])
def test_snapshot_pages_add_up_to_every_snapshot_once(call: Client, snapshots: list[Any], page: int) -> None:
    request = csi.ListSnapshotsRequest(max_entries=page)
    pages = _all_pages(call, request, lambda entry: str(entry.snapshot.snapshot_id))
    assert sorted(chain.from_iterable(pages)) == sorted(snapshot.snapshot_id for snapshot in snapshots)
    assert pages[-1]


def test_snapshot_pages_of_one_volume(call: Client, snapshots: list[Any], volumes: list[Any]) -> None:
    request = csi.ListSnapshotsRequest(max_entries=3, source_volume_id=volumes[0].volume_id)
    pages = _all_pages(call, request, lambda entry: str(entry.snapshot.snapshot_id))
    assert sorted(chain.from_iterable(pages)) == sorted(snapshot.snapshot_id for snapshot in snapshots[:4])


@pytest.mark.parametrize("token", ["invalid-token", "0", "-1", "7", "../x", "é", "\x00", "t" * 128])
def test_tokens_that_were_never_given_out_are_aborted(call: Client, volumes: list[Any], token: str) -> None:
    for request in (csi.ListVolumesRequest(starting_token=token), csi.ListSnapshotsRequest(starting_token=token)):
        with refused(StatusCode.ABORTED, *([StatusCode.INVALID_ARGUMENT] if "\x00" in token else [])):
            call(request)


def test_get_volume_answers_what_create_and_list_do(call: Client, volumes: list[Any]) -> None:
    listed = {entry.volume.volume_id: entry.volume for entry in call(csi.ListVolumesRequest()).entries}
    for volume in volumes:
        found = call(csi.ControllerGetVolumeRequest(volume_id=volume.volume_id)).volume
        assert found == volume
        assert listed[volume.volume_id] == volume
        assert volume.capacity_bytes == GIB
        assert volume.volume_context["protocol"] == "nfs"
    with refused(StatusCode.NOT_FOUND):
        call(csi.ControllerGetVolumeRequest(volume_id="no-such-volume"))
    with refused(StatusCode.INVALID_ARGUMENT):
        call(csi.ControllerGetVolumeRequest())


def test_published_nodes_are_shown_and_forgotten(call: Client, volumes: list[Any], tmp_path: Path) -> None:
    volume_id = volumes[2].volume_id
    attach = csi.ControllerPublishVolumeRequest(
        volume_id=volume_id, node_id=NODE_ID, volume_capability=capability("nfs")
    )
    assert _published(call, volume_id) == []
    call(attach)
    assert _published(call, volume_id) == [NODE_ID]
    with refused(StatusCode.FAILED_PRECONDITION):
        call(csi.DeleteVolumeRequest(volume_id=volume_id))
    call(csi.ControllerUnpublishVolumeRequest(volume_id=volume_id))  # no node: from all of them
    assert _published(call, volume_id) == []


def _published(call: Client, volume_id: str) -> list[str]:
    """The same from both calls that tell it."""
    got = list(call(csi.ControllerGetVolumeRequest(volume_id=volume_id)).status.published_node_ids)
    entries = call(csi.ListVolumesRequest()).entries
    listed = [list(entry.status.published_node_ids) for entry in entries if entry.volume.volume_id == volume_id]
    assert listed == [got]
    return got


def test_a_volume_with_snapshots_is_not_deleted(call: Client, snapshots: list[Any], volumes: list[Any]) -> None:
    with refused(StatusCode.FAILED_PRECONDITION):
        call(csi.DeleteVolumeRequest(volume_id=volumes[0].volume_id))
    assert len(call(csi.ListSnapshotsRequest(source_volume_id=volumes[0].volume_id)).entries) == 4


def test_capacity_shrinks_with_what_is_reserved(call: Client) -> None:
    before = call(csi.GetCapacityRequest())
    assert before.available_capacity > 0
    if before.HasField("maximum_volume_size"):
        assert before.maximum_volume_size.value <= before.available_capacity
    nowhere = csi.GetCapacityRequest(accessible_topology=csi.Topology(segments={"topology.elsewhere/zone": "moon"}))
    assert call(nowhere).available_capacity == 0
