"""GroupController Service, as csi-sanity asserts it: error paths only; test_group_snapshots.py has the rest."""

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.rpc import refused
from tests.support.sanity import Sanity

spec = pytest.mark.spec


@spec(
    "GroupController Service [GroupController Server] GroupControllerGetCapabilities should return appropriate capabilities"
)
def test_group_capabilities(sanity: Sanity) -> None:
    capabilities = sanity.call(csi.GroupControllerGetCapabilitiesRequest()).capabilities
    assert [item.rpc.type for item in capabilities] == [
        csi.GroupControllerServiceCapability.RPC.CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT
    ]


@spec(
    "GroupController Service [GroupController VolumeGroupSnapshots] CreateVolumeGroupSnapshot should fail when no name"
    " is provided"
)
def test_create_without_name(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.CreateVolumeGroupSnapshotRequest())


@spec(
    "GroupController Service [GroupController VolumeGroupSnapshots] GetVolumeGroupSnapshot should fail when no volume id"
    " is provided"
)
def test_get_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.GetVolumeGroupSnapshotRequest())


@spec(
    "GroupController Service [GroupController VolumeGroupSnapshots] GetVolumeGroupSnapshot should fail when an invalid"
    " volume id is used"
)
def test_get_unknown_id(sanity: Sanity) -> None:
    with refused(StatusCode.NOT_FOUND):
        sanity.call(csi.GetVolumeGroupSnapshotRequest(group_snapshot_id="fake-vol-id"))


@spec(
    "GroupController Service [GroupController VolumeGroupSnapshots] DeleteVolumeGroupSnapshot should fail when no volume"
    " id is provided"
)
def test_delete_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.DeleteVolumeGroupSnapshotRequest())


@spec(
    "GroupController Service [GroupController VolumeGroupSnapshots] DeleteVolumeGroupSnapshot should succeed when an"
    " invalid volume id is used"
)
def test_delete_of_an_unknown_id(sanity: Sanity) -> None:
    sanity.call(csi.DeleteVolumeGroupSnapshotRequest(group_snapshot_id="fake-vol-id"))
