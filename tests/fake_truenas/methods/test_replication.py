"""replication.run_onetime as a job over a real socket."""

from typing import Any

from tests.fake_truenas.objects import create, names, snap, volume
from tests.fake_truenas.rpc import Client


def task(**more: Any) -> dict[str, Any]:
    return {
        "direction": "PUSH", "transport": "LOCAL", "source_datasets": ["tank/a"], "target_dataset": "tank/t",
        "recursive": True, "retention_policy": "NONE", "name_regex": ".*", **more,
    }  # fmt: skip


async def finished(client: Client, job_id: int) -> Any:
    """Wait for a job; gives its entry."""
    waited = await client.call("core.job_wait", job_id)
    while True:
        event = (await client.events.get())["params"]
        if event["id"] == waited and event["fields"]["time_finished"] is not None:
            (entry,) = await client.call("core.get_jobs", [["id", "=", job_id]])
            return entry


async def test_it_is_a_job_that_tells_each_snapshot_it_sends(client: Client) -> None:
    for name in ("tank/a", "tank/a/b"):
        await create(client, name)
    for name in ("one", "two"):
        await snap(client, "tank/a", name, recursive=True)
    await client.call("core.subscribe", "core.get_jobs")
    job_id = await client.call("replication.run_onetime", task())
    entry = await finished(client, job_id)
    assert (entry["state"], entry["result"], entry["progress"]["percent"]) == ("SUCCESS", None, 100)
    assert await names(client, [["dataset", "^", "tank/t"]]) == [
        "tank/t/b@one", "tank/t/b@two", "tank/t@one", "tank/t@two",
    ]  # fmt: skip
    assert (await client.call("pool.dataset.get_instance", "tank/t"))["readonly"]["value"] == "ON"


async def test_progress_names_the_snapshot_and_the_count(client: Client) -> None:
    await create(client, "tank/a")
    for name in ("one", "two"):
        await snap(client, "tank/a", name)
    await client.call("core.subscribe", "core.get_jobs")
    await client.call("core.set_options", {"legacy_jobs": False})
    await client.call("replication.run_onetime", task())
    told = [client.events.get_nowait()["params"]["fields"]["progress"] for _ in range(client.events.qsize())]
    texts = dict.fromkeys((item["percent"], item["description"]) for item in told if item["description"])
    assert list(texts) == [
        (0, "Sending 1 of 2: tank/a@one"), (50, "Sending 2 of 2: tank/a@two"), (100, "Sending 2 of 2: tank/a@two"),
    ]  # fmt: skip


async def test_what_does_not_fit_fails_the_job_as_validation(client: Client) -> None:
    await client.call("core.subscribe", "core.get_jobs")
    entry = await finished(client, await client.call("replication.run_onetime", task(name_regex=None)))
    assert (entry["state"], entry["exc_info"]["type"]) == ("FAILED", "VALIDATION")
    assert entry["exc_info"]["extra"][0][0] == "replication_run_onetime.periodic_snapshot_tasks"
    error = await client.refused("replication.run_onetime", task(name="x", recursive=1))
    assert [item[0] for item in error.items] == [
        "replication_run_onetime.recursive",
        "replication_run_onetime.name",
    ]


async def test_a_run_goes_on_where_the_last_one_ended(client: Client) -> None:
    await client.call("core.set_options", {"legacy_jobs": False})
    await create(client, "tank/a")
    error = await client.refused("replication.run_onetime", task())
    assert error.reason == "[EFAULT] Dataset 'tank/a' does not have any matching snapshots to replicate."
    for name in ("one", "two", "three"):
        await snap(client, "tank/a", name)
        assert await client.call("replication.run_onetime", task(readonly="REQUIRE")) is None
    assert await names(client, [["dataset", "=", "tank/t"]]) == ["tank/t@one", "tank/t@three", "tank/t@two"]
    assert await client.call("replication.run_onetime", task()) is None  # nothing left to send


async def test_snapshot_tasks_and_schemas_choose_the_snapshots(client: Client) -> None:
    await client.call("core.set_options", {"legacy_jobs": False})
    await create(client, "tank/a")
    bound = await client.call("pool.snapshottask.create", {"dataset": "tank/a", "recursive": True})
    await client.call("pool.snapshottask.run", bound["id"])
    for name in ("manual", "day-20231114-0000"):
        await snap(client, "tank/a", name)
    chosen = {"periodic_snapshot_tasks": [bound["id"]], "also_include_naming_schema": ["day-%Y%m%d-%H%M"]}
    await client.call("replication.run_onetime", task(name_regex=None, **chosen))
    assert await names(client, [["dataset", "=", "tank/t"]]) == [
        "tank/t@auto-2023-11-14_22-13", "tank/t@day-20231114-0000",
    ]  # fmt: skip


async def test_runs_to_one_target_wait_for_each_other(client: Client) -> None:
    await client.call("core.set_options", {"legacy_jobs": False})
    for name in ("tank/a", "tank/b"):
        await create(client, name)
        await snap(client, name, "s1")
    await snap(client, "tank/b", "s2")
    first = await client.start("replication.run_onetime", task())
    second = await client.start("replication.run_onetime", task(source_datasets=["tank/b"]))
    assert (await first)["result"] is None
    # It found the first one's snapshot, which has the name of its own.
    text = "most recent snapshot of 'tank/t' does not match incremental source."
    assert (await second)["error"]["data"]["reason"].endswith(text)
    assert await names(client, [["dataset", "=", "tank/t"]]) == ["tank/t@s1"]


async def test_a_read_only_copy_is_written_once_that_is_switched_off(client: Client) -> None:
    await client.call("core.set_options", {"legacy_jobs": False})
    await volume(client, "tank/a")
    await snap(client, "tank/a", "s")
    await client.call("core.subscribe", "pool.dataset.query")
    await client.call("replication.run_onetime", task(target_dataset="tank/new/t"))
    heard = [client.events.get_nowait()["params"] for _ in range(client.events.qsize())]
    assert [(one["msg"], one["id"]) for one in heard] == [("added", "tank/new"), ("added", "tank/new/t")]
    error = await client.refused("fake.block.write", "tank/new/t", 0, "eA==")
    assert error.reason == "[EROFS] tank/new/t cannot be written: its property readonly is on"
    await client.call("pool.dataset.update", "tank/new/t", {"readonly": "INHERIT"})
    assert await client.call("fake.block.write", "tank/new/t", 0, "eA==") is None


async def test_the_whole_tree_is_replicated_with_all_its_snapshots(client: Client) -> None:
    await client.call("core.set_options", {"legacy_jobs": False})
    for name in ("tank/a", "tank/a/none", "tank/a/none/b", "tank/a/c"):
        await create(client, name)
    for dataset, name in (
        ("tank/a", "x"),
        ("tank/a", "s1"),
        ("tank/a/c", "s1"),
        ("tank/a/none/b", "s1"),
        ("tank/a", "y"),
    ):
        await snap(client, dataset, name)
    await client.call("replication.run_onetime", task(name_regex="s1", replicate=True, retention_policy="SOURCE"))
    # What is below a dataset without snapshots stays behind, as does what is newer than the last one that matches.
    assert await names(client, [["dataset", "^", "tank/t"]]) == ["tank/t/c@s1", "tank/t@s1", "tank/t@x"]
