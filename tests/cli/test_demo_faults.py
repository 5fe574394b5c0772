import asyncio
import random

import pytest

from csisim.cli.demo_faults import UNMOUNT_REFUSALS, DemoFaults
from csisim.cluster import Cluster, ClusterSettings
from csisim.faults.settings import FaultSettings
from csisim.truenas.client import NasClient


@pytest.fixture
async def running():
    settings = ClusterSettings(grace_period_s=0.5)
    async with Cluster(settings, rng=random.Random(1), faults=FaultSettings()) as cluster:
        faults = DemoFaults(cluster.injection, cluster.hosts)
        client = NasClient(cluster.nas_settings, rng=random.Random(2))
        await client.start()
        cluster.nas.call_direct("pool.dataset.create", {"name": "tank/csi"})
        try:
            yield cluster, faults, client
        finally:
            await client.close()


async def create(client, count):
    calls = [client.call("pool.dataset.create", {"name": f"tank/csi/{number}"}) for number in range(count)]
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_nothing_is_cut_unless_wanted(running):
    _, faults, client = running
    assert not any(isinstance(each, Exception) for each in await create(client, 5))
    assert faults.injections == []


async def test_a_cut_strikes_once_after_a_change_while_others_run(running):
    cluster, faults, client = running
    faults.cut_link("create")

    results = await create(client, 6)

    assert sum(isinstance(each, Exception) for each in results) >= 2  # all that were under way
    assert len(cluster.nas.call_direct("pool.dataset.query", [["id", "^", "tank/csi/"]])) >= 2
    (injection,) = faults.injections
    assert (injection.what, injection.in_flight >= 2) == ("websocket cut", True)


async def test_a_cut_waits_for_its_kind_of_change_and_for_a_second_one(running):
    _, faults, client = running
    faults.cut_link("delete")
    await create(client, 5)
    await client.call("pool.dataset.delete", "tank/csi/1")
    assert faults.injections == []


async def test_a_busy_path_is_refused_a_few_times_and_stays_mounted(running, tmp_path):
    cluster, faults, _ = running
    (node,) = cluster.hosts
    machine = cluster.hosts[node]
    wrapped = cluster.injection.host(node, machine)
    busy, other = tmp_path / "it's busy", tmp_path / "other"
    for each in (busy, other):
        await wrapped.mounter.make_dir(str(each))
        await wrapped.mounter.bind(str(tmp_path), str(each), ())
    faults.keep_busy(node, str(busy), "pvc-1")

    for _ in range(UNMOUNT_REFUSALS):
        with pytest.raises(OSError, match="busy"):
            await wrapped.mounter.umount(str(busy))
    await wrapped.mounter.umount(str(other))
    await wrapped.mounter.umount(str(busy))

    assert faults.still_mounted == [True] * UNMOUNT_REFUSALS
    assert [(each.what, each.subject) for each in faults.injections] == [
        ("unmount refused (EBUSY)", "pvc-1")
    ] * UNMOUNT_REFUSALS
    assert machine.mounter.all_mounts() == ()
