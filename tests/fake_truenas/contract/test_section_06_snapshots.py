"""Snapshots, zfs.resource, snapshot tasks and replication, row by row, over a real socket."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fake_truenas.objects import create, get, names, snap, volume
from tests.fake_truenas.releases import release
from tests.fake_truenas.rpc import GIB, Client


@pytest.fixture(params=["25.04", "25.10", "26.0"])
async def each(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Client, str, str]]:
    """(client, release, namespace of snapshots) for the releases that speak JSON-RPC."""
    async with release(request.param) as client:
        yield client, request.param, "zfs.snapshot" if request.param == "25.04" else "pool.snapshot"


async def events(client: Client, count: int) -> list[tuple[Any, ...]]:
    """The next notifications as (collection, msg, id, extra)."""
    found = [(await client.events.get())["params"] for _ in range(count)]
    return [(one["collection"], one["msg"], one["id"], one.get("extra")) for one in found]


@pytest.mark.row("6.5 create")
async def test_create_gives_the_entry_and_refuses_what_the_contract_names(client: Client) -> None:
    await volume(client, "tank/v", user_properties=[{"key": "a:ds", "value": "1"}])
    await client.call("core.subscribe", "pool.snapshot.query")
    entry = await snap(client, "tank/v", "s", properties={"a:own": "2"}, vmware_sync=True)
    assert {key: entry[key] for key in ("id", "name", "snapshot_name", "dataset", "pool", "type")} == {
        "id": "tank/v@s", "name": "tank/v@s", "snapshot_name": "s", "dataset": "tank/v", "pool": "tank", "type": "SNAPSHOT",
    }  # fmt: skip
    assert isinstance(entry["createtxg"], str)
    sources = {key: item["source"] for key, item in entry["properties"].items() if ":" in key}
    assert sources == {"a:ds": "INHERITED", "a:own": "LOCAL"}
    assert entry["properties"]["volsize"]["parsed"] == GIB
    assert await events(client, 1) == [("pool.snapshot.query", "added", "tank/v@s", None)]
    # A schema takes the NAS's clock; what `exclude` names, and what lies below it, is left out.
    await create(client, "tank/g")
    await create(client, "tank/g/in")
    named = await client.call(
        "pool.snapshot.create",
        {"dataset": "tank", "naming_schema": "auto-%Y-%m-%d_%H-%M", "recursive": True, "exclude": ["tank/g"]},
    )
    assert named["id"] == "tank@auto-2023-11-14_22-13"
    rows = await names(client, [["snapshot_name", "=", "auto-2023-11-14_22-13"]])
    assert rows == ["tank/v@auto-2023-11-14_22-13", "tank@auto-2023-11-14_22-13"]
    error = await client.refused("pool.snapshot.create", {"dataset": "tank/no", "name": "s"})
    assert (error.code, error.reason) == (-32001, "[EFAULT] Failed to snapshot tank/no@s: Dataset tank/no not found")
    error = await client.refused("pool.snapshot.create", {"dataset": "tank/v", "name": "a/b"})
    assert (error.code, error.items) == (-32602, [("snapshot_create.name", "Invalid snapshot name", 22)])
    data = {"dataset": "tank", "name": "x", "recursive": True, "exclude": ["tank/g"], "properties": {"a:b": "c"}}
    error = await client.refused("pool.snapshot.create", data)
    assert error.items == [("snapshot_create.properties", "This option is not supported when excluding datasets", 22)]
    error = await client.refused("pool.snapshot.create", {"dataset": "tank", "naming_schema": "daily"})
    assert error.items == [("data.naming_schema", "Value error, %Y must be present in snapshot naming schema", 22)]


@pytest.mark.row("6.5 create", "12 duplicate snapshot")
async def test_a_second_snapshot_of_a_name_is_refused_differently_from_26_on(each: tuple[Client, str, str]) -> None:
    client, version, space = each
    await client.call(f"{space}.create", {"dataset": "tank", "name": "s"})
    error = await client.refused(f"{space}.create", {"dataset": "tank", "name": "s"})
    if version == "26.0":
        assert (error.code, error.items) == (-32602, [("pool.snapshot.create", "s already exists.", 17)])
        return
    text = "Failed to snapshot tank@s: cannot create snapshot 'tank@s': dataset already exists"
    assert (error.code, error.data["error"], error.reason) == (-32001, 17, f"[EEXIST] {text}")


@pytest.mark.row("6.5 delete")
async def test_delete_waits_for_clones_only_if_it_may_be_deferred(client: Client) -> None:
    await create(client, "tank/f")
    await create(client, "tank/f/in")
    await snap(client, "tank/f", "s", recursive=True)
    error = await client.refused("pool.snapshot.delete", "tank/f@no")
    assert (error.code, error.items) == (-32602, [(None, "Snapshot tank/f@no not found", 2)])
    for name in ("tank/b", "tank/a"):
        await client.call("pool.snapshot.clone", {"snapshot": "tank/f@s", "dataset_dst": name})
    error = await client.refused("pool.snapshot.delete", "tank/f@s", {"recursive": True})
    text = "Please set this attribute as 'tank/f@s' snapshot has dependent clones: tank/a, tank/b"
    assert (error.code, error.items) == (-32602, [("options.defer", text, 22)])
    assert await names(client) == ["tank/f/in@s", "tank/f@s"]
    await client.call("core.subscribe", "pool.snapshot.query")
    assert await client.call("pool.snapshot.delete", "tank/f@s", {"defer": True, "recursive": True}) is True
    (row,) = await client.call("pool.snapshot.query")
    assert (row["id"], row["properties"]["defer_destroy"]["value"]) == ("tank/f@s", "on")
    error = await client.refused("pool.snapshot.clone", {"snapshot": "tank/f@s", "dataset_dst": "tank/c"})
    assert "marked for destruction" in error.reason
    for name in ("tank/a", "tank/b"):
        await client.call("pool.dataset.delete", name)
    assert await names(client) == []
    await snap(client, "tank/f", "held")
    await client.call("pool.snapshot.hold", "tank/f@held")
    error = await client.refused("pool.snapshot.delete", "tank/f@held")
    text = "Failed to delete snapshot: cannot destroy snapshot tank/f@held: dataset is busy"
    assert (error.code, error.reason) == (-32001, f"[EBUSY] {text}")
    assert await events(client, 2) == [
        ("pool.snapshot.query", "removed", "tank/f@s", {"recursive": True}),
        ("pool.snapshot.query", "added", "tank/f@held", None),
    ]


@pytest.mark.row("6.5 clone")
async def test_a_clone_takes_its_size_from_the_origin_and_the_rest_from_its_parent(client: Client) -> None:
    await create(client, "tank/p", user_properties=[{"key": "p:x", "value": "p"}], sync="ALWAYS")
    await volume(
        client, "tank/v", volblocksize="64K", user_properties=[{"key": "v:x", "value": "v"}], refreservation=GIB
    )
    await snap(client, "tank/v", "s", properties={"s:x": "s"})
    clone = {"snapshot": "tank/v@s", "dataset_dst": "tank/p/c", "dataset_properties": {"c:x": "c", "copies": "2"}}
    assert await client.call("pool.snapshot.clone", clone) is True
    entry = await get(client, "tank/p/c")
    assert {key: item["source"] for key, item in entry["user_properties"].items()} == {
        "p:x": "INHERITED",
        "c:x": "LOCAL",
    }
    assert (entry["sync"]["source"], entry["copies"]["rawvalue"], entry["refreservation"]["parsed"]) == (
        "INHERITED",
        "2",
        None,
    )
    assert (entry["volsize"]["parsed"], entry["volblocksize"]["value"], entry["origin"]["value"]) == (
        GIB,
        "64K",
        "tank/v@s",
    )
    failed = "[EFAULT] Failed to clone snapshot: "
    for snapshot, name, text in (
        ("tank/v@no", "tank/c", "Snapshot tank/v@no not found"),
        ("tank/v@s", "tank/p/c", "cannot create 'tank/p/c': dataset already exists"),
        ("tank/v@s", "tank/no/c", "cannot create 'tank/no/c': parent does not exist"),
    ):
        error = await client.refused("pool.snapshot.clone", {"snapshot": snapshot, "dataset_dst": name})
        assert (error.code, error.reason) == (-32001, failed + text)


@pytest.mark.row("6.5 update")
async def test_update_changes_user_properties_and_tells_nobody(client: Client) -> None:
    await snap(client, "tank", "s", properties={"a:b": "1", "a:c": "2"})
    await client.call("core.subscribe", "pool.snapshot.query")
    changes = {
        "user_properties_update": [{"key": "a:b", "value": "v" * 2000}, {"key": "a:new", "value": ""}],
        "user_properties_remove": ["a:c"],
    }
    entry = await client.call("pool.snapshot.update", "tank@s", changes)
    assert entry == await client.call("pool.snapshot.get_instance", "tank@s")
    users = {key: item["value"] for key, item in entry["properties"].items() if ":" in key}
    assert users == {"a:b": "v" * 2000, "a:new": ""}
    error = await client.refused("pool.snapshot.update", "tank@no", {})
    assert (error.code, error.reason) == (-32001, "[EFAULT] Snapshot tank@no not found")
    await snap(client, "tank", "later")
    assert await events(client, 1) == [("pool.snapshot.query", "added", "tank@later", None)]


@pytest.mark.row("6.5 update", "12 pool.snapshot.update")
async def test_from_26_on_update_stores_nothing_and_queries_omit_user_properties(each: tuple[Client, str, str]) -> None:
    client, version, space = each
    await client.call(f"{space}.create", {"dataset": "tank", "name": "s", "properties": {"a:b": "1"}})
    changes = {"user_properties_update": [{"key": "a:b", "value": "2"}]}
    result = await client.call(f"{space}.update", "tank@s", changes)
    asked = {"extra": {"properties": ["used", "createtxg", "a:b"]}}
    entry = await client.call(f"{space}.get_instance", "tank@s", asked)
    if version != "26.0":
        assert result["properties"]["a:b"]["value"] == "2"
        assert entry["properties"]["a:b"]["source"] == "LOCAL"
        return
    assert result is None
    assert await client.call(f"{space}.update", "tank@no", changes) is None
    assert entry["properties"] == {
        "used": {"value": "0", "rawvalue": "0", "source": "NONE", "parsed": 0},
        "createtxg": {**entry["properties"]["createtxg"], "rawvalue": entry["createtxg"]},
    }
    stored = await client.call("zfs.resource.snapshot.query", {"paths": ["tank@s"], "get_user_properties": True})
    assert stored[0]["user_properties"] == {"a:b": "1"}
    assert await client.call(f"{space}.query", [["properties.a:b.value", "=", "1"]]) == []
    plain = await client.call(f"{space}.get_instance", "tank@s")
    assert ("properties" in plain, plain["holds"]) == (False, {})


@pytest.mark.row("6.5 rollback")
async def test_rollback_needs_leave_to_destroy_what_came_later(client: Client) -> None:
    await create(client, "tank/f")
    await create(client, "tank/f/in")
    await snap(client, "tank/f", "a", recursive=True)
    await snap(client, "tank/f", "b", recursive=True)
    await client.call("pool.snapshot.clone", {"snapshot": "tank/f@b", "dataset_dst": "tank/c"})
    error = await client.refused("pool.snapshot.rollback", "tank/f@a")
    text = "more recent snapshots or bookmarks exist\nuse '-r' to force deletion of:\ntank/f@b"
    assert error.reason == f"[EFAULT] Failed to rollback snapshot: cannot rollback to 'tank/f@a': {text}"
    assert error.code == -32001
    error = await client.refused("pool.snapshot.rollback", "tank/f@a", {"recursive": True, "force": True})
    assert "clones of previous snapshots exist" in error.reason
    options = {"recursive_clones": True, "recursive_rollback": True}
    assert await client.call("pool.snapshot.rollback", "tank/f@a", options) is None
    assert await names(client) == ["tank/f/in@a", "tank/f@a"]
    assert await client.call("pool.dataset.query", [["id", "=", "tank/c"]]) == []
    error = await client.refused("pool.snapshot.rollback", "tank/f@no")
    text = "Failed to rollback snapshot: cannot open 'tank/f@no': dataset does not exist"
    assert (error.code, error.reason) == (-32001, f"[EFAULT] {text}")


@pytest.mark.row("6.5 hold")
async def test_holds_have_the_tag_truenas_and_come_off_all_at_once(client: Client) -> None:
    await create(client, "tank/f")
    await snap(client, "tank", "s", recursive=True)
    assert await client.call("pool.snapshot.hold", "tank@s", {"recursive": True}) is None
    rows = await client.call("pool.snapshot.query", [], {"extra": {"holds": True}, "order_by": ["id"]})
    assert [row["holds"] for row in rows] == [{"truenas": 1_700_000_000}] * 2
    assert [row["properties"]["userrefs"]["parsed"] for row in rows] == [1, 1]
    error = await client.refused("pool.snapshot.hold", "tank@s")
    text = "Failed to hold snapshot: cannot hold snapshot 'tank@s': tag already exists on this dataset"
    assert (error.code, error.reason) == (-32001, f"[EFAULT] {text}")
    assert await client.call("pool.snapshot.release", "tank@s", {"recursive": True}) is None
    assert await client.call("pool.snapshot.release", "tank@s") is None
    for verb in ("hold", "release"):
        error = await client.refused(f"pool.snapshot.{verb}", "tank@no")
        assert error.reason == f"[EFAULT] Failed to {verb} snapshot: Snapshot tank@no not found"


async def test_from_26_on_holds_fail_as_unexpected_errors() -> None:
    async with release("26.0") as client:
        await client.call("pool.snapshot.create", {"dataset": "tank", "name": "s"})
        await client.call("pool.snapshot.hold", "tank@s")
        error = await client.refused("pool.snapshot.hold", "tank@s")
        assert (error.code, error.data["error"]) == (-32001, 22)
        assert error.reason == "('lzc_hold() failed', (('File exists', 17),))"
        error = await client.refused("pool.snapshot.hold", "tank@no")
        assert (error.code, error.data["error"], error.reason) == (-32001, 22, "'tank@no' not found")
        error = await client.refused("pool.snapshot.delete", "tank@no")
        assert error.items == [(None, "'tank@no' not found", 2)]
        (row,) = await client.call("pool.snapshot.query", [], {"extra": {"holds": True}})
        assert row["holds"] == {"truenas": 1}
        error = await client.refused("pool.snapshot.rollback", "tank@no")
        assert (error.code, error.data["error"], error.reason) == (-32001, 22, "'tank@no' not found")
        one = await client.call("pool.snapshot.create", {"dataset": "tank", "name": "x", "exclude": ["tank/a"]})
        assert one["id"] == "tank@x"  # from 26 on `exclude` needs no `recursive`


@pytest.mark.row("6.5 rename")
async def test_rename_takes_the_full_new_name_and_force(client: Client) -> None:
    await snap(client, "tank", "a")
    await snap(client, "tank", "b")
    options = {"new_name": "tank@c", "force": True}
    assert await client.call("pool.snapshot.rename", "tank@a", options) is None
    assert await names(client) == ["tank@b", "tank@c"]
    error = await client.refused("pool.snapshot.rename", "tank@c", {"new_name": "tank@d"})
    assert error.items[0][0] == "pool.snapshot.rename.force"
    error = await client.refused("pool.snapshot.rename", "tank@c", {"new_name": "d", "force": True})
    text = "Please provide a valid snapshot name according to ZFS standards i.e <dataset>@<snapshot>"
    assert error.items == [("options.new_name", text, 22)]
    error = await client.refused("pool.snapshot.rename", "tank@c", {"new_name": "tank@b", "force": True})
    assert "dataset already exists" in error.reason


async def test_the_short_name_is_found_under_snapshot_name_only(client: Client) -> None:
    await snap(client, "tank", "snap-1")
    assert await names(client, [["name", "=", "snap-1"]]) == []
    assert await names(client, [["name", "=", "tank@snap-1"]]) == ["tank@snap-1"]
    assert await client.call("pool.snapshot.query", [["snapshot_name", "=", "snap-1"]], {"count": True}) == 1
    assert await client.call("pool.snapshot.query", [["pool", "=", "tank"]], {"count": True}) == 1


@pytest.mark.row("12 snapshots ns")
async def test_snapshots_move_from_one_namespace_to_the_other(each: tuple[Client, str, str]) -> None:
    client, version, _ = each
    await client.call("core.set_options", {"private_methods": False})
    found = {}
    for namespace in ("zfs.snapshot", "pool.snapshot"):
        reply = await (await client.start(f"{namespace}.query", [], {"count": True}))
        found[namespace] = "result" in reply or reply["error"]["code"]
    reply = await (await client.start("zfs.resource.snapshot.count"))
    found["zfs.resource.snapshot"] = "result" in reply or reply["error"]["code"]
    there = {
        "25.04": [True, -32601, -32601],
        "25.10": [-32601, True, -32601],  # zfs.snapshot is private: hidden, but still there
        "26.0": [-32601, True, True],
    }
    assert list(found.values()) == there[version]
    await client.call("core.set_options", {"private_methods": True})
    reply = await (await client.start("zfs.snapshot.query", [], {"count": True}))
    assert ("result" in reply) is (version != "26.0")


async def test_events_carry_the_name_of_the_namespace() -> None:
    async with release("25.04") as client:
        await client.call("core.subscribe", "zfs.snapshot.query")
        await client.call("zfs.snapshot.create", {"dataset": "tank", "name": "s"})
        await client.call("zfs.snapshot.delete", "tank@s")
        assert await events(client, 2) == [
            ("zfs.snapshot.query", "added", "tank@s", None),
            ("zfs.snapshot.query", "removed", "tank@s", {"recursive": False}),
        ]
        error = await client.refused("zfs.snapshot.get_instance", "tank@s")
        assert error.items == [(None, "ZFSSnapshot tank@s does not exist", 2)]


async def test_zfs_resource_query_shows_datasets_by_path(client: Client) -> None:
    await create(client, "tank/a", comments="c", user_properties=[{"key": "x:y", "value": "1"}])
    await volume(client, "tank/a/v")
    await client.call("pool.dataset.update", "tank/a", {"readonly": "ON"})
    (entry,) = await client.call("zfs.resource.query", {"paths": ["tank/a"], "get_user_properties": True})
    assert sorted(entry) == ["children", "createtxg", "guid", "name", "pool", "properties", "type", "user_properties"]
    assert (entry["name"], entry["pool"], entry["type"], entry["children"]) == ("tank/a", "tank", "FILESYSTEM", None)
    assert (type(entry["createtxg"]), type(entry["guid"])) == (int, int)
    assert entry["user_properties"] == {"x:y": "1", "comments": "c"}
    assert entry["properties"]["used"] == {"raw": "0", "value": 0, "source": {"type": "NONE", "value": None}}
    data = {"paths": ["tank/a/v"], "properties": ["volsize", "readonly", "nope"], "get_source": False}
    (entry,) = await client.call("zfs.resource.query", data)
    assert entry["properties"] == {
        "volsize": {"raw": str(GIB), "value": GIB, "source": None},
        "readonly": {"raw": "on", "value": "on", "source": None},
    }
    assert entry["user_properties"] is None
    (entry,) = await client.call("zfs.resource.query", {"paths": ["tank/a"], "properties": None})
    assert entry["properties"] == {}
    flat = await client.call("zfs.resource.query")
    assert [entry["name"] for entry in flat] == ["tank", "tank/a", "tank/a/v"]
    (root,) = await client.call("zfs.resource.query", {"paths": ["tank"], "nest_results": True, "get_children": True})
    assert root["children"][0]["children"][0]["name"] == "tank/a/v"
    error = await client.refused("zfs.resource.query", {"paths": ["tank/no"]})
    assert (error.code, error.items) == (-32602, [("zfs.resource.query", "'tank/no' not found", 2)])
    error = await client.refused("zfs.resource.query", {"paths": ["tank@s"]})
    assert (error.code, error.items[0][0], error.items[0][2]) == (-32602, "zfs.resource.query", 22)
    error = await client.refused("zfs.resource.query", {"paths": ["tank"], "retrieve_children": False})
    assert error.items == [("data.retrieve_children", "Extra inputs are not permitted", 22)]


async def test_snapshot_tasks_are_kept_and_run_on_demand(client: Client) -> None:
    await create(client, "tank/f")
    await client.call("core.subscribe", "pool.snapshottask.query")
    task = await client.call("pool.snapshottask.create", {"dataset": "tank/f"})
    assert task == {
        "id": 1, "dataset": "tank/f", "recursive": False, "lifetime_value": 2, "lifetime_unit": "WEEK", "enabled": True,
        "exclude": [], "naming_schema": "auto-%Y-%m-%d_%H-%M", "allow_empty": True, "vmware_sync": False,
        "schedule": {"minute": "00", "hour": "*", "dom": "*", "month": "*", "dow": "*", "begin": "00:00", "end": "23:59"},
        "state": {"state": "PENDING"},
    }  # fmt: skip
    changed = await client.call("pool.snapshottask.update", 1, {"lifetime_unit": "YEAR", "schedule": {"hour": "0-6/2"}})
    assert (changed["lifetime_unit"], changed["schedule"]["hour"], changed["schedule"]["minute"]) == (
        "YEAR",
        "0-6/2",
        "00",
    )
    assert await client.call("pool.snapshottask.run", 1) is None
    assert await names(client) == ["tank/f@auto-2023-11-14_22-13"]
    assert (await client.call("pool.snapshottask.get_instance", 1))["state"]["state"] == "FINISHED"
    assert await client.call("pool.snapshottask.delete", 1, {"fixate_removal_date": True}) is True
    assert await client.call("pool.snapshottask.query") == []
    heard = await events(client, 4)
    assert [msg for _, msg, _, _ in heard] == ["added", "changed", "changed", "removed"]


def onetime(source: str, target: str, **more: Any) -> dict[str, Any]:
    return {
        "direction": "PUSH", "transport": "LOCAL", "source_datasets": [source], "target_dataset": target,
        "recursive": False, "properties": True, "readonly": "SET", "retention_policy": "NONE",
        "allow_from_scratch": True, "name_regex": "s.*", **more,
    }  # fmt: skip


async def test_replication_copies_snapshots_with_properties_and_content(client: Client) -> None:
    await client.call("core.set_options", {"legacy_jobs": False})
    await volume(client, "tank/v", user_properties=[{"key": "x:y", "value": "1"}], compression="ZSTD")
    await client.call("fake.block.write", "tank/v", 0, base64.b64encode(b"one" * 4096).decode())
    await snap(client, "tank/v", "s1")
    await client.call("fake.block.write", "tank/v", 4096, base64.b64encode(b"two").decode())
    await snap(client, "tank/v", "other")
    assert await client.call("replication.run_onetime", onetime("tank/v", "tank/copies/v")) is None
    assert await names(client, [["dataset", "=", "tank/copies/v"]]) == ["tank/copies/v@s1"]
    entry = await get(client, "tank/copies/v")
    assert (entry["type"], entry["volsize"]["parsed"], entry["origin"]["value"]) == ("VOLUME", GIB, "")
    assert (entry["readonly"]["rawvalue"], entry["compression"]["value"]) == ("on", "ZSTD")
    assert entry["user_properties"]["x:y"]["value"] == "1"
    for name in ("tank/copies/v", "tank/copies/v@s1"):
        assert await client.call("fake.block.read", name, 0, 12288) == base64.b64encode(b"one" * 4096).decode()
    bad = onetime("tank/v", "tank/w", naming_schema=["%Y%m%d%H%M"], name_regex=None)
    error = await client.refused("replication.run_onetime", bad)
    assert [item[0].removeprefix("replication_run_onetime.") for item in error.items] == [
        "naming_schema",
        "periodic_snapshot_tasks",
    ]
