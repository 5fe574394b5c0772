"""pool.dataset.* over a real socket."""

from typing import Any

import pytest

from fake_truenas import Nas
from tests.fake_truenas.objects import add_referenced, create, get, used, volume
from tests.fake_truenas.rpc import GIB, Client

NATIVE_ONLY = {"retrieve_children": False, "properties": []}


async def test_a_file_system_shows_every_property_of_its_type(client: Client) -> None:
    entry = await create(client, "tank/fs", refquota=2 * GIB, comments="mine", compression="ZSTD-3", atime="ON")
    assert (entry["id"], entry["name"], entry["pool"], entry["type"]) == ("tank/fs", "tank/fs", "tank", "FILESYSTEM")
    assert (entry["mountpoint"], entry["children"], entry["locked"], entry["encrypted"]) == (
        "/mnt/tank/fs",
        [],
        False,
        False,
    )
    assert entry["refquota"] == {
        "parsed": 2 * GIB, "rawvalue": str(2 * GIB), "value": "2G", "source": "LOCAL", "source_info": None,
    }  # fmt: skip
    assert (entry["quota"]["parsed"], entry["quota"]["value"], entry["quota"]["rawvalue"]) == (None, None, "0")
    assert (entry["compression"]["value"], entry["compression"]["rawvalue"]) == ("ZSTD-3", "zstd-3")
    assert (entry["atime"]["parsed"], entry["atime"]["rawvalue"], entry["atime"]["value"]) == (True, "on", "ON")
    assert (entry["recordsize"]["value"], entry["recordsize"]["source"]) == ("128K", "DEFAULT")
    assert (entry["acltype"]["value"], entry["acltype"]["source"], entry["acltype"]["source_info"]) == (
        "POSIX",
        "INHERITED",
        "tank",
    )
    assert (entry["origin"]["parsed"], entry["origin"]["value"], entry["origin"]["rawvalue"]) == ("", "", "")
    assert entry["creation"]["parsed"] == {"$date": 1_700_000_000_000}
    assert entry["comments"]["value"] == "mine"
    assert entry["user_properties"] == {}
    assert "volsize" not in entry
    assert await get(client, "tank/fs") == entry


async def test_a_volume_has_no_file_system_properties(client: Client) -> None:
    entry = await volume(client, "tank/v", volblocksize="64K")
    assert entry["mountpoint"] is None
    assert (entry["volsize"]["parsed"], entry["volblocksize"]["value"]) == (GIB, "64K")
    assert not {"quota", "refquota", "acltype", "aclmode", "recordsize", "atime"} & set(entry)
    assert entry["refreservation"]["parsed"] is None


async def test_a_thick_volume_reserves_its_size_and_metadata(client: Client) -> None:
    entry = await create(client, "tank/thick", type="VOLUME", volsize=4 * GIB)
    reserved = entry["refreservation"]["parsed"]
    assert 4 * GIB < reserved < 4 * GIB * 1.02
    assert (entry["used"]["parsed"], entry["usedbyrefreservation"]["parsed"]) == (reserved, reserved)
    assert await used(client) == reserved
    grown = await client.call("pool.dataset.update", "tank/thick", {"volsize": 8 * GIB})
    assert grown["refreservation"]["parsed"] > 8 * GIB
    assert await used(client) == grown["refreservation"]["parsed"]
    assert await client.call("pool.dataset.delete", "tank/thick") is True
    assert await used(client) == 0


@pytest.mark.parametrize(
    ("data", "attribute", "text"),
    [
        ({"name": "nopool"}, "pool_dataset_create.name", "You need a full name, e.g. pool/newdataset"),
        ({"name": "tank/a//b"}, "pool_dataset_create.name", "Invalid dataset name"),
        ({"name": "tank/ä"}, "pool_dataset_create.name", "Invalid dataset name"),
        ({"name": "tank/a@b"}, "pool_dataset_create.name", "Invalid dataset name"),
        ({"name": "tank/" + "x" * 300}, "pool_dataset_create.name", "Invalid dataset name"),
        ({"name": "tank/.."}, "pool_dataset_create.name", "Invalid dataset name"),
        ({"name": "tank/no/x"}, "pool_dataset_create.name", "Parent dataset (tank/no) does not exist."),
        ({"name": "other/x"}, "pool_dataset_create.name", "zpool (other) does not exist."),
        ({"name": "tank/x", "volsize": GIB}, "pool_dataset_create.volsize", "This field is not valid for FILESYSTEM"),
        ({"name": "tank/x", "type": "VOLUME", "volsize": GIB, "quota": GIB}, "pool_dataset_create.quota", "This field is not valid for VOLUME"),
        ({"name": "tank/x", "type": "VOLUME"}, "pool_dataset_create.volsize", "This field is required for VOLUME"),
        ({"name": "tank/x", "type": "VOLUME", "volsize": GIB + 512}, "pool_dataset_create.volsize", "Volume size should be a multiple"),
        ({"name": "tank/x", "type": "VOLUME", "volsize": 900 * GIB, "sparse": True}, "pool_dataset_create.volsize", "80%"),
        ({"name": "tank/x", "refquota": GIB - 1}, "data.refquota", f"Input should be greater than or equal to {GIB}"),
        ({"name": "tank/x", "compression": "lz4"}, "data.compression", "Input should be 'ON'"),
        ({"name": "tank/x", "foo": 1}, "data.foo", "Extra inputs are not permitted"),
        ({"name": "tank/x", "user_properties": [{"key": "nocolon", "value": "v"}]}, "data.user_properties.0.key", "pattern"),
        ({"name": "tank/x", "user_properties": [{"key": "a:b", "value": "v" * 1025}]}, "data.user_properties.0.value", "at most 1024"),
        ({}, "data.name", "Field required"),
    ],
)  # fmt: skip
async def test_create_refuses_wrong_fields_as_validation_errors(
    client: Client, data: Any, attribute: str, text: str
) -> None:
    error = await client.refused("pool.dataset.create", data)
    assert (error.code, error.message, error.data["error"]) == (-32602, "Invalid params", 22)
    ((found, words, number),) = error.items
    assert (found, number) == (attribute, 22)
    assert text in words
    assert await client.call("pool.dataset.query", [], {"count": True}) == 1


async def test_an_existing_file_system_and_an_existing_volume_are_refused_in_different_ways(client: Client) -> None:
    await create(client, "tank/fs")
    await volume(client, "tank/v")
    for data in ({"name": "tank/fs"}, {"name": "tank/fs", "type": "VOLUME", "volsize": GIB, "sparse": True}):
        error = await client.refused("pool.dataset.create", data)
        assert (error.code, error.items) == (
            -32602,
            [("pool_dataset_create.name", "Path /mnt/tank/fs already exists", 22)],
        )
    for data in ({"name": "tank/v"}, {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "sparse": True}):
        error = await client.refused("pool.dataset.create", data)
        assert (error.code, error.data["error"]) == (-32001, 14)
        assert error.reason == "[EFAULT] Failed to create dataset: cannot create 'tank/v': dataset already exists"


async def test_space_runs_out_for_reservations_but_not_for_sparse_volumes(client: Client) -> None:
    await create(client, "tank/big", type="VOLUME", volsize=700 * GIB)
    await volume(client, "tank/sparse", volsize=900 * GIB, force_size=True)
    error = await client.refused(
        "pool.dataset.create", {"name": "tank/b2", "type": "VOLUME", "volsize": 700 * GIB, "force_size": True}
    )
    assert (error.code, error.reason) == (
        -32001,
        "[EFAULT] Failed to create dataset: cannot create 'tank/b2': out of space",
    )
    await create(client, "tank/small", quota=2 * GIB)
    error = await client.refused("pool.dataset.create", {"name": "tank/small/x", "reservation": 3 * GIB})
    assert "out of space" in error.reason
    assert (await get(client, "tank/small"))["available"]["parsed"] == 2 * GIB
    with pytest.raises(Exception, match="does not exist"):
        await get(client, "tank/small/x")


async def test_ancestors_are_created_on_request(client: Client) -> None:
    await create(client, "tank/a/b/c", create_ancestors=True)
    found = await client.call("pool.dataset.query", [["id", "^", "tank/"]], {"select": ["id"], "extra": NATIVE_ONLY})
    assert [row["id"] for row in found] == ["tank/a", "tank/a/b", "tank/a/b/c"]


async def test_user_properties_inherit_down_to_where_they_are_set_again(client: Client) -> None:
    await create(client, "tank/p", user_properties=[{"key": "csi:owner", "value": "p"}])
    await create(client, "tank/p/c")
    await create(client, "tank/p/c/g", user_properties=[{"key": "csi:owner", "value": "g"}])
    await create(client, "tank/p/c/g/leaf")

    async def owner(name: str) -> tuple[str, str, str | None]:
        item = (await get(client, name))["user_properties"]["csi:owner"]
        assert item["value"] == item["rawvalue"] == item["parsed"]
        return item["value"], item["source"], item["source_info"]

    assert await owner("tank/p/c") == ("p", "INHERITED", "tank/p")
    assert await owner("tank/p/c/g/leaf") == ("g", "INHERITED", "tank/p/c/g")
    await client.call("pool.dataset.update", "tank/p", {"user_properties_update": [{"key": "csi:owner", "value": "q"}]})
    assert await owner("tank/p") == ("q", "LOCAL", None)
    assert await owner("tank/p/c") == ("q", "INHERITED", "tank/p")
    assert await owner("tank/p/c/g/leaf") == ("g", "INHERITED", "tank/p/c/g")
    await client.call(
        "pool.dataset.update", "tank/p/c/g", {"user_properties_update": [{"key": "csi:owner", "remove": True}]}
    )
    assert await owner("tank/p/c/g/leaf") == ("q", "INHERITED", "tank/p")
    await client.call(
        "pool.dataset.update", "tank/p", {"user_properties_update": [{"key": "csi:owner", "remove": True}]}
    )
    assert (await get(client, "tank/p/c/g/leaf"))["user_properties"] == {}


async def test_native_properties_inherit_and_can_be_given_back(client: Client) -> None:
    await create(client, "tank/p", compression="GZIP-9", sync="ALWAYS", casesensitivity="INSENSITIVE")
    child = await create(client, "tank/p/c")
    assert (child["compression"]["value"], child["compression"]["source_info"]) == ("GZIP-9", "tank/p")
    assert child["casesensitivity"]["value"] == "SENSITIVE"
    entry = await client.call("pool.dataset.update", "tank/p", {"compression": "INHERIT"})
    assert (entry["compression"]["value"], entry["compression"]["source"]) == ("LZ4", "INHERITED")
    assert (await get(client, "tank/p/c"))["compression"]["source_info"] == "tank"
    await client.call("pool.dataset.update", "tank/p", {"readonly": "ON"})
    error = await client.refused("pool.dataset.create", {"name": "tank/p/c/d"})
    assert error.items == [
        ("pool_dataset_create.readonly", "Turn off readonly mode on tank/p/c to create tank", 22),
    ]


@pytest.mark.parametrize(
    ("data", "attribute", "text"),
    [
        ({"volsize": GIB // 2}, "pool_dataset_update.volsize", "shrink"),
        ({"volsize": GIB + 512}, "pool_dataset_update.volsize", "multiple"),
        ({"volsize": 990 * GIB}, "pool_dataset_update.volsize", "80%"),
        ({"refquota": GIB}, "pool_dataset_update.refquota", "not valid for VOLUME"),
        ({"name": "tank/y"}, "data.name", "Extra inputs are not permitted"),
        ({"user_properties_update": [{"key": "a:b"}]}, "pool_dataset_update.user_properties_update.0.value", 'Either "value" or "remove" must be specified'),
        ({"user_properties_update": [{"key": "a:b", "value": "1", "remove": True}]}, "pool_dataset_update.user_properties_update.0.remove", 'When "value" is specified, this cannot be set'),
        ({"user_properties_update": [{"key": "a:b", "remove": True}]}, "properties.a:b",
         "Property does not exist and cannot be inherited"),
    ],
)  # fmt: skip
async def test_update_refuses_without_changing_anything(client: Client, data: Any, attribute: str, text: str) -> None:
    before = await volume(client, "tank/v")
    error = await client.refused("pool.dataset.update", "tank/v", {"comments": "changed", **data})
    assert error.code == -32602
    assert error.items[0][0] == attribute
    assert text in error.items[0][1]
    assert await get(client, "tank/v") == before


async def test_missing_datasets(client: Client) -> None:
    error = await client.refused("pool.dataset.update", "tank/x", {})
    assert (error.code, error.items) == (-32602, [("id", "tank/x does not exist", 2)])
    for method in ("get_instance", "delete"):
        error = await client.refused(f"pool.dataset.{method}", "tank/x")
        assert (error.code, error.data["error"]) == (-32602, 22)
        assert error.reason == "[ENOENT] None: PoolDataset tank/x does not exist"


async def test_changes_are_announced(client: Client, dial: Any) -> None:
    listener = await dial()
    await listener.call("core.subscribe", "pool.dataset.query")
    entry = await create(client, "tank/e")
    await client.call("pool.dataset.update", "tank/e", {"comments": "x"})
    await client.refused("pool.dataset.update", "tank/e", {"foo": 1})
    await client.call("pool.dataset.delete", "tank/e")
    events = [(await listener.events.get())["params"] for _ in range(3)]
    assert [(event["msg"], event["collection"], event["id"]) for event in events] == [
        ("added", "pool.dataset.query", "tank/e"),
        ("changed", "pool.dataset.query", "tank/e"),
        ("removed", "pool.dataset.query", "tank/e"),
    ]
    assert events[0]["fields"] == entry
    assert "fields" not in events[2]


async def test_used_by_data_is_charged_up_to_the_pool_and_given_back(nas: Nas, client: Client) -> None:
    from fake_truenas import space

    await create(client, "tank/q", quota=2 * GIB)
    await volume(client, "tank/q/v")
    pk = nas.db.value("select pk from dataset where name = 'tank/q/v'")
    with nas.db.transaction():
        add_referenced(nas.db, pk, 5 << 20)
    assert [await used(client, name) for name in ("tank/q/v", "tank/q", "tank")] == [5 << 20] * 3
    assert (await client.call("pool.query"))[0]["allocated"] == 5 << 20
    with pytest.raises(space.zfs.OutOfSpaceError), nas.db.transaction():
        add_referenced(nas.db, pk, 2 * GIB)
    await client.call("pool.dataset.delete", "tank/q", {"recursive": True})
    assert await used(client) == 0
    assert (await client.call("pool.query"))[0]["allocated"] == 0
