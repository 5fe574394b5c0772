"""The alpha health RPCs of CSI 1.13: served, and advertised only when asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.orchestrator import capability, create_request, node_requests
from tests.support.processes import NODE_ID
from tests.support.proxied import plugin
from tests.support.rpc import Client, refused

CONTROLLER = csi.ControllerServiceCapability.RPC
NODE = csi.NodeServiceCapability.RPC


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = plugin(tmp_path_factory.mktemp("health"), "--enable", "volume-health").start()
    client = Client(server.directory / "csi.sock")
    yield client
    client.close()
    server.stop()


def test_advertised_on_request_only(healthy: Client, call: Client) -> None:
    def numbers(client: Client) -> tuple[set[int], set[int]]:
        controller = client(csi.ControllerGetCapabilitiesRequest()).capabilities
        node = client(csi.NodeGetCapabilitiesRequest()).capabilities
        return {item.rpc.type for item in controller}, {item.rpc.type for item in node}

    with_health, without = numbers(healthy), numbers(call)
    assert with_health[0] - without[0] == {CONTROLLER.GET_VOLUME_HEALTH, CONTROLLER.LIST_VOLUME_HEALTH}
    assert with_health[1] - without[1] == {NODE.GET_VOLUME_HEALTH, NODE.GET_STORAGE_HEALTH}
    assert with_health[0] >= without[0]
    assert with_health[1] >= without[1]


def test_a_healthy_volume_has_no_entries(healthy: Client, tmp_path: Path) -> None:
    volume = healthy(create_request("well")).volume
    health = healthy(csi.ControllerGetVolumeHealthRequest(volume_id=volume.volume_id)).volume_health
    assert health.volume_id == volume.volume_id
    assert list(health.health_statuses) == []
    assert list(healthy(csi.ControllerListVolumeHealthRequest()).entries) == []
    staging, target = str(tmp_path / "staging"), str(tmp_path / "target")
    Path(staging).mkdir()
    attach = csi.ControllerPublishVolumeRequest(
        volume_id=volume.volume_id, node_id=NODE_ID, volume_capability=capability("nfs")
    )
    for request in node_requests(volume, "nfs", healthy(attach).publish_context, staging, target):
        healthy(request)
    on_node = healthy(
        csi.NodeGetVolumeHealthRequest(
            volume_id=volume.volume_id, volume_publish_path=target, staging_target_path=staging
        )
    ).volume_health
    assert on_node.volume_id == volume.volume_id
    assert list(on_node.health_statuses) == []
    healthy(csi.NodeUnpublishVolumeRequest(volume_id=volume.volume_id, target_path=target))
    healthy(csi.NodeUnstageVolumeRequest(volume_id=volume.volume_id, staging_target_path=staging))
    healthy(csi.ControllerUnpublishVolumeRequest(volume_id=volume.volume_id, node_id=NODE_ID))
    healthy(csi.DeleteVolumeRequest(volume_id=volume.volume_id))


def test_a_healthy_backend_has_no_errors(healthy: Client) -> None:
    assert list(healthy(csi.NodeGetStorageHealthRequest()).backend_health) == []


def test_unknown_volumes_and_missing_ids(healthy: Client) -> None:
    for request in (csi.ControllerGetVolumeHealthRequest, csi.NodeGetVolumeHealthRequest):
        with refused(StatusCode.NOT_FOUND):
            healthy(request(volume_id="no-such-volume"))
        with refused(StatusCode.INVALID_ARGUMENT):
            healthy(request())
    with refused(StatusCode.ABORTED):
        healthy(csi.ControllerListVolumeHealthRequest(starting_token="invalid-token"))
    with refused(StatusCode.INVALID_ARGUMENT):
        healthy(csi.ControllerListVolumeHealthRequest(max_entries=-1))
