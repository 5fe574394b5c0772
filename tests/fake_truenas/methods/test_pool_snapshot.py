"""pool.snapshot.* over a real socket."""

from typing import Any

import pytest

from fake_truenas import Nas, space
from tests.fake_truenas.rpc import GIB, Client


async def make(client: Client, name: str, **data: Any) -> None:
    await client.call("pool.dataset.create", {"name": name, **data})


async def volume(client: Client, name: str, **data: Any) -> None:
    await make(client, name, type="VOLUME", volsize=GIB, sparse=True, **data)


async def snap(client: Client, dataset: str, name: str, **data: Any) -> Any:
    return await client.call("pool.snapshot.create", {"dataset": dataset, "name": name, **data})


async def names(client: Client, filters: Any = None) -> list[str]:
    rows = await client.call("pool.snapshot.query", filters or [], {"select": ["name"]})
    return [row["name"] for row in rows]


def write(nas: Nas, name: str, size: int, **more: int) -> None:
    with nas.db.transaction():
        space.add_referenced(nas.db, nas.db.value("select pk from dataset where name = ?", (name,)), size, **more)


async def test_an_entry_has_the_full_name_as_name_and_all_properties(client: Client) -> None:
    await volume(client, "tank/v", user_properties=[{"key": "a:ds", "value": "1"}, {"key": "a:both", "value": "ds"}])
    entry = await snap(client, "tank/v", "s1", properties={"a:own": "2", "a:both": "snap"})
    assert (entry["id"], entry["name"], entry["snapshot_name"]) == ("tank/v@s1", "tank/v@s1", "s1")
    assert (entry["dataset"], entry["pool"], entry["type"]) == ("tank/v", "tank", "SNAPSHOT")
    assert entry["createtxg"] == entry["properties"]["createtxg"]["rawvalue"]
    properties = entry["properties"]
    assert properties["volsize"] == {"value": "1G", "rawvalue": str(GIB), "source": "NONE", "parsed": GIB}
    assert properties["creation"]["parsed"] == {"$date": 1_700_000_000_000}
    assert (
        properties["clones"]["value"],
        properties["defer_destroy"]["value"],
        properties["userrefs"]["rawvalue"],
    ) == ("", "off", "0")
    users = {key: (item["value"], item["source"]) for key, item in properties.items() if ":" in key}
    assert users == {"a:ds": ("1", "INHERITED"), "a:own": ("2", "LOCAL"), "a:both": ("snap", "LOCAL")}
    assert await client.call("pool.snapshot.get_instance", "tank/v@s1") == entry
    assert "holds" not in entry


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        ({"dataset": "tank/x", "name": "s"}, -32001, "[EFAULT] Failed to snapshot tank/x@s: Dataset tank/x not found"),
        ({"dataset": "tank/v", "name": "taken"}, -32001,
         "[EEXIST] Failed to snapshot tank/v@taken: cannot create snapshot 'tank/v@taken': dataset already exists"),
        ({"dataset": "tank/v", "name": "a/b"}, -32602, "[EINVAL] snapshot_create.name: Invalid snapshot name"),
        ({"dataset": "tank/v", "name": "a@b"}, -32602, "[EINVAL] snapshot_create.name: Invalid snapshot name"),
        ({"dataset": "tank/v", "name": ""}, -32602, "[EINVAL] snapshot_create.name: Invalid snapshot name"),
        ({"dataset": "tank/v", "name": "n" * 300}, -32602, "[EINVAL] snapshot_create.name: Invalid snapshot name"),
        ({"dataset": "tank/v"}, -32602, "[EINVAL] snapshot_create.naming_schema: You must"),
        ({"dataset": "tank/v", "name": "s", "exclude": ["x"]}, -32602, "[EINVAL] snapshot_create.exclude:"),
        ({"dataset": "tank/v", "name": "s", "properties": {"nocolon": "x"}}, -32602, "[EINVAL] snapshot_create.properties.nocolon:"),
    ],
)  # fmt: skip
async def test_create_refusals(client: Client, data: Any, code: int, text: str) -> None:
    await volume(client, "tank/v")
    await snap(client, "tank/v", "taken")
    error = await client.refused("pool.snapshot.create", data)
    assert (error.code, error.reason[: len(text)]) == (code, text)
    assert await names(client) == ["tank/v@taken"]


async def test_snapshot_properties_may_be_longer_than_those_of_datasets(client: Client) -> None:
    await volume(client, "tank/v")
    entry = await snap(client, "tank/v", "s", properties={"a:b": "v" * 5000})
    assert len(entry["properties"]["a:b"]["value"]) == 5000


async def test_a_recursive_snapshot_is_one_instant_and_leaves_excluded_trees_out(client: Client, dial: Any) -> None:
    await make(client, "tank/g")
    for name in ("a", "b", "b/in", "c", "bb"):
        await make(client, f"tank/g/{name}")
    listener = await dial()
    await listener.call("core.subscribe", "pool.snapshot.query")
    await snap(client, "tank/g", "now", recursive=True, exclude=["tank/g/b"], properties={"g:id": "7"})
    rows = await client.call("pool.snapshot.query", [["snapshot_name", "=", "now"]])
    assert [row["dataset"] for row in rows] == ["tank/g/a", "tank/g/bb", "tank/g/c", "tank/g"]
    assert len({row["createtxg"] for row in rows}) == 1
    assert {row["properties"]["g:id"]["value"] for row in rows} == {"7"}
    later = await snap(client, "tank/g/a", "later")
    assert int(later["createtxg"]) > int(rows[0]["createtxg"])
    first, second = [(await listener.events.get())["params"] for _ in range(2)]
    assert (first["msg"], first["id"], first["extra"]) == ("added", "tank/g@now", {"recursive": True})
    assert (second["id"], second["extra"]) == ("tank/g/a@later", {"recursive": False})


async def test_a_recursive_snapshot_is_all_or_nothing(client: Client) -> None:
    await make(client, "tank/g")
    await make(client, "tank/g/a")
    await snap(client, "tank/g/a", "now")
    error = await client.refused("pool.snapshot.create", {"dataset": "tank/g", "name": "now", "recursive": True})
    assert (error.data["errname"], "tank/g/a@now" in error.reason) == ("EEXIST", True)
    assert await names(client) == ["tank/g/a@now"]
    await client.call("pool.snapshot.delete", "tank/g/a@now")
    await snap(client, "tank/g", "now", recursive=True)
    assert await client.call("pool.snapshot.delete", "tank/g@now", {"recursive": True}) is True
    assert await names(client) == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([["name", "=", "s1"]], []),
        ([["snapshot_name", "=", "s1"]], ["tank/a@s1", "tank/b@s1"]),
        ([["id", "=", "tank/a@s1"]], ["tank/a@s1"]),
        ([["dataset", "=", "tank/a"]], ["tank/a@s1", "tank/a@s2"]),
        ([["dataset", "in", ["tank/b", "tank/c"]]], ["tank/b@s1"]),
        ([["id", "^", "tank/a@"], ["id", ">", "tank/a@s1"]], ["tank/a@s2"]),
        ([["properties.x:y.value", "=", "ds"]], ["tank/a@s1"]),
        ([["properties.x:y.value", "=", "own"]], ["tank/a@s2"]),
        ([["properties.x:y.value", "^", "o"]], ["tank/a@s2"]),
        (
            [["OR", [["dataset", "=", "tank/b"], ["dataset", "^", "tank/b/"]]], ["snapshot_name", "=", "s1"]],
            ["tank/b@s1"],
        ),
        ([["properties.defer_destroy.value", "=", "on"]], []),
    ],
)
async def test_filters(client: Client, filters: Any, expected: list[str]) -> None:
    await make(client, "tank/a", user_properties=[{"key": "x:y", "value": "ds"}])
    await make(client, "tank/b")
    await snap(client, "tank/a", "s1")
    await snap(client, "tank/a", "s2", properties={"x:y": "own"})
    await snap(client, "tank/b", "s1")
    assert await names(client, filters) == expected
    assert await client.call("pool.snapshot.query", filters, {"count": True}) == len(expected)


async def test_extra_chooses_properties_holds_and_txg_bounds(client: Client) -> None:
    await make(client, "tank/a", user_properties=[{"key": "x:y", "value": "ds"}])
    first = await snap(client, "tank/a", "s1")
    second = await snap(client, "tank/a", "s2")
    (row,) = await client.call(
        "pool.snapshot.query", [["id", "=", "tank/a@s1"]], {"extra": {"properties": ["used", "x:y"], "holds": True}}
    )
    assert (set(row["properties"]), row["holds"]) == ({"used", "x:y"}, {})
    (row,) = await client.call(
        "pool.snapshot.query", [], {"extra": {"properties": [], "min_txg": int(second["createtxg"])}}
    )
    assert (row["id"], row["properties"]) == ("tank/a@s2", {})
    (row,) = await client.call("pool.snapshot.query", [], {"extra": {"max_txg": int(first["createtxg"])}})
    assert row["id"] == "tank/a@s1"


async def test_a_clone_shares_and_inherits_from_its_new_parent_only(nas: Nas, client: Client) -> None:
    await make(client, "tank/p", user_properties=[{"key": "p:x", "value": "p"}])
    await volume(
        client, "tank/src", volblocksize="64K", user_properties=[{"key": "s:x", "value": "s"}], refreservation=GIB
    )
    write(nas, "tank/src", 1 << 20)
    await snap(client, "tank/src", "s")
    await client.call("pool.dataset.update", "tank/src", {"volsize": 2 * GIB})
    data = {
        "snapshot": "tank/src@s",
        "dataset_dst": "tank/p/c",
        "dataset_properties": {"c:x": "c", "sync": "always", "refreservation": "8192"},
    }
    assert await client.call("pool.snapshot.clone", data) is True
    entry = await client.call("pool.dataset.get_instance", "tank/p/c")
    users = {key: (item["value"], item["source"]) for key, item in entry["user_properties"].items()}
    assert users == {"p:x": ("p", "INHERITED"), "c:x": ("c", "LOCAL")}
    assert (entry["type"], entry["volsize"]["parsed"], entry["volblocksize"]["value"]) == ("VOLUME", GIB, "64K")
    assert (entry["origin"]["value"], entry["refreservation"]["parsed"], entry["sync"]["value"]) == (
        "tank/src@s",
        8192,
        "ALWAYS",
    )
    assert entry["usedbydataset"]["parsed"] == 0
    snapshot = await client.call("pool.snapshot.get_instance", "tank/src@s")
    assert (snapshot["properties"]["clones"]["value"], snapshot["properties"]["referenced"]["parsed"]) == (
        "tank/p/c",
        1 << 20,
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"snapshot": "tank/fs@no", "dataset_dst": "tank/c"}, "Snapshot tank/fs@no not found"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/fs"}, "cannot create 'tank/fs': dataset already exists"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/no/c"}, "cannot create 'tank/no/c': parent does not exist"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "c"}, "cannot create 'c': missing dataset delimiter"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"bogus": "1"}}, "invalid property 'bogus'"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"refquota": "lots"}}, "bad numeric value 'lots'"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"quota": "99E"}}, "bad numeric value '99E'"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"recordsize": "17"}}, "invalid value '17'"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"copies": "9"}}, "invalid value '9'"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"sync": "maybe"}}, "'sync' must be one of"),
        ({"snapshot": "tank/fs@s", "dataset_dst": "tank/c", "dataset_properties": {"reservation": "5T"}}, "cannot create 'tank/c': out of space"),
    ],
)  # fmt: skip
async def test_clone_refusals(client: Client, data: Any, text: str) -> None:
    await make(client, "tank/fs")
    await snap(client, "tank/fs", "s")
    error = await client.refused("pool.snapshot.clone", data)
    assert (error.code, error.data["errname"]) == (-32001, "EFAULT")
    assert error.reason.startswith(f"[EFAULT] Failed to clone snapshot: {text}")
    assert await client.call("pool.dataset.query", [], {"count": True}) == 2


async def test_clones_block_the_delete_unless_it_is_deferred_to_the_last_of_them(client: Client) -> None:
    await make(client, "tank/fs")
    await snap(client, "tank/fs", "s")
    for name in ("b", "a"):
        await client.call("pool.snapshot.clone", {"snapshot": "tank/fs@s", "dataset_dst": f"tank/{name}"})
    error = await client.refused("pool.snapshot.delete", "tank/fs@s")
    text = "Please set this attribute as 'tank/fs@s' snapshot has dependent clones: tank/a, tank/b"
    assert (error.code, error.items) == (-32602, [("options.defer", text, 22)])
    assert await client.call("pool.snapshot.delete", "tank/fs@s", {"defer": True}) is True
    assert (await client.call("pool.snapshot.get_instance", "tank/fs@s"))["properties"]["defer_destroy"][
        "value"
    ] == "on"
    error = await client.refused("pool.snapshot.clone", {"snapshot": "tank/fs@s", "dataset_dst": "tank/c"})
    assert error.code == -32001
    await client.call("pool.dataset.delete", "tank/a")
    assert await names(client) == ["tank/fs@s"]
    await client.call("pool.dataset.delete", "tank/b")
    assert await names(client) == []


async def test_holds_keep_a_snapshot_until_released(client: Client) -> None:
    await make(client, "tank/fs")
    await snap(client, "tank/fs", "s")
    assert await client.call("pool.snapshot.hold", "tank/fs@s") is None
    (row,) = await client.call("pool.snapshot.query", [], {"extra": {"holds": True}})
    assert row["holds"] == {"truenas": 1_700_000_000}
    assert (await client.refused("pool.snapshot.hold", "tank/fs@s")).code == -32001
    error = await client.refused("pool.snapshot.delete", "tank/fs@s")
    assert (error.code, error.data["errname"]) == (-32001, "EBUSY")
    error = await client.refused("pool.dataset.delete", "tank/fs", {"recursive": True})
    assert error.data["errname"] == "EBUSY"
    await client.call("pool.snapshot.delete", "tank/fs@s", {"defer": True})
    assert await names(client) == ["tank/fs@s"]
    assert await client.call("pool.snapshot.release", "tank/fs@s") is None
    assert await names(client) == []


async def test_missing_snapshots(client: Client) -> None:
    for method in ("get_instance", "delete", "rollback", "hold", "release"):
        error = await client.refused(f"pool.snapshot.{method}", "tank@no")
        assert (error.code, error.items) == (-32602, [(None, "PoolSnapshot tank@no does not exist", 2)]), method
    error = await client.refused("pool.snapshot.update", "tank@no", {})
    assert (error.code, error.reason) == (-32001, "[EFAULT] Snapshot tank@no not found")


async def test_update_sets_and_removes_user_properties(client: Client) -> None:
    await make(client, "tank/fs")
    await snap(client, "tank/fs", "s", properties={"a:b": "1", "a:c": "2"})
    changes = {"user_properties_update": [{"key": "a:b", "value": "3"}], "user_properties_remove": ["a:c"]}
    entry = await client.call("pool.snapshot.update", "tank/fs@s", changes)
    assert {key: item["value"] for key, item in entry["properties"].items() if ":" in key} == {"a:b": "3"}


async def test_rollback_needs_newer_snapshots_gone_and_restores_size_and_usage(nas: Nas, client: Client) -> None:
    await volume(client, "tank/v")
    write(nas, "tank/v", 4096)
    await snap(client, "tank/v", "s1")
    write(nas, "tank/v", 8192, snapshot_bytes=4096)
    await client.call("pool.dataset.update", "tank/v", {"volsize": 2 * GIB})
    entry = await client.call("pool.dataset.get_instance", "tank/v")
    assert [entry[key]["parsed"] for key in ("used", "usedbydataset", "usedbysnapshots")] == [16384, 12288, 4096]
    await snap(client, "tank/v", "s2")
    error = await client.refused("pool.snapshot.rollback", "tank/v@s1")
    assert "more recent snapshots or bookmarks exist" in error.reason
    await client.call("pool.snapshot.clone", {"snapshot": "tank/v@s2", "dataset_dst": "tank/c"})
    error = await client.refused("pool.snapshot.rollback", "tank/v@s1", {"recursive": True})
    assert "clones of previous snapshots exist" in error.reason
    assert await names(client) == ["tank/v@s1", "tank/v@s2"]
    await client.call("pool.snapshot.rollback", "tank/v@s1", {"recursive_clones": True})
    assert await names(client) == ["tank/v@s1"]
    entry = await client.call("pool.dataset.get_instance", "tank/v")
    assert entry["volsize"]["parsed"] == GIB
    assert (await client.call("pool.dataset.query", [["id", "=", "tank/c"]])) == []
    assert [entry[key]["parsed"] for key in ("used", "usedbysnapshots")] == [4096, 0]


async def test_rename_stays_in_the_dataset_and_needs_force(client: Client) -> None:
    await make(client, "tank/fs")
    await snap(client, "tank/fs", "a")
    await snap(client, "tank/fs", "b")
    assert (await client.refused("pool.snapshot.rename", "tank/fs@a", {"new_name": "tank/fs@c"})).items[0][
        0
    ] == "options.force"
    error = await client.refused("pool.snapshot.rename", "tank/fs@a", {"new_name": "tank@c", "force": True})
    assert error.items[0][0] == "options.new_name"
    error = await client.refused("pool.snapshot.rename", "tank/fs@a", {"new_name": "tank/fs@b", "force": True})
    assert "already exists" in error.reason
    await client.call("pool.snapshot.rename", "tank/fs@a", {"new_name": "tank/fs@c", "force": True})
    assert await names(client) == ["tank/fs@b", "tank/fs@c"]


async def test_a_snapshot_of_a_full_thick_volume_needs_room_for_its_blocks(nas: Nas, client: Client) -> None:
    await make(client, "tank/q", quota=2 * GIB)
    await make(client, "tank/q/v", type="VOLUME", volsize=GIB, force_size=True)
    write(nas, "tank/q/v", GIB)
    error = await client.refused("pool.snapshot.create", {"dataset": "tank/q/v", "name": "s"})
    assert error.reason.endswith("cannot create snapshot 'tank/q/v@s': out of space")
    assert await names(client) == []


async def test_naming_schema_gives_the_name_from_the_clock(client: Client) -> None:
    entry = await client.call("pool.snapshot.create", {"dataset": "tank", "naming_schema": "auto-%Y-%m-%d_%H-%M"})
    assert entry["id"] == "tank@auto-2023-11-14_22-13"
