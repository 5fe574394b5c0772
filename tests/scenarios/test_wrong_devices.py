"""Names that a kernel gives to devices, in the driver that goes by them."""

import pytest

from csisim.cluster.parts import SHIPPED
from csisim.host import NodeHost
from csisim.scenarios.wrong_devices import by_kernel_name
from csisim.sim.backend import MemoryBackend
from csisim.sim.host import SimHost


def lun(name):
    return {"portal": "10.0.0.1:3260", "iqn": f"iqn.2005-10.org.freenas.ctl:{name}", "lun": "0"}


@pytest.fixture
def machine():
    backend = MemoryBackend()
    for name in ("one", "two", "three"):
        backend.offer("iscsi", lun(name), name, 1 << 30)
    return SimHost(backend)


async def test_the_name_of_a_device_that_has_gone_is_the_next_ones(machine, tmp_path):
    host = by_kernel_name(SHIPPED).host("node-1", NodeHost(machine.mounter, machine.devices, machine.files), machine)
    assert await host.devices.connect("iscsi", lun("one")) == "/dev/sdb"
    assert await host.devices.connect("iscsi", lun("two")) == "/dev/sdc"
    assert await host.devices.connect("iscsi", lun("two")) == "/dev/sdc"
    target = tmp_path / "raw"
    target.touch()
    await host.mounter.bind("/dev/sdb", str(target), ())

    machine.vanish(machine.connected()[0])
    assert not await host.devices.present("/dev/sdb")
    assert await host.devices.connect("iscsi", lun("three")) == "/dev/sdb"
    assert await host.devices.present("/dev/sdb")
    assert [each.path for each in await host.mounter.mounts_of("/dev/sdb")] == [str(target)]
    assert [each.source for each in await host.mounter.mounts(str(target))] == ["/dev/sdb"]
    assert await host.devices.connect("iscsi", lun("one")) == "/dev/sdd"
