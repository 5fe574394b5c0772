"""The NAS cannot be reached, at the start or later: UNAVAILABLE in time, nodes stay usable, recovery by itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from csisim.pb import csi_pb2 as csi
from tests.support.nas import Nas
from tests.support.orchestrator import (
    GIB,
    Orchestrator,
    create_request,
    expand_request,
    node_requests,
    remove_directory,
)
from tests.support.processes import NODE_ID, Server, driver, free_port, nas, nas_flags
from tests.support.rpc import AsyncClient
from tests.support.site import Site, is_there

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEADLINE_S = 2.0

# Well-formed, each about another volume, which does not exist; all need the NAS for their answer.
NEEDING_THE_NAS: list[Any] = [
    create_request("wanted-1"),
    csi.DeleteVolumeRequest(volume_id="wanted-2"),
    csi.ControllerPublishVolumeRequest(
        volume_id="wanted-3", node_id=NODE_ID, volume_capability=create_request("x").volume_capabilities[0]
    ),
    csi.ControllerUnpublishVolumeRequest(volume_id="wanted-4", node_id=NODE_ID),
    csi.ValidateVolumeCapabilitiesRequest(
        volume_id="wanted-5", volume_capabilities=create_request("x").volume_capabilities
    ),
    csi.ListVolumesRequest(),
    csi.ListSnapshotsRequest(),
    csi.ControllerGetVolumeRequest(volume_id="wanted-6"),
    csi.GetCapacityRequest(),
    csi.CreateSnapshotRequest(name="s", source_volume_id="wanted-7"),
    csi.DeleteSnapshotRequest(snapshot_id="wanted-8@s-8"),
    csi.GetSnapshotRequest(snapshot_id="wanted-9@s-9"),
    expand_request("wanted-10", GIB),
    csi.ControllerModifyVolumeRequest(volume_id="wanted-11", mutable_parameters={"sync": "always"}),
    csi.CreateVolumeGroupSnapshotRequest(name="g", source_volume_ids=["wanted-12"]),
    csi.NodeStageVolumeRequest(
        volume_id="wanted-13",
        staging_target_path="/nonexistent/staging",
        volume_capability=create_request("x").volume_capabilities[0],
        volume_context={"protocol": "nfs", "server": "127.0.0.1", "share": "/mnt/tank/csi/wanted-13"},
    ),
]


async def _all_unavailable(client: AsyncClient) -> None:
    """Not DEADLINE_EXCEEDED: the driver answers for itself before the caller's time is up."""
    codes = await asyncio.gather(*(client.code(request, DEADLINE_S) for request in NEEDING_THE_NAS))
    told = {type(request).__name__: code.name for request, code in zip(NEEDING_THE_NAS, codes, strict=True)}
    assert told == dict.fromkeys(told, "UNAVAILABLE")


async def _probe(client: AsyncClient) -> str:
    """`ready`, `not ready`, or the name of the error code."""
    call = client.begin(csi.ProbeRequest(), DEADLINE_S)
    code = await call.code()
    if code is not grpc.StatusCode.OK:
        return str(code.name)
    response = await call
    return "not ready" if response.HasField("ready") and not response.ready.value else "ready"


@pytest_asyncio.fixture(loop_scope="module")
async def alone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Path, int, Server, AsyncClient]]:
    """A driver whose NAS has not come yet."""
    directory, port = tmp_path_factory.mktemp("alone"), free_port()
    plugin = driver(directory, *nas_flags(port), "--state-dir", str(directory / "state"))
    await plugin.start_async()
    async with AsyncClient(directory / "csi.sock") as client:
        yield directory, port, plugin, client
    plugin.terminate()
    assert await plugin.exit_status() == 0, plugin.output[-4000:]


async def test_unreachable_at_the_start(alone: tuple[Path, int, Server, AsyncClient]) -> None:
    directory, port, _, client = alone
    assert (await client(csi.GetPluginInfoRequest(), DEADLINE_S)).name
    assert (await client(csi.NodeGetInfoRequest(), DEADLINE_S)).node_id == NODE_ID
    assert (await client(csi.ControllerGetCapabilitiesRequest(), DEADLINE_S)).capabilities
    await _all_unavailable(client)
    for bad in (csi.CreateVolumeRequest(), csi.DeleteVolumeRequest()):
        assert await client.code(bad, DEADLINE_S) is grpc.StatusCode.INVALID_ARGUMENT
    backend = nas(directory, port)
    await backend.start_async()
    co = Orchestrator(client)
    await co(create_request("wanted"))
    assert await _probe(client) == "ready"
    await co(csi.DeleteVolumeRequest(volume_id="wanted"))
    async with Nas(port) as look:
        assert await look.inventory() == {}
    backend.kill()


async def test_a_controller_tells_in_its_probe_and_a_node_stays_healthy(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    told = {}
    for mode in ("controller", "node"):
        directory, port = tmp_path_factory.mktemp(mode), free_port()
        plugin = driver(directory, *nas_flags(port), "--mode", mode)
        await plugin.start_async()
        async with AsyncClient(directory / "csi.sock") as client:
            told[mode] = await _probe(client)
        plugin.terminate()
        assert await plugin.exit_status() == 0
    assert told["controller"] in {"FAILED_PRECONDITION", "not ready"}
    assert told["node"] == "ready"


async def test_unreachable_later_and_back_again(site: Site) -> None:
    volume = (await site.co(create_request("kept", "iscsi"))).volume
    site.backend.kill()
    await _all_unavailable(site.client)
    await site.backend.start_async()
    assert (await site.co(csi.ControllerGetVolumeRequest(volume_id=volume.volume_id))).volume == volume
    assert await _probe(site.client) == "ready"
    await site.nothing_left()


async def test_mounts_can_be_torn_down_while_the_nas_is_away(site: Site) -> None:
    volumes = {}
    for protocol in ("nfs", "iscsi", "nvmeof"):
        volumes[protocol] = (await site.co(create_request(protocol, protocol))).volume
        await site.co.to_node(volumes[protocol], protocol, *site.paths(protocol))
    site.backend.kill()
    for protocol, volume in volumes.items():
        staging, target = site.paths(protocol)
        for request in (
            csi.NodeUnpublishVolumeRequest(volume_id=volume.volume_id, target_path=target),
            csi.NodeUnstageVolumeRequest(volume_id=volume.volume_id, staging_target_path=staging),
        ):
            for _ in range(2):
                await site.client(request, DEADLINE_S)
        assert not is_there(target)
        remove_directory(staging)
    site.host_is_clean()
    await site.backend.start_async()
    for volume in volumes.values():
        await site.co(csi.ControllerUnpublishVolumeRequest(volume_id=volume.volume_id, node_id=NODE_ID))
    await site.nothing_left()


async def test_what_is_staged_is_confirmed_while_the_nas_is_away(site: Site) -> None:
    volume = (await site.co(create_request("staged", "iscsi"))).volume
    paths = site.paths("staged")
    await site.co.to_node(volume, "iscsi", *paths)
    site.backend.kill()
    for request in node_requests(volume, "iscsi", {"readonly": "false"}, *paths):
        await site.client(request)
    await site.backend.start_async()
    await site.co.off_node(volume.volume_id, *paths)
    await site.nothing_left()


async def test_a_wrong_api_key_is_reported_and_not_logged(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory, port = tmp_path_factory.mktemp("key"), free_port()
    backend = nas(directory, port)
    await backend.start_async()
    wrong = "1-" + "w" * 64
    plugin = driver(directory, "--nas", f"ws://127.0.0.1:{port}/api/current", "--api-key", wrong)
    await plugin.start_async()
    async with AsyncClient(directory / "csi.sock") as client:
        code = await client.code(create_request("denied"), 2.0)
        assert code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
    plugin.terminate()
    assert await plugin.exit_status() == 0
    backend.kill()
    assert wrong[2:] not in plugin.output
