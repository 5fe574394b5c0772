"""One driver process for the run, and per spec the directories and the cleanup that csi-sanity has."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from csisim.pb import csi_pb2 as csi
from tests.support.orchestrator import remove_directory
from tests.support.processes import Server
from tests.support.proxied import plugin
from tests.support.rpc import Client
from tests.support.sanity import Sanity

ATTACH_LIMIT = 5


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    process = plugin(tmp_path_factory.mktemp("csi"), "--max-volumes-per-node", str(ATTACH_LIMIT)).start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def connection(server: Server) -> Iterator[Client]:
    client = Client(server.directory / "csi.sock")
    yield client
    client.close()


@pytest.fixture
def call(connection: Client) -> Iterator[Client]:
    """Each test begins and ends with nothing there; what one leaves is its own failure, and not the next one's."""
    yield connection
    left = _sweep(connection)
    assert not left, f"left behind: {left}"


def _sweep(call: Client) -> list[str]:
    """Ids of what was there, which is gone then as far as it can be."""
    snapshots = [entry.snapshot for entry in call(csi.ListSnapshotsRequest()).entries]
    volumes = [entry.volume.volume_id for entry in call(csi.ListVolumesRequest()).entries]
    groups = {snapshot.group_snapshot_id for snapshot in snapshots if snapshot.group_snapshot_id}
    requests: list[Any] = [
        csi.DeleteVolumeGroupSnapshotRequest(
            group_snapshot_id=group,
            snapshot_ids=[snapshot.snapshot_id for snapshot in snapshots if snapshot.group_snapshot_id == group],
        )
        for group in sorted(groups)
    ]
    requests += [csi.ControllerUnpublishVolumeRequest(volume_id=volume_id) for volume_id in volumes]
    requests += [csi.DeleteSnapshotRequest(snapshot_id=snapshot.snapshot_id) for snapshot in snapshots]
    requests += [csi.DeleteVolumeRequest(volume_id=volume_id) for volume_id in volumes]
    for request in (*requests, *requests):  # twice: what depends on another is refused the first time
        with suppress(grpc.RpcError):
            call(request)
    return [*(snapshot.snapshot_id for snapshot in snapshots), *volumes]


@pytest.fixture(params=["mount", "block"])
def access_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sanity(call: Client, access_type: str, tmp_path: Path) -> Iterator[Sanity]:
    """Directories are made before and must be empty after, as nothing may be left in the driver (see `call`)."""
    for request in (
        csi.GetPluginCapabilitiesRequest(),
        csi.ControllerGetCapabilitiesRequest(),
        csi.NodeGetCapabilitiesRequest(),
    ):
        call(request)
    spec = Sanity(call, access_type, tmp_path / "mount", tmp_path / "staging")
    spec.mount_dir.mkdir()
    spec.staging_dir.mkdir()
    yield spec
    spec.cleanup()
    spec.mount_dir.rmdir()
    remove_directory(spec.staging)
