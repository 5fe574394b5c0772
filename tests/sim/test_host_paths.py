"""Directories of a machine, with what is mounted on them."""

import errno

import pytest

from csisim.sim.backend import MemoryBackend
from csisim.sim.disk import MemoryDisk
from csisim.sim.host import SimHost
from csisim.sim.host_paths import HostPaths


async def test_a_mount_point_is_not_removed_and_all_else_is_the_disk_s():
    disk = MemoryDisk()
    host = SimHost(MemoryBackend(), disk=disk)
    paths = HostPaths(host)
    paths.make_dir("/kubelet/a/b")
    paths.make_file("/kubelet/a/f")
    await host.mounter.bind("/kubelet/a", "/kubelet/a/b", ())
    with pytest.raises(OSError, match="/kubelet/a/b") as caught:
        paths.remove("/kubelet/a/b")
    assert caught.value.errno == errno.EBUSY
    assert paths.is_directory("/kubelet/a/b")
    await host.mounter.umount("/kubelet/a/b")
    paths.remove("/kubelet/a/b")
    assert paths.listing("/kubelet") == disk.listing("/kubelet") == ["/kubelet/a", "/kubelet/a/f"]
    assert (paths.exists("/kubelet/a/f"), paths.is_directory("/kubelet/a/f"), paths.exists("/x")) == (
        True,
        False,
        False,
    )
