"""disk.query: the disks of the pools' topology, and no others."""

import pytest

from fake_truenas import Pool
from tests.fake_truenas.releases import release
from tests.fake_truenas.rpc import GIB, Client, make_nas

KEYS = {
    "identifier", "name", "subsystem", "number", "serial", "lunid", "size", "description", "transfermode", "hddstandby",
    "advpowermgmt", "expiretime", "model", "rotationrate", "type", "zfs_guid", "bus", "devname", "enclosure", "pool",
}  # fmt: skip


async def test_disks_are_those_that_the_topology_shows(client: Client) -> None:
    first, second = disks = await client.call("disk.query")
    assert [set(disk) for disk in disks] == [KEYS, KEYS]
    assert [(disk["name"], disk["devname"], disk["number"]) for disk in disks] == [("sda",) * 2 + (2048,), ("sdb",) * 2 + (2064,)]  # fmt: skip
    assert (first["serial"] != second["serial"], first["identifier"]) == (True, f"{{serial}}{first['serial']}")
    (pool,) = await client.call("pool.query")
    (mirror,) = pool["topology"]["data"]
    assert (mirror["type"], mirror["name"]) == ("MIRROR", "mirror-0")
    shown = [(leaf["type"], leaf["disk"], leaf["guid"], leaf["status"]) for leaf in mirror["children"]]
    assert shown == [("DISK", disk["name"], disk["zfs_guid"], "ONLINE") for disk in disks]
    assert len({mirror["guid"], pool["guid"], first["zfs_guid"], second["zfs_guid"]}) == 4


async def test_filters_and_options_apply(client: Client) -> None:
    assert await client.call("disk.query", [], {"count": True}) == 2
    assert [disk["pool"] for disk in await client.call("disk.query")] == [None, None]
    asked = await client.call("disk.query", [["name", "=", "sdb"]], {"get": True, "extra": {"pools": True}})
    assert (asked["pool"], asked["size"]) == ("tank", 1 << 40)
    assert await client.call("disk.get_instance", asked["identifier"]) == {**asked, "pool": None}
    error = await client.refused("disk.get_instance", "{serial}none")
    assert error.items == [(None, "Disk {serial}none does not exist", 2)]


def test_every_pool_has_disks_of_its_own_and_keeps_them() -> None:
    nas = make_nas(pools=tuple(Pool(f"p{number}", GIB) for number in range(14)))
    disks = nas.call_direct("disk.query", [], {"extra": {"pools": True}})
    assert [disk["name"] for disk in disks][24:] == ["sdy", "sdz", "sdaa", "sdab"]
    assert (disks[26]["pool"], disks[26]["size"]) == ("p13", GIB)
    for key in ("identifier", "zfs_guid", "number"):
        assert len({disk[key] for disk in disks}) == 28
    assert nas.call_direct("disk.query", [], {"extra": {"pools": True}}) == disks
    nas.close()


@pytest.mark.parametrize(("version", "watched"), [("25.04", True), ("25.10", False), ("26.0", False)])
async def test_before_25_10_disks_have_smart_settings(version: str, watched: bool) -> None:
    async with release(version) as client:
        (entry, _) = await client.call("disk.query")
    assert set(entry) - KEYS == ({"togglesmart", "smartoptions", "critical", "difference", "informational"} if watched else set())  # fmt: skip
