"""pool.snapshot.* over a real socket."""

from typing import Any

import pytest

from tests.fake_truenas.objects import create, names, snap, volume
from tests.fake_truenas.rpc import Client


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
        ({"dataset": "tank/v", "name": "s", "naming_schema": "%Y%m%d%H%M"}, -32602, "[EINVAL] snapshot_create.naming_schema: You can't"),
        ({"dataset": "tank/v", "name": "s", "exclude": ["x"]}, -32602, "[EINVAL] snapshot_create.exclude:"),
        (
            {"dataset": "tank/v", "name": "s", "recursive": True, "exclude": ["x"], "properties": {"a:b": "c"}},
            -32602,
            "[EINVAL] snapshot_create.properties: This option is not supported when excluding datasets",
        ),
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


async def test_holds_keep_a_snapshot_until_released(client: Client) -> None:
    await create(client, "tank/fs")
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
    texts = {"get_instance": "PoolSnapshot tank@no does not exist", "delete": "Snapshot tank@no not found"}
    for method, text in texts.items():
        error = await client.refused(f"pool.snapshot.{method}", "tank@no")
        assert (error.code, error.items) == (-32602, [(None, text, 2)])
    for method in ("rollback", "hold", "release"):
        error = await client.refused(f"pool.snapshot.{method}", "tank@no")
        assert (error.code, error.data["error"]) == (-32001, 14)
        assert error.reason.startswith(f"[EFAULT] Failed to {method} snapshot: ")
    error = await client.refused("pool.snapshot.update", "tank@no", {})
    assert (error.code, error.reason) == (-32001, "[EFAULT] Snapshot tank@no not found")


async def test_update_sets_and_removes_user_properties(client: Client) -> None:
    await create(client, "tank/fs")
    await snap(client, "tank/fs", "s", properties={"a:b": "1", "a:c": "2"})
    changes = {"user_properties_update": [{"key": "a:b", "value": "3"}], "user_properties_remove": ["a:c"]}
    entry = await client.call("pool.snapshot.update", "tank/fs@s", changes)
    assert {key: item["value"] for key, item in entry["properties"].items() if ":" in key} == {"a:b": "3"}


async def test_rename_stays_in_the_dataset_and_needs_force(client: Client) -> None:
    await create(client, "tank/fs")
    await snap(client, "tank/fs", "a")
    await snap(client, "tank/fs", "b")
    assert (await client.refused("pool.snapshot.rename", "tank/fs@a", {"new_name": "tank/fs@c"})).items[0][
        0
    ] == "pool.snapshot.rename.force"
    error = await client.refused("pool.snapshot.rename", "tank/fs@a", {"new_name": "tank@c", "force": True})
    assert error.items[0][0] == "options.new_name"
    error = await client.refused("pool.snapshot.rename", "tank/fs@a", {"new_name": "tank/fs@b", "force": True})
    assert "already exists" in error.reason
    await client.call("pool.snapshot.rename", "tank/fs@a", {"new_name": "tank/fs@c", "force": True})
    assert await names(client) == ["tank/fs@b", "tank/fs@c"]


async def test_naming_schema_gives_the_name_from_the_clock(client: Client) -> None:
    entry = await client.call("pool.snapshot.create", {"dataset": "tank", "naming_schema": "auto-%Y-%m-%d_%H-%M"})
    assert entry["id"] == "tank@auto-2023-11-14_22-13"


async def test_a_released_hold_below_stays_if_the_snapshot_itself_does_not_have_it(client: Client) -> None:
    await create(client, "tank/a")
    await snap(client, "tank", "s", recursive=True)
    await client.call("pool.snapshot.hold", "tank/a@s")
    await client.call("pool.snapshot.release", "tank@s", {"recursive": True})
    (row,) = await client.call("pool.snapshot.query", [["id", "=", "tank/a@s"]], {"extra": {"holds": True}})
    assert list(row["holds"]) == ["truenas"]


async def test_all_that_is_wrong_with_excluding_is_told_at_once(client: Client) -> None:
    data = {"dataset": "tank", "name": "s", "exclude": ["tank/a"], "vmware_sync": True, "properties": {"a:b": "c"}}
    error = await client.refused("pool.snapshot.create", data)
    assert [item[0] for item in error.items] == [
        "snapshot_create.exclude",
        "snapshot_create.vmware_sync",
        "snapshot_create.properties",
    ]
