"""Bytes between hosts and the NAS: past the API where the NAS is in this process, over it where it is not."""

import asyncio
import errno
import random

import pytest

from csisim.cluster import Cluster, ClusterSettings, data_path, parse_endpoint
from csisim.cluster.data_path import DataPath
from csisim.cluster.simulated import SimulatedSurroundings
from csisim.sim.run import simulate
from csisim.truenas.settings import NasSettings
from fake_truenas import Nas, NasConfig
from tests.cluster.test_simulated_faults import NODE
from tests.features.world import World, world
from tests.sim.errnos import failing

KEY = "1-" + "k" * 64


async def test_long_reads_are_made_in_pieces_of_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_path, "_RUNS", 2)
    nas = Nas(NasConfig(api_key=KEY), rng=random.Random(1), clock=lambda: 1_700_000_000.0)
    await nas.call("pool.dataset.create", {"name": "tank/fs"})
    path = DataPath(nas.call)
    written = bytearray(3 << 20)
    for offset, length in ((0, 9), (70_000, 9), (1 << 20, 200_000), ((2 << 20) - 2, 4), ((3 << 20) - 9, 9)):
        written[offset : offset + length] = bytes([offset % 199 + 1]) * length
        await path.write("tank/fs", offset, bytes(written[offset : offset + length]))
    for offset, end in ((0, 3 << 20), (5, 70_004), ((1 << 20) + 9, (1 << 20) + 100_000), (70_004, (2 << 20) + 1)):
        assert await path.read("tank/fs", offset, end - offset) == written[offset:end]
    await path.discard("tank/fs", 2 << 20)
    assert await path.read("tank/fs", (2 << 20) - 2, 4) == b"\0\0" + written[2 << 20 : (2 << 20) + 2]
    nas.close()


async def test_a_name_has_one_lock_while_somebody_has_it() -> None:
    path = DataPath(asyncio.sleep)
    async with path.exclusive("a"):
        assert path.exclusive("a").locked()
        assert not path.exclusive("b").locked()
    assert not path.exclusive("a").locked()


async def written(w: World) -> str:
    staged = await w.staged()
    await w.first.retried(w.first.node.NodeStageVolume, staged)
    await w.host.content.write(staged.staging_target_path, "data", b"x")
    return staged.staging_target_path


def test_pods_go_on_while_the_driver_has_no_connection() -> None:
    async def program() -> None:
        async with world(NODE, surroundings=SimulatedSurroundings()) as w:
            path = await written(w)
            w.add("connect.nas: error(ECONNREFUSED)")
            w.add("nas.fake.block.write.request: error(EIO)")
            assert w.cluster.injection is not None
            w.cluster.injection.link.drop()
            await w.host.content.write(path, "data", b"y")
            assert await w.host.content.read(path, "data") == b"y"
            w.plane.reset()

    outcome = simulate(program)
    if outcome.error is not None:
        raise outcome.error


async def test_a_nas_elsewhere_is_reached_over_the_driver_s_connection(tmp_path) -> None:
    nas = Nas(NasConfig(api_key=KEY), rng=random.Random(1), clock=lambda: 1_700_000_000.0)
    server = await nas.serve("127.0.0.1", 0)
    await nas.call("pool.dataset.create", {"name": "tank/csi"})
    await nas.call("pool.dataset.create", {"name": "tank/csi/v"})
    await nas.call("sharing.nfs.create", {"path": "/mnt/tank/csi/v"})
    where = NasSettings(url=server.url, api_key=KEY)
    settings = ClusterSettings(nas=where, endpoint=parse_endpoint(f"unix://{tmp_path}/csi.sock"), grace_period_s=0.1)
    async with Cluster(settings, rng=random.Random(2)) as cluster:
        host = cluster.hosts["node-1"]
        await host.mounter.mount("127.0.0.1:/mnt/tank/csi/v", str(tmp_path), "nfs", ())
        await host.content.write(str(tmp_path), "data", b"x")
        assert await host.content.read(str(tmp_path), "data") == b"x"
        down = asyncio.ensure_future(cluster.crash("driver", down_s=3600))
        while cluster.nas_client is not None:
            await asyncio.sleep(0)
        with failing(errno.ETIMEDOUT):
            await host.content.read(str(tmp_path), "data")
    await down
    await server.close()
    nas.close()


@pytest.mark.parametrize("crash_after_s", [1, 6])
def test_what_a_crashing_nas_was_asked_does_not_happen(crash_after_s: int) -> None:
    """A write is two calls that take time: what is there, and the write."""

    async def program() -> None:
        async with world(NODE, surroundings=SimulatedSurroundings()) as w:
            path = await written(w)
            nas = w.cluster.nas
            assert nas is not None

            async def slow(method: object) -> None:
                await asyncio.sleep(5)

            nas.take_time = slow  # type: ignore[method-assign]
            write = asyncio.ensure_future(w.host.content.write(path, "data", b"y"))
            await asyncio.sleep(crash_after_s)
            await w.cluster.crash("nas")
            with failing(errno.ETIMEDOUT):
                await write
            assert await w.host.content.read(path, "data") == b"x"

    outcome = simulate(program)
    if outcome.error is not None:
        raise outcome.error
