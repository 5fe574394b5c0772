"""The driver is killed (SIGKILL) amid many calls and comes back on its state directory: repeats converge, no leak."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from csisim.pb import csi_pb2 as csi
from tests.support.orchestrator import GIB, Orchestrator, create_request, expand_request
from tests.support.processes import driver
from tests.support.rpc import AsyncClient
from tests.support.site import Site, is_there

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOCOLS = ("nfs", "iscsi", "nvmeof")
VOLUMES = 40


class Countdown:
    """Sets `over` at the n-th acknowledgement."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.over = asyncio.Event()

    def __call__(self, _request: Any, _response: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.over.set()


async def _up(site: Site, number: int) -> str:
    """The way of one volume to its target path; answers its id."""
    protocol = PROTOCOLS[number % 3]
    volume = (await site.co(create_request(f"vol-{number}", protocol))).volume
    await site.co.to_node(volume, protocol, *site.paths(f"vol-{number}"))
    return str(volume.volume_id)


async def _down(site: Site, number: int, volume_id: str) -> None:
    await site.co.off_node(volume_id, *site.paths(f"vol-{number}"))
    await site.co(csi.DeleteVolumeRequest(volume_id=volume_id))


async def _kill_and_restart(site: Site) -> None:
    site.plugin.kill()
    await site.plugin.start_async()


@pytest.mark.parametrize(("after_up", "after_down"), [(1, 140), (140, 60)])
async def test_killed_on_the_way_up_and_on_the_way_down(site: Site, after_up: int, after_down: int) -> None:
    """One hundred calls are in flight: forty volumes on their way, and sixty that repeat and list meanwhile."""
    site.co.acknowledged = up = Countdown(after_up)
    going_up = [asyncio.create_task(_up(site, number)) for number in range(VOLUMES)]
    beside = [
        asyncio.create_task(site.co(create_request(f"vol-{n % VOLUMES}", PROTOCOLS[n % VOLUMES % 3])))
        for n in range(60)
    ]
    await up.over.wait()
    await _kill_and_restart(site)
    ids = await asyncio.gather(*going_up)
    await asyncio.gather(*beside)
    assert len(set(ids)) == VOLUMES
    for number, volume_id in enumerate(ids):
        target = site.paths(f"vol-{number}")[1]
        assert is_there(target)
        usage = (await site.co(csi.NodeGetVolumeStatsRequest(volume_id=volume_id, volume_path=target))).usage
        assert usage
    site.co.acknowledged = down = Countdown(after_down)
    going_down = [asyncio.create_task(_down(site, number, volume_id)) for number, volume_id in enumerate(ids)]
    await down.over.wait()
    await _kill_and_restart(site)
    await asyncio.gather(*going_down)
    await site.nothing_left()


async def test_a_restart_keeps_what_is_mounted(site: Site) -> None:
    ids = await asyncio.gather(*(_up(site, number) for number in range(6)))
    await _kill_and_restart(site)
    for number, volume_id in enumerate(ids):
        protocol = PROTOCOLS[number % 3]
        staging, target = site.paths(f"vol-{number}")
        assert (await site.co(csi.NodeGetVolumeStatsRequest(volume_id=volume_id, volume_path=target))).usage
        grown = await site.co(expand_request(volume_id, 2 * GIB))
        assert grown.capacity_bytes == 2 * GIB
        await site.co(
            csi.NodeExpandVolumeRequest(
                volume_id=volume_id,
                volume_path=target,
                staging_target_path=staging,
                capacity_range=csi.CapacityRange(required_bytes=2 * GIB),
            )
        )
        volume = (await site.co(create_request(f"vol-{number}", protocol))).volume if protocol == "nfs" else None
        assert volume is None or volume.volume_id == volume_id
    await asyncio.gather(*(_down(site, number, volume_id) for number, volume_id in enumerate(ids)))
    await site.nothing_left()


async def _first(over: asyncio.Event, running: list[asyncio.Task[str]]) -> None:
    """Until the countdown is over, or there is nothing left to interrupt."""
    waiting: list[asyncio.Task[Any]] = [asyncio.create_task(over.wait()), asyncio.create_task(asyncio.wait(running))]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


async def test_killed_again_and_again_while_staging(site: Site) -> None:
    co: Orchestrator = site.co
    running = [asyncio.create_task(_up(site, number)) for number in range(12)]
    for _ in range(2):
        co.acknowledged = more = Countdown(6)
        async with asyncio.timeout(60):
            await _first(more.over, running)
        await _kill_and_restart(site)
    ids = await asyncio.gather(*running)
    await asyncio.gather(*(_down(site, number, volume_id) for number, volume_id in enumerate(ids)))
    await site.nothing_left()


async def test_killed_together_with_its_embedded_nas(directory: Path) -> None:
    """Without --nas both are one process; what it acknowledged is in its state directory all the same."""
    plugin = await driver(directory, "--state-dir", str(directory / "state"), "--grace-period", "2").start_async()
    async with AsyncClient(directory / "csi.sock") as client:
        some = Countdown(20)
        co = Orchestrator(client, acknowledged=some)
        requests = [create_request(f"vol-{number}", PROTOCOLS[number % 3]) for number in range(60)]
        running = [asyncio.create_task(co(request)) for request in requests]
        await some.over.wait()
        acknowledged = {task.result().volume.volume_id for task in running if task.done()}
        plugin.kill()
        await plugin.start_async()
        assert acknowledged <= {entry.volume.volume_id for entry in (await co(csi.ListVolumesRequest())).entries}
        assert len({response.volume.volume_id for response in await asyncio.gather(*running)}) == 60
        await co.delete_everything()
    plugin.terminate()
    assert await plugin.exit_status() == 0
