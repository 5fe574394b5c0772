"""Controller Service: capabilities, capacity, ListVolumes, CreateVolume and DeleteVolume, as csi-sanity asserts them."""

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.rpc import refused
from tests.support.sanity import FAKE_KEY, MUTABLE, VOLUME_BYTES, Sanity, longest, unique

spec = pytest.mark.spec


@spec("Controller Service [Controller Server] ControllerGetCapabilities should return appropriate capabilities")
def test_controller_capabilities_are_known_ones(sanity: Sanity) -> None:
    capabilities = sanity.call(csi.ControllerGetCapabilitiesRequest()).capabilities
    assert all(item.WhichOneof("type") == "rpc" for item in capabilities)
    # With today's suite every number outside 1..15 fails, and each of these being there is what leaves no spec skipped.
    assert {item.rpc.type for item in capabilities} == set(range(1, 16)) - {11}


@spec("Controller Service [Controller Server] GetCapacity should return capacity (no optional values added)")
def test_capacity_of_an_empty_request(sanity: Sanity) -> None:
    assert sanity.call(csi.GetCapacityRequest()).available_capacity > 0


@spec("Controller Service [Controller Server] ListVolumes should return appropriate values (no optional values added)")
def test_listed_volumes_have_ids(sanity: Sanity) -> None:
    sanity.new_volume("sanity-list")
    response = sanity.call(csi.ListVolumesRequest())
    assert len(response.entries) == 1
    assert all(entry.volume.volume_id for entry in response.entries)


@spec("Controller Service [Controller Server] ListVolumes should fail when an invalid starting_token is passed")
def test_invalid_starting_token_is_aborted(sanity: Sanity) -> None:
    with refused(StatusCode.ABORTED):
        sanity.call(csi.ListVolumesRequest(starting_token="invalid-token"))


@spec(
    "Controller Service [Controller Server] ListVolumes check the presence of new volumes and absence of deleted ones"
    " in the volume list"
)
def test_list_follows_create_and_delete(sanity: Sanity) -> None:
    before = len(sanity.volume_ids())
    volume = sanity.create(sanity.volume_request("sanity"))
    assert len(sanity.volume_ids()) == before + 1
    sanity.delete_volume(volume.volume_id)
    assert len(sanity.volume_ids()) == before


@spec(
    "Controller Service [Controller Server] ListVolumes pagination should detect volumes added between pages and accept"
    " tokens when the last volume from a page is deleted"
)
def test_pages_stand_changes_between_them(sanity: Sanity) -> None:
    """Always pending in the suite itself; run here. The new name sorts last, so that any order by key shows it."""
    for number in range(3):
        sanity.new_volume(f"sanity-page-{number}")
    first = sanity.call(csi.ListVolumesRequest(max_entries=2))
    assert len(first.entries) == 2
    assert first.next_token
    seen = [entry.volume.volume_id for entry in first.entries]
    sanity.delete_volume(seen[1])
    added = sanity.new_volume("zz-added-between-pages")
    rest = sanity.call(csi.ListVolumesRequest(starting_token=first.next_token))
    listed = [entry.volume.volume_id for entry in rest.entries]
    assert added.volume_id in listed
    assert len(listed) == 2
    assert not set(listed) & set(seen)
    assert not rest.next_token


@spec("Controller Service [Controller Server] CreateVolume should fail when no name is provided")
def test_create_without_name(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.CreateVolumeRequest())


@spec("Controller Service [Controller Server] CreateVolume should fail when no volume capabilities are provided")
def test_create_without_capabilities(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.CreateVolumeRequest(name=unique("sanity-controller-create-no-volume-capabilities")))


@spec(
    "Controller Service [Controller Server] CreateVolume should return appropriate values SingleNodeWriter NoCapacity"
)
def test_create_single_node_writer(sanity: Sanity) -> None:
    sanity.new_volume("sanity-controller-create-single-no-capacity")


@spec(
    "Controller Service [Controller Server] CreateVolume should return appropriate values SingleNodeWriter WithCapacity"
    " 1Gi"
)
def test_create_with_capacity(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-controller-create-single-with-capacity")
    assert volume.capacity_bytes >= VOLUME_BYTES


@spec(
    "Controller Service [Controller Server] CreateVolume should not fail when requesting to create a volume with already"
    " existing name and same capacity"
)
def test_create_twice(sanity: Sanity) -> None:
    request = sanity.volume_request(unique("sanity-controller-create-twice"))
    first, second = sanity.create(request), sanity.create(request)
    assert first == second
    assert second.capacity_bytes >= VOLUME_BYTES


@spec(
    "Controller Service [Controller Server] CreateVolume should fail when requesting to create a volume with already"
    " existing name and different capacity"
)
def test_create_twice_with_another_size(sanity: Sanity) -> None:
    request = sanity.volume_request(unique("sanity-controller-create-twice-different"))
    request.capacity_range.limit_bytes = VOLUME_BYTES
    assert sanity.create(request).capacity_bytes == VOLUME_BYTES
    request.capacity_range.required_bytes = request.capacity_range.limit_bytes = 2 * VOLUME_BYTES
    with refused(StatusCode.ALREADY_EXISTS):
        sanity.call(request)


@spec(
    "Controller Service [Controller Server] CreateVolume should not fail when creating volume with maximum-length name"
)
def test_create_with_the_longest_name(sanity: Sanity) -> None:
    sanity.create(sanity.volume_request(longest("sanity-controller-create-maxlen")))


@spec("Controller Service [Controller Server] CreateVolume should create volume from an existing source snapshot")
def test_create_from_snapshot(sanity: Sanity) -> None:
    source = sanity.new_volume("sanity-controller-source-vol")
    snapshot = sanity.snapshot(source.volume_id, unique("sanity-controller-snap-from-vol"))
    assert snapshot.ready_to_use
    origin = csi.VolumeContentSource.SnapshotSource(snapshot_id=snapshot.snapshot_id)
    volume = sanity.new_volume(
        "sanity-controller-vol-from-snap", volume_content_source=csi.VolumeContentSource(snapshot=origin)
    )
    assert volume.content_source.snapshot == origin


@spec("Controller Service [Controller Server] CreateVolume should fail when the volume source snapshot is not found")
def test_create_from_missing_snapshot(sanity: Sanity) -> None:
    origin = csi.VolumeContentSource.SnapshotSource(snapshot_id="non-existing-snapshot-id")
    request = sanity.volume_request(
        unique("sanity-controller-vol-from-snap"), volume_content_source=csi.VolumeContentSource(snapshot=origin)
    )
    with refused(StatusCode.NOT_FOUND):
        sanity.call(request)


@spec("Controller Service [Controller Server] CreateVolume should create volume from an existing source volume")
def test_create_from_volume(sanity: Sanity) -> None:
    source = sanity.new_volume("sanity-controller-source-vol")
    origin = csi.VolumeContentSource.VolumeSource(volume_id=source.volume_id)
    volume = sanity.new_volume(
        "sanity-controller-vol-from-vol", volume_content_source=csi.VolumeContentSource(volume=origin)
    )
    assert volume.content_source.volume == origin


@spec("Controller Service [Controller Server] CreateVolume should fail when the volume source volume is not found")
def test_create_from_missing_volume(sanity: Sanity) -> None:
    origin = csi.VolumeContentSource.VolumeSource(volume_id=unique("sanity-non-existing-volume"))
    request = sanity.volume_request(
        unique("sanity-controller-vol-from-snap"), volume_content_source=csi.VolumeContentSource(volume=origin)
    )
    with refused(StatusCode.NOT_FOUND):
        sanity.call(request)


@spec("Controller Service [Controller Server] CreateVolume should create volume with a volume attribute class")
def test_create_with_mutable_parameters(sanity: Sanity) -> None:
    sanity.new_volume("sanity-controller-vol-with-mutable-parameters", mutable_parameters=MUTABLE)


@spec(
    "Controller Service [Controller Server] CreateVolume should not create volume with an invalid volume attribute class"
)
def test_create_with_unknown_mutable_parameters(sanity: Sanity) -> None:
    name = unique("sanity-controller-vol-with-mutable-parameters")
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(sanity.volume_request(name, mutable_parameters=FAKE_KEY))


@spec("Controller Service [Controller Server] DeleteVolume should fail when no volume id is provided")
def test_delete_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.DeleteVolumeRequest())


@spec("Controller Service [Controller Server] DeleteVolume should succeed when an invalid volume id is used")
def test_delete_of_an_unknown_id(sanity: Sanity) -> None:
    sanity.call(csi.DeleteVolumeRequest(volume_id="fake-vol-id"))


@spec("Controller Service [Controller Server] DeleteVolume should return appropriate values (no optional values added)")
def test_delete(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-controller-create-appropriate")
    sanity.delete_volume(volume.volume_id)
    assert volume.volume_id not in sanity.volume_ids()
