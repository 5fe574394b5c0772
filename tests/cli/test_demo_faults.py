import asyncio
import errno
from types import SimpleNamespace

import pytest

from csisim.cli.demo_faults import UNMOUNT_REFUSALS, BusyHosts, LinkCutter
from csisim.host import NodeHost
from csisim.sim.backend import MemoryBackend
from csisim.sim.host import SimHost


class Connection:
    def __init__(self):
        self.aborted = 0

    def abort(self):
        self.aborted += 1


async def run_calls(cutter, *methods):
    """Run calls that meet each other; returns their connection and what was applied before each cut."""
    connection = Connection()
    applied = []
    met = asyncio.Barrier(len(methods))

    async def one(method):
        async def proceed():
            await met.wait()
            applied.append(method)
            return method

        return await cutter.intercept(SimpleNamespace(method=method, connection=connection), proceed)

    results = await asyncio.gather(*(one(method) for method in methods))
    assert list(results) == list(methods)
    return connection, applied


async def test_nothing_is_cut_unless_armed():
    connection, _ = await run_calls(LinkCutter([]), *["pool.dataset.create"] * 5)

    assert connection.aborted == 0


async def test_a_cut_strikes_once_after_a_change_while_others_run():
    cutter = LinkCutter([])
    cutter.arm()

    connection, applied = await run_calls(cutter, *["pool.dataset.create"] * 5)

    assert connection.aborted == 1
    assert applied
    (injection,) = cutter.injections
    assert injection.in_flight >= 3
    assert cutter.wanted == 0


@pytest.mark.parametrize("methods", [["pool.dataset.create"] * 2, ["pool.dataset.query"] * 5], ids=["alone", "reads"])
async def test_a_cut_waits_for_a_crowd_and_for_a_change(methods):
    cutter = LinkCutter([])
    cutter.arm()

    connection, _ = await run_calls(cutter, *methods)

    assert connection.aborted == 0
    assert cutter.wanted == 1


async def test_a_busy_path_is_refused_a_few_times_and_stays_mounted(tmp_path):
    backend = MemoryBackend()
    backend.export("nas:/mnt/a", 1 << 30)
    sim = SimHost(backend)
    injections = []
    hosts = BusyHosts(injections)
    host = hosts("node-1", NodeHost(sim.mounter, sim.devices, sim.files))
    path, other = tmp_path / "a", tmp_path / "b"
    for each in (path, other):
        await host.mounter.make_dir(str(each))
        await host.mounter.mount("nas:/mnt/a", str(each), "nfs", ())
    hosts.mounters["node-1"].keep_busy(str(path), "pvc-1")

    for _ in range(UNMOUNT_REFUSALS):
        with pytest.raises(OSError, match="busy") as caught:
            await host.mounter.umount(str(path))
        assert caught.value.errno == errno.EBUSY
    await host.mounter.umount(str(other))
    await host.mounter.umount(str(path))

    assert hosts.mounters["node-1"].still_mounted == [True] * UNMOUNT_REFUSALS
    assert [(each.what, each.subject) for each in injections] == [
        ("unmount refused (EBUSY)", "pvc-1")
    ] * UNMOUNT_REFUSALS
    assert sim.mounter.all_mounts() == ()
