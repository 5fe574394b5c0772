"""Many clients on the same names at the same time: one object each, and nobody hears anything but OK or ABORTED."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from csisim.pb import csi_pb2 as csi
from tests.support.nas import Nas
from tests.support.orchestrator import (
    GIB,
    Orchestrator,
    capability,
    create_request,
    expand_request,
    from_snapshot,
    from_volume,
)
from tests.support.processes import NODE_ID
from tests.support.rpc import AsyncClient
from tests.support.site import Site

CLIENTS = 8
OK_OR_BUSY = {grpc.StatusCode.OK, grpc.StatusCode.ABORTED}


async def _from_everywhere(site: Site, *requests: Any) -> Counter[grpc.StatusCode]:
    """Each request from each of several connections at once."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(AsyncClient(site.directory / "csi.sock")) for _ in range(CLIENTS)]
        return Counter(await asyncio.gather(*(client.code(request) for client in clients for request in requests)))


@pytest.mark.parametrize("protocol", ["nfs", "iscsi", "nvmeof"])
async def test_one_volume_per_name(shared_site: Site, protocol: str) -> None:
    requests = [create_request(f"same-{number}", protocol) for number in range(5)]
    codes = await _from_everywhere(shared_site, *requests)
    assert set(codes) <= OK_OR_BUSY
    ids = {(await shared_site.co(request)).volume.volume_id for request in requests}
    entries = (await shared_site.co(csi.ListVolumesRequest())).entries
    assert sorted(entry.volume.volume_id for entry in entries) == sorted(ids)
    async with Nas(shared_site.port) as look:
        found = await look.inventory()
    assert len(found["pool.dataset"]) == len(ids)
    assert all(len(objects) == len(ids) for objects in found.values()), found


async def test_sizes_that_differ_give_one_winner(shared_site: Site) -> None:
    requests = [create_request("contested", size_bytes=(number + 1) * GIB) for number in range(6)]
    for request in requests:
        request.capacity_range.limit_bytes = request.capacity_range.required_bytes
    codes = await asyncio.gather(*(shared_site.client.code(request) for request in requests))
    assert set(codes) <= OK_OR_BUSY | {grpc.StatusCode.ALREADY_EXISTS}
    assert codes.count(grpc.StatusCode.OK) <= 1
    entries = (await shared_site.co(csi.ListVolumesRequest())).entries
    assert len(entries) == codes.count(grpc.StatusCode.OK)


async def test_one_snapshot_and_one_restore_per_name(shared_site: Site) -> None:
    volume_id = (await shared_site.co(create_request("source", "iscsi"))).volume.volume_id
    cut = csi.CreateSnapshotRequest(name="once", source_volume_id=volume_id)
    assert set(await _from_everywhere(shared_site, cut)) <= OK_OR_BUSY
    snapshot_id = (await shared_site.co(cut)).snapshot.snapshot_id
    restore = create_request("restored", "iscsi", source=from_snapshot(snapshot_id))
    assert set(await _from_everywhere(shared_site, restore)) <= OK_OR_BUSY
    await shared_site.co(restore)
    assert len((await shared_site.co(csi.ListSnapshotsRequest())).entries) == 1
    assert len((await shared_site.co(csi.ListVolumesRequest())).entries) == 2


@pytest.mark.parametrize("protocol", ["nfs", "iscsi"])
async def test_sources_and_clones_deleted_at_once(shared_site: Site, protocol: str) -> None:
    """Whichever goes first, each delete is OK or may be repeated: a final refusal would leave its volume for ever."""
    for number in range(12):
        source = (await shared_site.co(create_request(f"source-{number}", protocol))).volume.volume_id
        names = [f"clone-{number}-{copy}" for copy in range(number % 3 + 1)]
        clones = [create_request(name, protocol, source=from_volume(source)) for name in names]
        ids = [(await shared_site.co(clone)).volume.volume_id for clone in clones]
        await asyncio.gather(*(shared_site.co(csi.DeleteVolumeRequest(volume_id=each)) for each in [source, *ids]))


@pytest.mark.asyncio(loop_scope="module")
async def test_a_clone_that_vanishes_while_its_source_is_deleted(relayed: Site) -> None:
    """The same, at every point: after each answer that the deletion of the source gets, the clone goes away."""
    assert relayed.relay is not None
    for point in range(12):
        source = (await relayed.co(create_request(f"source-{point}"))).volume.volume_id
        clone = (await relayed.co(create_request(f"clone-{point}", source=from_volume(source)))).volume.volume_id
        reached, release = asyncio.Event(), asyncio.Event()

        async def hold(
            ordinal: int, _method: str, *, point: int = point, reached: Any = reached, release: Any = release
        ) -> None:
            if ordinal == point:
                reached.set()
                await release.wait()

        relayed.relay.reset()
        relayed.relay.on_reply = hold
        deleting = asyncio.create_task(relayed.co(csi.DeleteVolumeRequest(volume_id=source)))
        waiting = asyncio.create_task(reached.wait())
        await asyncio.wait([deleting, waiting], return_when=asyncio.FIRST_COMPLETED)
        removing = asyncio.create_task(relayed.co(csi.DeleteVolumeRequest(volume_id=clone)))
        await asyncio.wait([removing], timeout=0.2)  # it may have to wait for the source's deletion
        release.set()
        waiting.cancel()
        await asyncio.gather(deleting, removing)
        relayed.relay.reset()
        if not reached.is_set():
            break
    else:
        pytest.fail("a deletion makes more than 12 calls")
    await relayed.nothing_left()


async def test_a_snapshot_and_what_was_restored_from_it_deleted_at_once(shared_site: Site) -> None:
    for number in range(6):
        source = (await shared_site.co(create_request(f"source-{number}"))).volume.volume_id
        cut = csi.CreateSnapshotRequest(name=f"cut-{number}", source_volume_id=source)
        snapshot_id = (await shared_site.co(cut)).snapshot.snapshot_id
        restore = create_request(f"restored-{number}", source=from_snapshot(snapshot_id))
        restored = (await shared_site.co(restore)).volume.volume_id
        codes = await asyncio.gather(
            shared_site.client.code(csi.DeleteSnapshotRequest(snapshot_id=snapshot_id)),
            shared_site.client.code(csi.DeleteVolumeRequest(volume_id=restored)),
            shared_site.client.code(csi.DeleteVolumeRequest(volume_id=source)),
        )
        assert set(codes) <= OK_OR_BUSY | {grpc.StatusCode.FAILED_PRECONDITION}


async def test_create_and_delete_against_each_other(shared_site: Site) -> None:
    """Whatever wins, a final delete leaves nothing: no share, target or namespace without its volume."""
    names = [(f"fight-{protocol}", protocol) for protocol in ("nfs", "iscsi", "nvmeof")]
    for _ in range(4):
        requests: list[Any] = [create_request(name, protocol) for name, protocol in names]
        requests += [csi.DeleteVolumeRequest(volume_id=name) for name, _ in names]
        assert set(await _from_everywhere(shared_site, *requests)) <= OK_OR_BUSY
    for name, _ in names:
        await shared_site.co(csi.DeleteVolumeRequest(volume_id=name))


async def test_expansion_never_shrinks(shared_site: Site) -> None:
    volume_id = (await shared_site.co(create_request("grow", "nvmeof"))).volume.volume_id
    sizes = [number * GIB for number in (2, 5, 3, 8, 4)]
    assert set(await _from_everywhere(shared_site, *(expand_request(volume_id, size) for size in sizes))) <= OK_OR_BUSY
    answers = [(await shared_site.co(expand_request(volume_id, size))).capacity_bytes for size in sizes]
    assert answers == sorted(answers)
    assert answers[-1] == 8 * GIB


async def test_attach_from_many_sides_is_one_attachment(shared_site: Site) -> None:
    volume_id = (await shared_site.co(create_request("attached", "iscsi"))).volume.volume_id
    attach = csi.ControllerPublishVolumeRequest(
        volume_id=volume_id, node_id=NODE_ID, volume_capability=capability("iscsi")
    )
    assert set(await _from_everywhere(shared_site, attach)) <= OK_OR_BUSY
    await shared_site.co(attach)
    entry = (await shared_site.co(csi.ListVolumesRequest())).entries[0]
    assert list(entry.status.published_node_ids) == [NODE_ID]
    detach = csi.ControllerUnpublishVolumeRequest(volume_id=volume_id, node_id=NODE_ID)
    assert set(await _from_everywhere(shared_site, detach)) <= OK_OR_BUSY
    await shared_site.co(detach)


async def test_the_node_way_for_many_volumes_at_once(shared_site: Site) -> None:
    async def there_and_back(number: int) -> None:
        protocol = ("nfs", "iscsi", "nvmeof")[number % 3]
        co = Orchestrator(shared_site.client)
        volume = (await co(create_request(f"busy-{number}", protocol))).volume
        staging, target = shared_site.paths(f"busy-{number}")
        await asyncio.gather(*(co.to_node(volume, protocol, staging, target) for _ in range(3)))
        await co(csi.NodeGetVolumeStatsRequest(volume_id=volume.volume_id, volume_path=target))
        await co.off_node(volume.volume_id, staging, target)

    async with asyncio.TaskGroup() as group:
        for number in range(24):
            group.create_task(there_and_back(number))
