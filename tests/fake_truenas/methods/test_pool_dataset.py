"""pool.dataset.* over a real socket."""

from typing import Any

import pytest

from fake_truenas import Nas
from fake_truenas.context import Ctx
from fake_truenas.registry import DatasetHooks
from tests.fake_truenas.rpc import GIB, Client

NATIVE_ONLY = {"retrieve_children": False, "properties": []}


async def create(client: Client, name: str, **data: Any) -> Any:
    return await client.call("pool.dataset.create", {"name": name, **data})


async def volume(client: Client, name: str, **data: Any) -> Any:
    return await create(client, name, **{"type": "VOLUME", "volsize": GIB, "sparse": True, **data})


async def get(client: Client, name: str) -> Any:
    return await client.call("pool.dataset.get_instance", name)


async def used(client: Client, name: str = "tank") -> int:
    return int((await get(client, name))["used"]["parsed"])


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
        ({"name": "nopool"}, "pool_dataset_create.name", "Invalid dataset name"),
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
    assert error.items[0][0] == "pool_dataset_create.name"
    assert "readonly" in error.items[0][1]


@pytest.mark.parametrize(
    ("data", "attribute", "text"),
    [
        ({"volsize": GIB // 2}, "pool_dataset_update.volsize", "shrink"),
        ({"volsize": GIB + 512}, "pool_dataset_update.volsize", "multiple"),
        ({"volsize": 990 * GIB}, "pool_dataset_update.volsize", "80%"),
        ({"refquota": GIB}, "pool_dataset_update.refquota", "not valid for VOLUME"),
        ({"name": "tank/y"}, "data.name", "Extra inputs are not permitted"),
        ({"user_properties_update": [{"key": "a:b"}]}, "pool_dataset_update.user_properties_update.0", "Either"),
        ({"user_properties_update": [{"key": "a:b", "value": "1", "remove": True}]}, "pool_dataset_update.user_properties_update.0", "Either"),
        ({"user_properties_update": [{"key": "a:b", "remove": True}]}, "pool_dataset_update.user_properties_update.0.key",
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
    for method in ("get_instance", "delete", "promote"):
        error = await client.refused(f"pool.dataset.{method}", "tank/x")
        assert (error.code, error.data["error"]) == (-32602, 22)
        assert error.reason == "[ENOENT] None: PoolDataset tank/x does not exist\n"


async def test_delete_refuses_children_snapshots_and_foreign_clones(client: Client) -> None:
    await create(client, "tank/d")
    await create(client, "tank/d/c")
    error = await client.refused("pool.dataset.delete", "tank/d")
    assert (error.code, error.data["errname"]) == (-32001, "ENOTEMPTY")
    assert error.reason == "[ENOTEMPTY] Failed to delete dataset: cannot destroy 'tank/d': filesystem has children"
    await client.call("pool.snapshot.create", {"dataset": "tank/d/c", "name": "s"})
    error = await client.refused("pool.dataset.delete", "tank/d/c")
    assert (error.code, error.data["errname"]) == (-32001, "EFAULT")
    assert "filesystem has children\nuse '-r'" in error.reason
    await client.call("pool.snapshot.clone", {"snapshot": "tank/d/c@s", "dataset_dst": "tank/clone"})
    for options in ({"recursive": True}, {"recursive": True, "force": True}):
        error = await client.refused("pool.dataset.delete", "tank/d", options)
        assert (error.data["errname"], "dependent clones\nuse '-R'" in error.reason) == ("EFAULT", True)
    assert await client.call("pool.dataset.delete", "tank/clone") is True
    assert await client.call("pool.dataset.delete", "tank/d", {"recursive": True}) is True
    assert await client.call("pool.dataset.query", [], {"count": True}) == 1
    assert await client.call("pool.snapshot.query", [], {"count": True}) == 0
    error = await client.refused("pool.dataset.delete", "tank", {"recursive": True})
    assert "operation does not apply to pools" in error.reason


async def test_clones_within_a_tree_go_with_it(client: Client) -> None:
    await create(client, "tank/t")
    await create(client, "tank/t/a")
    await client.call("pool.snapshot.create", {"dataset": "tank/t/a", "name": "s"})
    await client.call("pool.snapshot.clone", {"snapshot": "tank/t/a@s", "dataset_dst": "tank/t/b"})
    assert await client.call("pool.dataset.delete", "tank/t", {"recursive": True}) is True
    assert await client.call("pool.dataset.query", [], {"count": True}) == 1


class Recorder(DatasetHooks):
    """Remembers what it was told; may keep a dataset busy."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.busy_name = ""

    def busy(self, ctx: Ctx, name: str) -> str | None:
        return "in use" if name == self.busy_name else None

    def dataset_deleted(self, ctx: Ctx, pk: int, name: str) -> None:
        self.told.append(("deleted", name))
        assert ctx.db.value("select name from dataset where pk = ?", (pk,)) == name

    def dataset_renamed(self, ctx: Ctx, pk: int, old: str, new: str) -> None:
        self.told.append(("renamed", old, new))

    def dataset_resized(self, ctx: Ctx, pk: int, volsize_bytes: int) -> None:
        self.told.append(("resized", volsize_bytes))


async def test_hooks_hear_of_changes_and_can_keep_a_dataset_busy(nas: Nas, client: Client) -> None:
    recorder = Recorder()
    nas.hooks = [*nas.hooks, recorder]
    await create(client, "tank/h")
    await volume(client, "tank/h/v")
    recorder.busy_name = "tank/h/v"
    error = await client.refused("pool.dataset.delete", "tank/h", {"recursive": True})
    assert error.reason == "[EBUSY] Failed to delete dataset: cannot destroy 'tank/h/v': dataset is busy"
    error = await client.refused("pool.dataset.rename", "tank/h", {"new_name": "tank/i"})
    assert (error.code, error.data["errname"]) == (-32001, "EBUSY")
    assert recorder.told == []
    recorder.busy_name = ""
    await client.call("pool.dataset.update", "tank/h/v", {"volsize": 2 * GIB})
    assert await client.call("pool.dataset.rename", "tank/h", {"new_name": "tank/i"}) is None
    await client.call("pool.dataset.delete", "tank/i", {"recursive": True})
    assert recorder.told == [
        ("resized", 2 * GIB), ("renamed", "tank/h", "tank/i"), ("renamed", "tank/h/v", "tank/i/v"),
        ("deleted", "tank/i/v"), ("deleted", "tank/i"),
    ]  # fmt: skip


async def test_promote_swaps_the_dependency_and_renames_snapshots(client: Client) -> None:
    await volume(client, "tank/src")
    for name in ("s1", "s2", "s3"):
        await client.call("pool.snapshot.create", {"dataset": "tank/src", "name": name})
    await client.call("pool.snapshot.clone", {"snapshot": "tank/src@s2", "dataset_dst": "tank/clone"})
    await client.call("pool.snapshot.clone", {"snapshot": "tank/src@s1", "dataset_dst": "tank/other"})
    assert await client.call("pool.dataset.promote", "tank/clone") is None
    names = await client.call("pool.snapshot.query", [], {"select": ["name"]})
    assert [row["name"] for row in names] == ["tank/clone@s1", "tank/clone@s2", "tank/src@s3"]
    origins = {name: (await get(client, f"tank/{name}"))["origin"]["value"] for name in ("src", "clone", "other")}
    assert origins == {"src": "tank/clone@s2", "clone": "", "other": "tank/clone@s1"}
    error = await client.refused("pool.dataset.promote", "tank/clone")
    assert (error.data["errname"], error.reason) == ("EBADMSG", "[EBADMSG] Only cloned datasets can be promoted.")
    await client.call("pool.snapshot.delete", "tank/src@s3")
    assert await client.call("pool.dataset.delete", "tank/src") is True


async def test_promote_refuses_colliding_snapshot_names(client: Client) -> None:
    await volume(client, "tank/src")
    await client.call("pool.snapshot.create", {"dataset": "tank/src", "name": "s"})
    await client.call("pool.snapshot.clone", {"snapshot": "tank/src@s", "dataset_dst": "tank/clone"})
    await client.call("pool.snapshot.create", {"dataset": "tank/clone", "name": "s"})
    error = await client.refused("pool.dataset.promote", "tank/clone")
    assert (error.data["errname"], "conflicts" in error.reason) == ("EEXIST", True)


async def test_rename_moves_the_tree_its_snapshots_charges_and_inheritance(client: Client) -> None:
    await create(client, "tank/a", user_properties=[{"key": "x:y", "value": "a"}])
    await create(client, "tank/b", user_properties=[{"key": "x:y", "value": "b"}])
    await create(client, "tank/a/m")
    await create(client, "tank/a/m/v", type="VOLUME", volsize=GIB)
    await client.call("pool.snapshot.create", {"dataset": "tank/a/m/v", "name": "s"})
    before = await used(client)
    await client.call("pool.dataset.rename", "tank/a/m", {"new_name": "tank/b/n"})
    assert (await get(client, "tank/b/n/v"))["user_properties"]["x:y"]["value"] == "b"
    assert (await client.call("pool.snapshot.query", [["id", "=", "tank/b/n/v@s"]]))[0]["dataset"] == "tank/b/n/v"
    assert [await used(client, name) for name in ("tank/a", "tank/b", "tank")] == [0, before, before]
    for new, text in [
        ("tank/b/n/v/in", "parent does not exist"), ("tank/b/n/x", "descendant"), ("tank/a", "already exists"),
        ("other/x", "parent does not exist"),
    ]:  # fmt: skip
        error = await client.refused("pool.dataset.rename", "tank/b/n", {"new_name": new})
        assert (error.code, text in error.reason) == (-32001, True), new


async def test_query_shapes_flat_children_and_chosen_properties(client: Client) -> None:
    await create(client, "tank/a")
    await volume(client, "tank/a/v", user_properties=[{"key": "x:y", "value": "1"}])
    everything = await client.call("pool.dataset.query")
    assert [row["id"] for row in everything] == ["tank", "tank/a", "tank/a/v"]
    assert [row["id"] for row in everything[0]["children"]] == ["tank/a"]
    assert everything[0]["children"][0]["children"] == [everything[2]]
    (bare,) = await client.call(
        "pool.dataset.query",
        [["id", "=", "tank/a/v"]],
        {"extra": {"properties": ["volsize", "refquota", "nope"], "retrieve_children": False}},
    )
    assert set(bare) == {"id", "type", "name", "pool", "encrypted", "encryption_root", "key_loaded", "locked", "children",
                         "mountpoint", "user_properties", "volsize"}  # fmt: skip
    (nothing,) = await client.call(
        "pool.dataset.query", [["id", "=", "tank/a/v"]], {"extra": {"properties": [], "retrieve_user_props": False}}
    )
    assert (nothing["user_properties"], "volsize" in nothing) == ({}, False)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([["id", "=", "tank/csi/b"]], ["b"]),
        ([["id", "in", ["tank/csi/b", "tank/csi/c", "x"]]], ["b", "c"]),
        ([["id", "^", "tank/csi/"], ["id", ">", "tank/csi/a"]], ["b", "c"]),
        ([["name", "^", "tank/csi/"], ["type", "=", "VOLUME"]], ["c"]),
        ([[r"user_properties.x:k\.ey.value", "=", "one"]], ["a", "b"]),
        ([["user_properties.x:plain.rawvalue", "=", "p"]], ["b"]),
        ([["user_properties.x:plain.value", "!=", "p"]], []),
        ([["id", "$", "/c"], ["volsize.parsed", ">", 5]], ["c"]),
        ([["OR", [["id", "=", "tank/csi/a"], ["mountpoint", "=", "/mnt/tank/csi/b"]]]], ["a", "b"]),
        ([["mountpoint", "=", "/mnt/tank/csi/c"]], []),
        ([["mountpoint", "^", "/mnt/tank/csi/"]], ["a", "b"]),
        ([["id", "~", ".*/[ab]$"]], ["a", "b"]),
        ([["id", "=", 5]], []),
        ([["id", "C=", "TANK/CSI/A"]], ["a"]),
    ],
)
async def test_filters_answered_by_sql_and_by_evaluation_agree(
    client: Client, filters: Any, expected: list[str]
) -> None:
    await create(client, "tank/csi")
    one = {"key": "x:k.ey", "value": "one"}
    await create(client, "tank/csi/a", user_properties=[one])
    await create(client, "tank/csi/b", user_properties=[one, {"key": "x:plain", "value": "p"}])
    await volume(client, "tank/csi/c", user_properties=[{"key": "x:k.ey", "value": "two"}])
    found = await client.call("pool.dataset.query", filters, {"select": ["id"]})
    assert [row["id"] for row in found] == [f"tank/csi/{name}" for name in expected]
    assert await client.call("pool.dataset.query", filters, {"count": True}) == len(expected)
    reverse = await client.call("pool.dataset.query", filters, {"select": ["id"], "order_by": ["-id"], "limit": 1})
    assert [row["id"] for row in reverse] == [f"tank/csi/{name}" for name in expected[-1:]]


async def test_query_refuses_unknown_options_null_filters_and_wrong_extra(client: Client) -> None:
    error = await client.refused("pool.dataset.query", [], {"sort": "x"})
    assert error.items == [("options.sort", "Extra inputs are not permitted", 22)]
    error = await client.refused("pool.dataset.query", None)
    assert error.items == [("filters", "Input should be a valid list", 22)]
    error = await client.refused("pool.dataset.query", [], {"extra": {"properties": "all"}})
    assert error.items[0][0] == "options.extra.properties"
    error = await client.refused("pool.dataset.query", [["id", "=", "tank/none"]], {"get": True})
    assert error.code == -32001
    assert (await client.call("pool.dataset.query", [["id", "=", "tank"]], {"get": True}))["id"] == "tank"


async def test_keyset_pages_cover_everything_once(client: Client) -> None:
    await create(client, "tank/csi")
    names = [f"tank/csi/n{number:02}" for number in range(25)]
    for name in names:
        await create(client, name)
    seen: list[str] = []
    while page := await client.call(
        "pool.dataset.query",
        [["id", "^", "tank/csi/"], *([["id", ">", seen[-1]]] if seen else [])],
        {"order_by": ["id"], "limit": 10, "select": ["id"], "extra": NATIVE_ONLY},
    ):
        seen += [row["id"] for row in page]
    assert seen == names


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
        space.add_referenced(nas.db, pk, 5 << 20)
    assert [await used(client, name) for name in ("tank/q/v", "tank/q", "tank")] == [5 << 20] * 3
    assert (await client.call("pool.query"))[0]["allocated"] == 5 << 20
    with pytest.raises(space.zfs.OutOfSpaceError), nas.db.transaction():
        space.add_referenced(nas.db, pk, 2 * GIB)
    await client.call("pool.dataset.delete", "tank/q", {"recursive": True})
    assert await used(client) == 0
    assert (await client.call("pool.query"))[0]["allocated"] == 0
