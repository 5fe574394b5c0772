"""pool.snapshottask.*, called directly."""

from typing import Any

import pytest

from tests.fake_truenas.releases import release

Box = Any


def create(box: Box, **more: Any) -> int:
    return int(box("pool.snapshottask.create", {"dataset": "tank/f", **more})["id"])


@pytest.fixture
def tree(box: Box) -> Box:
    for name in ("tank/f", "tank/f/in", "tank/f/in/deep"):
        box.filesystem(name)
    return box


def snapshots(box: Box) -> list[str]:
    return [row["id"] for row in box("pool.snapshot.query", [], {"order_by": ["id"]})]


def test_everything_that_does_not_fit_is_told_at_once(tree: Box) -> None:
    data = {"dataset": "tank/no", "exclude": ["tank/no/x", "tank/f"]}
    assert tree.refused("pool.snapshottask.create", data) == [
        ("periodic_snapshot_create.dataset", "Dataset not found", 22),
        (
            "periodic_snapshot_create.exclude",
            "Excluding datasets is not necessary for non-recursive periodic snapshot tasks",
            22,
        ),
        (
            "periodic_snapshot_create.exclude.1",
            "Excluded dataset should be a child or other descendant of the selected dataset",
            22,
        ),
    ]
    task = create(tree)
    (item,) = tree.refused("pool.snapshottask.update", task, {"dataset": "tank/no"})
    assert item[:2] == ("periodic_snapshot_update.dataset", "Dataset not found")
    bad = {"dataset": "tank/f", "naming_schema": "%Y", "schedule": {"hour": "25"}, "lifetime_unit": "DECADE"}
    assert [item[0] for item in tree.refused("pool.snapshottask.create", bad)] == [
        "data.naming_schema", "data.schedule.hour", "data.lifetime_unit",
    ]  # fmt: skip
    assert tree.refused("pool.snapshottask.get_instance", 9) == [(None, "PeriodicSnapshotTask 9 does not exist", 2)]


def test_an_update_changes_what_it_names_and_keeps_the_rest(tree: Box) -> None:
    task = create(tree, recursive=True, exclude=["tank/f/in"])
    changed = tree("pool.snapshottask.update", task, {"enabled": False, "exclude": []})
    assert (changed["enabled"], changed["recursive"], changed["exclude"]) == (False, True, [])
    assert "fixate_removal_date" not in changed
    assert tree("pool.snapshottask.query", [["dataset", "=", "tank/f"], ["enabled", "=", False]]) == [changed]
    assert tree.failed("pool.snapshottask.run", task) == (14, "[EFAULT] Task is not enabled")


def test_a_run_cuts_what_the_task_covers_and_says_so(tree: Box) -> None:
    task = create(tree, recursive=True, exclude=["tank/f/in/deep"], naming_schema="t-%Y%m%d-%H%M")
    heard = tree.listen()
    tree("pool.snapshottask.run", task)
    assert snapshots(tree) == ["tank/f/in@t-20231114-2213", "tank/f@t-20231114-2213"]
    state = {"state": "FINISHED", "datetime": {"$date": 1_700_000_000_000}, "last_snapshot": "tank/f@t-20231114-2213"}
    assert heard == [("pool.snapshottask.query", "changed", task, {"state": state})]
    assert tree("pool.snapshottask.get_instance", task)["state"] == state
    tree("pool.snapshottask.run", task)  # in the same minute: there is nothing left to do
    assert len(snapshots(tree)) == 2


async def test_from_26_on_a_second_run_within_the_minute_is_refused() -> None:
    async with release("26.0") as client:
        task = await client.call("pool.snapshottask.create", {"dataset": "tank"})
        await client.call("pool.snapshottask.run", task["id"])
        error = await client.refused("pool.snapshottask.run", task["id"])
        text = "This probably happened because the task already ran on schedule."
        assert error.reason == f"[EEXIST] Snapshot tank@auto-2023-11-14_22-13 already existed. {text}"


def test_without_news_there_is_no_snapshot_if_empty_ones_are_not_wanted(box: Box) -> None:
    box.zvol("tank/f")
    task = create(box, allow_empty=False)
    for minute, count in ((0, 1), (1, 1), (2, 2)):
        box.time = 1_700_000_000.0 + 60 * minute
        if minute == 2:
            box("fake.block.write", "tank/f", 0, "eA==")
        box("pool.snapshottask.run", task)
        assert len(snapshots(box)) == count


def test_a_run_without_its_dataset_or_with_too_long_a_name_fails(tree: Box) -> None:
    task = create(tree)
    tree("pool.dataset.rename", "tank/f", {"new_name": "tank/g", "force": True})
    assert tree.failed("pool.snapshottask.run", task)[1] == "[EFAULT] cannot open 'tank/f': dataset does not exist."
    long = tree("pool.snapshottask.create", {"dataset": "tank/g", "naming_schema": "x" * 300 + "%Y%m%d%H%M"})
    assert "invalid name" in tree.failed("pool.snapshottask.run", long["id"])[1]


def test_tasks_go_with_a_dataset_that_a_client_deletes(tree: Box) -> None:
    create(tree, dataset="tank/f/in")
    create(tree, dataset="tank/f/in/deep")
    kept = [create(tree, dataset="tank/f/in", enabled=False), create(tree)]
    tree("pool.dataset.delete", "tank/f/in", {"recursive": True})
    assert [task["id"] for task in tree("pool.snapshottask.query")] == kept


def test_a_date_of_removal_can_be_kept_when_a_task_changes(tree: Box) -> None:
    task = create(tree, schedule={"minute": "*"}, recursive=True)
    tree("pool.snapshottask.run", task)
    tree("pool.snapshot.create", {"dataset": "tank/f", "name": "manual"})
    name, filters = "auto-2023-11-14_22-13", [["id", "=", "tank/f@auto-2023-11-14_22-13"]]
    affected = {"tank/f": [name], "tank/f/in": [name], "tank/f/in/deep": [name]}
    assert tree("pool.snapshottask.update_will_change_retention_for", task, {"lifetime_value": 3}) == affected
    assert tree("pool.snapshottask.update_will_change_retention_for", task, {"enabled": False}) == {}
    assert tree("pool.snapshottask.delete_will_change_retention_for", task) == affected

    def kept() -> Any:
        return tree("pool.snapshot.query", filters, {"extra": {"retention": True}, "get": True})["retention"]

    by_task = {
        "datetime": {"$date": 1_701_209_580_000},
        "source": "periodic_snapshot_task",
        "periodic_snapshot_task_id": task,
    }
    assert kept() == by_task
    tree("pool.snapshottask.update", task, {"lifetime_value": 1, "fixate_removal_date": True})
    assert kept() == {"datetime": by_task["datetime"], "source": "property"}
    tree("pool.snapshottask.delete", task, {"fixate_removal_date": True})
    assert kept() == {"datetime": {"$date": 1_700_604_780_000}, "source": "property"}
    properties = tree("pool.snapshot.get_instance", f"tank/f@{name}")["properties"]
    host = tree("system.host_id")[:8]
    assert properties[f"org.truenas:destroy_at_{host}"]["value"] == "2023-11-21T22:13:00"


def test_there_are_counts_that_a_system_should_not_exceed(box: Box) -> None:
    assert (box("pool.snapshottask.max_count"), box("pool.snapshottask.max_total_count")) == (512, 10000)
