"""pool.query over a real socket."""

from fake_truenas import Nas, Pool
from tests.fake_truenas.rpc import GIB, Client, make_nas


async def test_a_pool_shows_size_health_and_topology_and_no_properties(client: Client) -> None:
    (entry,) = await client.call("pool.query", [["name", "=", "tank"]])
    assert (entry["id"], entry["path"], entry["status"], entry["healthy"]) == (1, "/mnt/tank", "ONLINE", True)
    assert (entry["size"], entry["allocated"], entry["free"]) == (1 << 40, 0, 1 << 40)
    assert (entry["size_str"], type(entry["guid"]), "properties" in entry) == ("1T", str, False)
    assert entry["topology"]["data"][0]["stats"]["size"] == 1 << 40
    assert await client.call("pool.query", [["name", "=", "none"]]) == []
    error = await client.refused("pool.get_instance", 9)
    assert error.items == [(None, "Pool 9 does not exist", 2)]


async def test_reservations_reduce_what_is_available_but_are_not_allocated(client: Client) -> None:
    before = (await client.call("pool.dataset.get_instance", "tank"))["available"]["parsed"]
    assert before == (1 << 40) - (32 << 30)  # ZFS keeps 1/32 of the pool back
    await client.call("pool.dataset.create", {"name": "tank/r", "reservation": GIB})
    assert (await client.call("pool.dataset.get_instance", "tank"))["available"]["parsed"] == before - GIB
    assert (await client.call("pool.query"))[0]["allocated"] == 0


def test_several_pools_have_their_own_space() -> None:
    nas: Nas = make_nas(pools=(Pool("tank", 1 << 40), Pool("flash", 1 << 36)))
    nas.call_direct("pool.dataset.create", {"name": "flash/v", "type": "VOLUME", "volsize": GIB})
    used = {
        row["id"]: row["used"]["parsed"] > 0
        for row in nas.call_direct("pool.dataset.query", [["id", "in", ["tank", "flash"]]])
    }
    assert used == {"tank": False, "flash": True}
    assert [row["name"] for row in nas.call_direct("pool.query", [], {"order_by": ["-name"]})] == ["tank", "flash"]
    nas.close()
