"""Sessions and device nodes of a simulated host."""

import asyncio
import errno

import pytest

from csisim.sim.backend import MemoryBackend
from csisim.sim.devices import SimDevices, device_path
from tests.sim.errnos import failing

GIB = 1 << 30
ISCSI = {"portal": "nas:3260", "iqn": "iqn.2005-10.org.freenas.ctl:v", "lun": "0"}
NVME = {"address": "nas", "port": "4420", "nqn": "nqn.2011-06.com.truenas:v", "nsid": "1"}


@pytest.fixture
def backend() -> MemoryBackend:
    backend = MemoryBackend()
    backend.offer("iscsi", ISCSI, "zvol-v", GIB)
    backend.offer("nvmeof", NVME, "zvol-n", GIB)
    return backend


async def fails(number: int, call) -> None:
    with failing(number):
        await call


def test_paths_are_direct() -> None:
    assert device_path("iscsi", ISCSI) == f"/dev/disk/by-path/ip-nas:3260-iscsi-{ISCSI['iqn']}-lun-0"
    assert device_path("nvmeof", NVME).startswith("/dev/disk/by-id/nvme-")


@pytest.mark.parametrize(("transport", "attributes"), [("iscsi", ISCSI), ("nvmeof", NVME)])
async def test_connect_and_disconnect_can_be_repeated(backend: MemoryBackend, transport: str, attributes) -> None:
    devices = SimDevices(backend)
    device = await devices.connect(transport, attributes)
    assert await devices.connect(transport, attributes) == device
    assert await devices.present(device)
    assert await devices.size_bytes(device) == GIB
    for _ in range(2):
        await devices.disconnect(transport, attributes)
        assert not await devices.present(device)
    for call in (devices.size_bytes, devices.rescan, devices.format_of):
        await fails(errno.ENODEV, call(device))
    await fails(errno.ENODEV, devices.make_fs(device, "ext4"))


async def test_a_login_that_cannot_be_made_leaves_no_session(backend: MemoryBackend) -> None:
    devices = SimDevices(backend)
    await fails(errno.ENOENT, devices.connect("iscsi", ISCSI | {"lun": "1"}))
    await fails(errno.EINVAL, devices.connect("iscsi", {"portal": "nas:3260"}))
    await fails(errno.EINVAL, devices.connect("iscsi", ISCSI | {"iqn": "a/../../b"}))
    await fails(errno.EPROTONOSUPPORT, devices.connect("fc", ISCSI))
    backend.passwords["zvol-v"] = "secret"
    await fails(errno.EACCES, devices.connect("iscsi", ISCSI))
    backend.outage = errno.ECONNREFUSED
    await fails(errno.ECONNREFUSED, devices.connect("nvmeof", NVME))
    assert devices.rows() == []


async def test_the_node_appears_after_its_time(backend: MemoryBackend) -> None:
    devices = SimDevices(backend, appear_after_s=0.02)
    device = await devices.connect("iscsi", ISCSI)
    assert not await devices.present(device)
    await fails(errno.ENODEV, devices.size_bytes(device))
    await asyncio.sleep(0.03)
    assert await devices.size_bytes(device) == GIB


async def test_a_new_size_is_seen_after_a_rescan(backend: MemoryBackend) -> None:
    devices = SimDevices(backend)
    device = await devices.connect("iscsi", ISCSI)
    backend.sizes["zvol-v"] = 2 * GIB
    assert await devices.size_bytes(device) == GIB
    await devices.rescan(device)
    assert await devices.size_bytes(device) == 2 * GIB
    del backend.sizes["zvol-v"]
    await fails(errno.ENODEV, devices.rescan(device))


async def test_a_file_system_is_made_once_and_found_from_every_host(backend: MemoryBackend) -> None:
    one, two = SimDevices(backend), SimDevices(backend)
    device = await one.connect("iscsi", ISCSI)
    assert await one.format_of(device) == ""
    await fails(errno.EINVAL, one.make_fs(device, "ntfs"))
    await one.make_fs(device, "xfs")
    await fails(errno.EBUSY, one.make_fs(device, "xfs"))
    assert await two.format_of(await two.connect("iscsi", ISCSI)) == "xfs"


async def test_a_device_in_use_is_neither_formatted_nor_logged_out(backend: MemoryBackend) -> None:
    devices = SimDevices(backend)
    device = await devices.connect("iscsi", ISCSI)
    devices.in_use = lambda path: path == device
    await fails(errno.EBUSY, devices.make_fs(device, "ext4"))
    await fails(errno.EBUSY, devices.disconnect("iscsi", ISCSI))
    assert backend.superblocks == {}
    assert await devices.present(device)


async def test_growing_needs_a_file_system(backend: MemoryBackend) -> None:
    devices = SimDevices(backend)
    device = await devices.connect("iscsi", ISCSI)
    await fails(errno.EINVAL, devices.grow_fs(device))
