"""The whole life of a volume over each protocol and access type, with what csi-sanity does not look at."""

from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.orchestrator import GIB, create_request, expand_request, from_snapshot, from_volume
from tests.support.rpc import Client, refused
from tests.support.sanity import Mode, Sanity, unique

KINDS = [("nfs", "mount"), ("iscsi", "mount"), ("iscsi", "block"), ("nvmeof", "mount"), ("nvmeof", "block")]


@pytest.fixture(params=KINDS, ids=["-".join(kind) for kind in KINDS])
def kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
def access_type(kind: tuple[str, str]) -> str:
    return kind[1]


@pytest.fixture
def volume(sanity: Sanity, kind: tuple[str, str]) -> Any:
    made = sanity.new_volume("life", parameters={"protocol": kind[0]})
    assert made.volume_context["protocol"] == kind[0]
    return made


def test_published_at_the_target_and_taken_off_again(sanity: Sanity, volume: Any) -> None:
    target = Path(sanity.to_the_node(volume))
    assert target.exists()
    with refused(StatusCode.FAILED_PRECONDITION):
        sanity.call(csi.NodeUnstageVolumeRequest(volume_id=volume.volume_id, staging_target_path=sanity.staging))
    for _ in range(2):
        sanity.call(csi.NodeUnpublishVolumeRequest(volume_id=volume.volume_id, target_path=str(target)))
    assert not target.exists()
    for _ in range(2):
        sanity.call(csi.NodeUnstageVolumeRequest(volume_id=volume.volume_id, staging_target_path=sanity.staging))
    with refused(StatusCode.NOT_FOUND):
        sanity.call(csi.NodeGetVolumeStatsRequest(volume_id=volume.volume_id, volume_path=str(target)))


def test_the_same_target_with_other_arguments_already_exists(sanity: Sanity, volume: Any) -> None:
    sanity.to_the_node(volume)
    request = sanity.publish_request(volume, {})
    request.readonly = True
    with refused(StatusCode.ALREADY_EXISTS):
        sanity.call(request)


def test_publishing_needs_the_staging_path(sanity: Sanity, volume: Any) -> None:
    context = sanity.attach(volume, sanity.node().node_id)
    request = sanity.publish_request(volume, context)
    request.staging_target_path = ""
    with refused(StatusCode.FAILED_PRECONDITION):
        sanity.call(request)
    assert not Path(sanity.target).exists()


def test_a_second_target_depends_on_the_access_mode(sanity: Sanity, volume: Any) -> None:
    sanity.to_the_node(volume)
    other = str(sanity.mount_dir / "other")
    with refused(StatusCode.FAILED_PRECONDITION):
        sanity.call(sanity.publish_request(volume, {}, other))
    assert not Path(other).exists()


def test_online_expansion_reaches_the_node(sanity: Sanity, volume: Any, kind: tuple[str, str]) -> None:
    target = sanity.to_the_node(volume)
    grown = sanity.call(expand_request(volume.volume_id, 20 * GIB))
    assert grown.capacity_bytes == 20 * GIB
    assert grown.node_expansion_required is (kind[0] != "nfs")
    node_request = csi.NodeExpandVolumeRequest(
        volume_id=volume.volume_id,
        volume_path=target,
        staging_target_path=sanity.staging,
        capacity_range=csi.CapacityRange(required_bytes=20 * GIB),
    )
    for _ in range(2):
        sanity.call(node_request)
    usage = sanity.call(csi.NodeGetVolumeStatsRequest(volume_id=volume.volume_id, volume_path=target)).usage
    assert next(item.total for item in usage if item.unit == csi.VolumeUsage.BYTES) == pytest.approx(20 * GIB, rel=0.1)
    assert sanity.call(expand_request(volume.volume_id, 10 * GIB)).capacity_bytes == 20 * GIB


def test_clones_and_restores_outlive_nothing_they_need(sanity: Sanity, volume: Any, kind: tuple[str, str]) -> None:
    parameters = {"protocol": kind[0]}
    snapshot = sanity.snapshot(volume.volume_id, "life-snap")
    assert snapshot.snapshot_id == f"{volume.volume_id}@life-snap"
    assert snapshot.size_bytes == volume.capacity_bytes
    sources = {"restored": from_snapshot(snapshot.snapshot_id), "cloned": from_volume(volume.volume_id)}
    for name, source in sources.items():
        made = sanity.new_volume(name, parameters=parameters, volume_content_source=source)
        assert made.content_source == source
        assert made.capacity_bytes >= volume.capacity_bytes
        again = sanity.new_volume(name, parameters=parameters, volume_content_source=source)
        assert again == made
        with refused(StatusCode.ALREADY_EXISTS):
            sanity.call(sanity.volume_request(unique(name), parameters=parameters))
    assert [item.snapshot_id for item in sanity.snapshots()] == [snapshot.snapshot_id]


def test_other_access_modes_and_protocols_of_an_existing_name_conflict(
    sanity: Sanity, volume: Any, kind: tuple[str, str]
) -> None:
    other = "iscsi" if kind[0] != "iscsi" else "nvmeof"
    request = sanity.volume_request(volume.volume_id, parameters={"protocol": kind[0]})
    assert sanity.create(request) == sanity.create(request)
    request.parameters["protocol"] = other
    with refused(StatusCode.ALREADY_EXISTS):
        sanity.call(request)


def test_a_mode_that_the_volume_cannot_have_is_not_confirmed(sanity: Sanity, volume: Any) -> None:
    request = csi.ValidateVolumeCapabilitiesRequest(volume_id=volume.volume_id)
    capability = sanity.capability(Mode.UNKNOWN)
    request.volume_capabilities.append(capability)
    try_unknown = csi.CreateVolumeRequest(name="unknown-mode", volume_capabilities=[capability])
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(try_unknown)
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(request)


def test_block_access_over_nfs_is_refused(call: Client) -> None:
    request = create_request("nfs-block", "iscsi")
    request.parameters["protocol"] = "nfs"
    with refused(StatusCode.INVALID_ARGUMENT):
        call(request)


@pytest.mark.parametrize("value", ["smb", "", "NFS ", "../nfs"])
def test_unknown_protocols_are_refused(call: Client, value: str) -> None:
    request = create_request("odd-protocol")
    request.parameters["protocol"] = value
    with refused(StatusCode.INVALID_ARGUMENT):
        call(request)


def test_modify_applies_nothing_when_one_key_is_wrong(call: Client) -> None:
    volume_id = call(create_request("partial")).volume.volume_id
    for bad in ({"sync": "sometimes"}, {"compression": "lz4", "unheard-of": "1"}):
        with refused(StatusCode.INVALID_ARGUMENT):
            call(csi.ControllerModifyVolumeRequest(volume_id=volume_id, mutable_parameters=bad))
    good = csi.ControllerModifyVolumeRequest(
        volume_id=volume_id, mutable_parameters={"compression": "off", "sync": "disabled", "comments": "for tests"}
    )
    assert call(good) == call(good)
    call(csi.DeleteVolumeRequest(volume_id=volume_id))


def test_a_topology_elsewhere_cannot_be_served(call: Client) -> None:
    request = create_request("elsewhere")
    request.accessibility_requirements.requisite.add().segments["topology.elsewhere/zone"] = "moon"
    with refused(StatusCode.RESOURCE_EXHAUSTED, StatusCode.INVALID_ARGUMENT):
        call(request)
