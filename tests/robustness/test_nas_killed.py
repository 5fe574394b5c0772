"""The NAS is killed (SIGKILL) amid many calls and comes back on its data: nothing acknowledged is lost, nothing leaks."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from csisim.pb import csi_pb2 as csi
from tests.support.nas import Nas
from tests.support.orchestrator import GIB, create_request, expand_request, from_snapshot, from_volume
from tests.support.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOCOLS = ("nfs", "iscsi", "nvmeof")


@dataclass
class Ledger:
    """Every acknowledged change, and a kill after so many of them."""

    kill_after: int
    kill: asyncio.Event = field(default_factory=asyncio.Event)
    sizes: dict[str, int] = field(default_factory=dict)
    snapshots: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    count: int = 0

    def __call__(self, request: Any, response: Any) -> None:
        match request:
            case csi.CreateVolumeRequest():
                self.sizes[response.volume.volume_id] = response.volume.capacity_bytes
            case csi.ControllerExpandVolumeRequest():
                self.sizes[request.volume_id] = response.capacity_bytes
            case csi.CreateSnapshotRequest():
                self.snapshots.add(response.snapshot.snapshot_id)
            case csi.DeleteVolumeRequest():
                self.deleted.add(request.volume_id)
                self.sizes.pop(request.volume_id, None)
        self.count += 1
        if self.count == self.kill_after:
            self.kill.set()


async def _prepare(site: Site) -> tuple[list[str], list[str], str]:
    """Ids of volumes to keep and of volumes to delete, and a snapshot to restore from."""
    names = [f"old-{number}" for number in range(40)]
    made = await asyncio.gather(
        *(site.co(create_request(name, PROTOCOLS[number % 3])) for number, name in enumerate(names))
    )
    ids = [response.volume.volume_id for response in made]
    cut = await site.co(csi.CreateSnapshotRequest(name="base", source_volume_id=ids[0]))
    return ids[:20], ids[20:], cut.snapshot.snapshot_id


def _hundred_intents(keep: list[str], drop: list[str], snapshot_id: str) -> list[Any]:
    """40 creates, 10 restores and clones, 20 deletes, 15 snapshots, 15 expansions."""
    return [
        *(create_request(f"new-{number}", PROTOCOLS[number % 3]) for number in range(40)),
        *(create_request(f"restored-{number}", "nfs", source=from_snapshot(snapshot_id)) for number in range(5)),
        *(create_request(f"cloned-{number}", "iscsi", source=from_volume(keep[1])) for number in range(5)),
        *(csi.DeleteVolumeRequest(volume_id=volume_id) for volume_id in drop),
        *(csi.CreateSnapshotRequest(name=f"s-{n}", source_volume_id=keep[n]) for n in range(2, 17)),
        *(expand_request(volume_id, 2 * GIB) for volume_id in keep[5:20]),
    ]


@pytest.mark.parametrize("kill_after", [1, 30, 75])
async def test_nothing_acknowledged_is_lost_when_the_nas_is_killed(site: Site, kill_after: int) -> None:
    ledger = Ledger(kill_after + 41)
    site.co.acknowledged = ledger
    intents = _hundred_intents(*await _prepare(site))
    assert len(intents) == 100
    running = [asyncio.create_task(site.co(request)) for request in intents]
    await ledger.kill.wait()
    site.backend.kill()
    await site.backend.start_async()
    await asyncio.gather(*running)
    listed = {entry.volume.volume_id: entry.volume for entry in (await site.co(csi.ListVolumesRequest())).entries}
    assert {volume_id: volume.capacity_bytes for volume_id, volume in listed.items()} == ledger.sizes
    assert not ledger.deleted & listed.keys()
    snapshots = {entry.snapshot.snapshot_id for entry in (await site.co(csi.ListSnapshotsRequest())).entries}
    assert snapshots == ledger.snapshots
    await _one_set_of_objects_per_volume(site, [volume.volume_context["protocol"] for volume in listed.values()])
    await site.nothing_left()


async def _one_set_of_objects_per_volume(site: Site, protocols: list[str]) -> None:
    """Also before the teardown nothing is double or missing."""
    async with Nas(site.port) as look:
        found = await look.inventory()
    counts = {protocol: protocols.count(protocol) for protocol in PROTOCOLS}
    assert len(found["sharing.nfs"]) == counts["nfs"]
    for namespace in ("iscsi.target", "iscsi.extent", "iscsi.targetextent"):
        assert len(found[namespace]) == counts["iscsi"], namespace
    for namespace in ("nvmet.subsys", "nvmet.namespace"):
        assert len(found[namespace]) == counts["nvmeof"], namespace


async def test_killed_again_and_again_all_intents_converge(site: Site) -> None:
    requests = [create_request(f"stubborn-{number}", PROTOCOLS[number % 3]) for number in range(30)]
    running = [asyncio.create_task(site.co(request)) for request in requests]
    for _ in range(2):
        done = sum(task.done() for task in running)
        while sum(task.done() for task in running) < min(done + 3, len(running)):
            await asyncio.wait([task for task in running if not task.done()], return_when=asyncio.FIRST_COMPLETED)
        site.backend.kill()
        await site.backend.start_async()
    made = await asyncio.gather(*running)
    assert len({response.volume.volume_id for response in made}) == len(requests)
    await site.nothing_left()
