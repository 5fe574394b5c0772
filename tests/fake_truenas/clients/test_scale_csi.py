"""scale-csi (successor of truenas-scale-csi) against the fake: it asks what the server can do, and reads whole errors."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fake_truenas import Nas, NasConfig
from tests.fake_truenas.clients.conftest import OpenWire
from tests.fake_truenas.clients.go_json import ANY, Map, Pointer
from tests.fake_truenas.clients.wire import Refused, Wire, always, integers, open_wire
from tests.fake_truenas.rpc import Clock

GIB = 1 << 30
PROPERTIES = [
    "used",
    "available",
    "quota",
    "refquota",
    "reservation",
    "refreservation",
    "volsize",
    "volblocksize",
    "creation",
]
PROPERTY = {"value": ANY, "rawvalue": str, "parsed": ANY, "source": str}
DATASET = {
    "id": str, "name": str, "pool": str, "type": str, "mountpoint": str, "origin": PROPERTY, "used": PROPERTY,
    "available": PROPERTY, "quota": PROPERTY, "refquota": PROPERTY, "reservation": PROPERTY,
    "refreservation": PROPERTY, "volsize": PROPERTY, "volblocksize": PROPERTY, "creation": PROPERTY,
    "user_properties": Map({"value": str, "source": str}),
}  # fmt: skip
RESOURCE = {
    "name": str, "pool": str, "type": str, "properties": Map({"raw": str, "value": ANY, "source": ANY}),
    "user_properties": Map(str),
}  # fmt: skip
SNAPSHOT = {
    "id": str, "name": str, "dataset": str, "pool": str, "type": str, "snapshot_name": Pointer(str), "createtxg": ANY,
    "properties": Map(PROPERTY),
}  # fmt: skip
JOB_EVENT = {"collection": str, "fields": {"id": int, "state": str, "error": str, "exception": str}}
SUBSYSTEM = {
    "id": int, "name": str, "subnqn": str, "serial": str, "allow_any_host": bool, "hosts": [int], "namespaces": [int],
    "ports": [int],
}  # fmt: skip
PORT = {
    "id": int, "index": int, "addr_trtype": str, "addr_traddr": str, "addr_trsvcid": int, "addr_adrfam": str,
    "enabled": bool,
}  # fmt: skip
NAMESPACE = {
    "id": int, "subsys": {"id": int}, "nsid": int, "device_type": str, "device_path": str, "device_uuid": str,
    "device_nguid": str, "enabled": bool, "locked": bool,
}  # fmt: skip
MANAGED = "truenas-csi:managed_resource"


async def start(wire: Wire, key: str) -> Wire:
    """Log in, then subscribe to jobs, which each of its sockets does."""
    assert await wire.call("auth.login_with_api_key", key, into=bool)
    assert await wire.call("core.subscribe", "core.get_jobs", into=str)
    return wire


@pytest.fixture
async def wire(wires: OpenWire, key: str, nas: Nas) -> Wire:
    await nas.call("pool.dataset.create", {"name": "tank/k8s"})
    return await start(await wires(integers(), always), key)


async def dataset(wire: Wire, name: str) -> Any:
    options = {"extra": {"properties": PROPERTIES}}
    rows = await wire.call("pool.dataset.query", [["id", "=", name]], options, into=[DATASET])
    return rows[0] if rows else None


async def create(wire: Wire, name: str, **data: Any) -> Any:
    made = await wire.call("pool.dataset.create", {"name": name, **data}, into=DATASET)
    marks = [{"key": MANAGED, "value": "true"}, {"key": "truenas-csi:owner", "value": "cluster-1"}]
    await wire.call("pool.dataset.update", name, {"user_properties_update": marks}, into=DATASET)
    return made


async def refused(wire: Wire, method: str, *params: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await wire.call(method, *params)
    return caught.value


async def test_snapshot_resources_are_probed_and_missing(wire: Wire) -> None:
    probe = {"paths": [], "recursive": False, "properties": None, "get_user_properties": True}
    error = await refused(wire, "zfs.resource.snapshot.query", probe)
    assert (error.code, error.message, error.data) == (-32601, "Method does not exist", None)


async def test_dataset_resources_are_probed_and_there(wire: Wire) -> None:
    await create(wire, "tank/k8s/vol", type="FILESYSTEM", refquota=GIB)
    options = {"paths": ["tank/k8s"], "get_children": True, "properties": PROPERTIES, "get_user_properties": True}
    rows = await wire.call("zfs.resource.query", options | {"get_source": True}, into=[RESOURCE])
    found = {row["name"]: row for row in rows}["tank/k8s/vol"]
    assert found["properties"]["refquota"]["value"] == GIB
    assert found["properties"]["refquota"]["source"]["type"] == "LOCAL"
    assert found["user_properties"][MANAGED] == "true"


async def test_own_datasets_are_found_by_a_user_property(wire: Wire) -> None:
    await create(wire, "tank/k8s/vol", type="VOLUME", volsize=GIB, volblocksize="16K", sparse=True)
    await wire.call("pool.dataset.create", {"name": "tank/k8s/foreign"})
    filters = [["name", "^", "tank/k8s/"], [f"user_properties.{MANAGED}.value", "=", "true"]]
    options = {"extra": {"flat": True, "properties": PROPERTIES}, "limit": 100}
    rows = await wire.call("pool.dataset.query", filters, options, into=[DATASET])
    assert [row["name"] for row in rows] == ["tank/k8s/vol"]
    assert rows[0]["volsize"]["parsed"] == GIB
    assert isinstance(rows[0]["creation"]["parsed"]["$date"], int)
    assert rows[0]["user_properties"][MANAGED]["source"] == "LOCAL"


async def test_many_datasets_are_read_by_name_in_one_call(wire: Wire) -> None:
    for name in "ab":
        await create(wire, f"tank/k8s/{name}")
    filters = [["id", "in", ["tank/k8s/a", "tank/k8s/b", "tank/k8s/c"]]]
    rows = await wire.call("pool.dataset.query", filters, {"extra": {"properties": PROPERTIES}}, into=[DATASET])
    assert sorted(row["name"] for row in rows) == ["tank/k8s/a", "tank/k8s/b"]


async def test_user_properties_are_removed_in_one_update(wire: Wire) -> None:
    await create(wire, "tank/k8s/vol")
    removals = [{"key": key, "remove": True} for key in (MANAGED, "truenas-csi:owner")]
    await wire.call("pool.dataset.update", "tank/k8s/vol", {"user_properties_update": removals}, into=DATASET)
    assert (await dataset(wire, "tank/k8s/vol"))["user_properties"] == {}


async def test_snapshot_carries_its_properties_from_the_start(wire: Wire) -> None:
    await create(wire, "tank/k8s/vol")
    marks = {MANAGED: "true", "truenas-csi:csi_snapshot_name": "snap"}
    data = {"dataset": "tank/k8s/vol", "name": "snap", "properties": marks}
    made = await wire.call("pool.snapshot.create", data, into=SNAPSHOT)
    assert (made["name"], made["snapshot_name"]) == ("tank/k8s/vol@snap", "snap")
    assert made["createtxg"].isdigit()
    again = await wire.call("pool.snapshot.get_instance", "tank/k8s/vol@snap", into=SNAPSHOT)
    assert again["properties"]["truenas-csi:csi_snapshot_name"]["value"] == "snap"


async def test_snapshot_with_clones_is_told_by_looking(wire: Wire) -> None:
    await create(wire, "tank/k8s/vol")
    await wire.call("pool.snapshot.create", {"dataset": "tank/k8s/vol", "name": "snap"}, into=SNAPSHOT)
    await wire.call("pool.snapshot.clone", {"snapshot": "tank/k8s/vol@snap", "dataset_dst": "tank/k8s/clone"})
    error = await refused(wire, "pool.snapshot.delete", "tank/k8s/vol@snap", {"defer": False, "recursive": False})
    assert (error.code, "dependent clones" in error.data["reason"]) == (-32602, True)
    options = {"extra": {"properties": ["origin"]}}
    rows = await wire.call("pool.dataset.query", [["name", "^", "tank/k8s/"]], options, into=[DATASET])
    origins = {row["name"]: row["origin"]["parsed"] or row["origin"]["rawvalue"] for row in rows}
    assert origins["tank/k8s/clone"] == "tank/k8s/vol@snap"
    await wire.call("pool.snapshot.delete", "tank/k8s/vol@snap", {"defer": True, "recursive": False})
    await wire.call("pool.dataset.delete", "tank/k8s/clone", {"recursive": False, "force": True})
    assert await wire.call("pool.snapshot.query", [["dataset", "=", "tank/k8s/vol"]], {}) == []


async def test_delete_that_needs_recursion_is_told_from_one_of_nothing_by_looking(wire: Wire) -> None:
    await create(wire, "tank/k8s/vol")
    await create(wire, "tank/k8s/vol/child")
    options = {"recursive": False, "force": True}
    codes = {(await refused(wire, "pool.dataset.delete", "tank/k8s/none", options)).message}
    codes.add((await refused(wire, "pool.dataset.delete", "tank/k8s/vol", options)).message)
    assert len(codes) <= 2
    assert await dataset(wire, "tank/k8s/none") is None
    assert await dataset(wire, "tank/k8s/vol") is not None


async def test_hold_and_release_keep_a_snapshot(wire: Wire) -> None:
    await create(wire, "tank/k8s/vol")
    await wire.call("pool.snapshot.create", {"dataset": "tank/k8s/vol", "name": "snap"}, into=SNAPSHOT)
    await wire.call("pool.snapshot.hold", "tank/k8s/vol@snap")
    options = {"defer": False, "recursive": False}
    await refused(wire, "pool.snapshot.delete", "tank/k8s/vol@snap", options)
    await wire.call("pool.snapshot.release", "tank/k8s/vol@snap")
    assert await wire.call("pool.snapshot.delete", "tank/k8s/vol@snap", options) is True


async def test_nvme_volume(wire: Wire) -> None:
    await create(wire, "tank/k8s/vol", type="VOLUME", volsize=GIB)
    subsys = await wire.call("nvmet.subsys.create", {"name": "vol", "allow_any_host": True}, into=SUBSYSTEM)
    device = {"subsys_id": subsys["id"], "device_type": "ZVOL", "device_path": "zvol/tank/k8s/vol"}
    namespace = await wire.call("nvmet.namespace.create", device, into=NAMESPACE)
    filters = [["addr_trtype", "=", "TCP"], ["addr_traddr", "=", "10.0.0.1"], ["addr_trsvcid", "=", 4420]]
    assert await wire.call("nvmet.port.query", filters, {}, into=[PORT]) == []
    data = {"addr_trtype": "TCP", "addr_traddr": "10.0.0.1", "addr_trsvcid": 4420}
    port = await wire.call("nvmet.port.create", data, into=PORT)
    assert await wire.call("nvmet.port.query", filters, {}, into=[PORT]) == [port]
    await wire.call("nvmet.port_subsys.create", {"port_id": port["id"], "subsys_id": subsys["id"]})
    assert len(await wire.call("nvmet.port_subsys.query", [["subsys.id", "=", subsys["id"]]], {})) == 1
    where = [["subsys.id", "=", subsys["id"]], ["device_path", "=", "zvol/tank/k8s/vol"]]
    assert (await wire.call("nvmet.namespace.query", where, {}, into=[NAMESPACE]))[0]["id"] == namespace["id"]
    again = await refused(wire, "nvmet.subsys.create", {"name": "vol", "allow_any_host": True})
    assert again.code == -32602
    assert "nvmet_subsys_create.name" in [item[0] for item in again.data["extra"]]


async def test_iscsi_group_without_auth_and_alias(wire: Wire, portal: int) -> None:
    groups = [{"portal": portal, "initiator": 1, "authmethod": "NONE"}]
    target = await wire.call("iscsi.target.create", {"name": "vol", "mode": "ISCSI", "groups": groups})
    assert target["groups"] == [{"portal": portal, "initiator": 1, "authmethod": "NONE", "auth": None}]
    assert await wire.call("iscsi.target.update", target["id"], {"groups": groups})
    again = await refused(wire, "iscsi.target.create", {"name": "vol", "mode": "ISCSI", "groups": groups})
    assert "Target with this name already exists" in again.data["reason"]


async def test_jobs_are_told_by_events(wire: Wire) -> None:
    job = await wire.call("service.control", "RELOAD", "nfs", into=int)
    states: list[str] = []
    while not states or states[-1] not in ("SUCCESS", "FAILED", "ABORTED"):
        note = await wire.notifications.get()
        assert note["method"] == "collection_update"
        event = {key: note["params"][key] for key in ("collection", "fields")}
        assert (event["collection"], event["fields"]["id"]) == ("core.get_jobs", job)
        states.append(event["fields"]["state"])
    assert states[-1] == "SUCCESS"
    assert states[0] == "WAITING"


@pytest.fixture
async def wire_26(key: str) -> AsyncIterator[Wire]:
    nas = Nas(NasConfig(api_key=key, version="26.0"), rng=random.Random(7), clock=Clock())
    server = await nas.serve("127.0.0.1", 0)
    wire = await start(await open_wire(server, integers(), always), key)
    yield wire
    await wire.close()
    await server.close()
    nas.close()


async def test_snapshot_resources_of_26(wire_26: Wire) -> None:
    await wire_26.call("pool.dataset.create", {"name": "tank/k8s"})
    data = {"dataset": "tank/k8s", "name": "snap", "properties": {MANAGED: "true"}}
    await wire_26.call("pool.snapshot.create", data)
    query = {"paths": ["tank/k8s"], "recursive": True, "properties": ["used", "creation"], "get_user_properties": True}
    (row,) = await wire_26.call("zfs.resource.snapshot.query", query)
    assert (row["name"], row["snapshot_name"], row["dataset"]) == ("tank/k8s@snap", "snap", "tank/k8s")
    assert row["user_properties"] == {MANAGED: "true"}
    assert set(row["properties"]) == {"used", "creation"}
    assert await wire_26.call("zfs.resource.snapshot.holds", {"path": "tank/k8s@snap"}) == []
    names = {"current_name": "tank/k8s@snap", "new_name": "tank/k8s@other", "recursive": False}
    await wire_26.call("zfs.resource.snapshot.rename", names)
    await wire_26.call("zfs.resource.snapshot.destroy", {"path": "tank/k8s@other"})
    assert await wire_26.call("zfs.resource.snapshot.query", query) == []
