# tests look at the real disk
"""A simulated machine whose kernel outlives the driver process, until it is rebooted."""

import errno
from pathlib import Path

import pytest

from csisim.sim.backend import MemoryBackend
from csisim.sim.host import SimHost
from tests.sim.errnos import failing

GIB = 1 << 30
ADDRESS = {"portal": "nas:3260", "iqn": "iqn.2005-10.org.freenas.ctl:v", "lun": "0"}


async def machine(tmp_path: Path) -> tuple[MemoryBackend, SimHost, str]:
    backend = MemoryBackend()
    backend.offer("iscsi", ADDRESS, "zvol-v", GIB)
    host = SimHost(backend, state_dir=tmp_path / "state", kernel_file=tmp_path / "kernel" / "table.json")
    device = await host.devices.connect("iscsi", ADDRESS | {"node.session.auth.password": "hunter2"})
    await host.devices.make_fs(device, "ext4")
    for name in ("staging", "target"):
        await host.mounter.make_dir(str(tmp_path / name))
    await host.mounter.mount(device, str(tmp_path / "staging"), "ext4", ("noatime",))
    await host.mounter.bind(str(tmp_path / "staging"), str(tmp_path / "target"), ("ro",))
    await host.files.write("pvc-1", b"record")
    return backend, host, device


async def test_a_new_process_finds_mounts_sessions_and_records(tmp_path: Path) -> None:
    backend, host, device = await machine(tmp_path)
    again = SimHost(backend, state_dir=tmp_path / "state", kernel_file=tmp_path / "kernel" / "table.json")
    assert again.mounter.all_mounts() == host.mounter.all_mounts()
    assert await again.devices.present(device)
    assert await again.files.read("pvc-1") == b"record"
    with failing(errno.EBUSY):
        await again.devices.disconnect("iscsi", ADDRESS)
    await again.mounter.umount(str(tmp_path / "target"))
    await again.mounter.umount(str(tmp_path / "staging"))
    await again.devices.disconnect("iscsi", ADDRESS)
    third = SimHost(backend, kernel_file=tmp_path / "kernel" / "table.json")
    assert third.mounter.all_mounts() == ()
    assert third.devices.rows() == []


async def test_a_reboot_loses_mounts_and_sessions_and_keeps_files(tmp_path: Path) -> None:
    backend, host, device = await machine(tmp_path)
    host.reboot()
    again = SimHost(backend, state_dir=tmp_path / "state", kernel_file=tmp_path / "kernel" / "table.json")
    for each in (host, again):
        assert each.mounter.all_mounts() == ()
        assert not await each.devices.present(device)
        assert await each.files.read("pvc-1") == b"record"
    assert (tmp_path / "target").is_dir()
    assert backend.superblocks["zvol-v"].fs_type == "ext4"


async def test_credentials_are_not_kept(tmp_path: Path) -> None:
    await machine(tmp_path)
    assert "hunter2" not in (tmp_path / "kernel" / "table.json").read_text()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"mounts": [{}], "sessions": []}', '{"mounts": 7, "sessions": []}']
)
def test_a_kernel_file_of_something_else_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "table.json").write_text(content)
    with pytest.raises(ValueError, match=r"table\.json: not a mount table"):
        SimHost(MemoryBackend(), kernel_file=tmp_path / "table.json")


async def test_hosts_share_servers_but_no_mounts(tmp_path: Path) -> None:
    backend, _, device = await machine(tmp_path)
    other = SimHost(backend)
    assert other.mounter.all_mounts() == ()
    assert await other.devices.connect("iscsi", ADDRESS) == device
    assert await other.devices.format_of(device) == "ext4"
