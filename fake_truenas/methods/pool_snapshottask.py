"""pool.snapshottask.*: periodic snapshot tasks, kept and run on demand (TrueNAS API 25.10)."""

from typing import Any

from fake_truenas import naming_schema, snapshot_ops, snapshot_tasks, space, zfs
from fake_truenas.context import Ctx
from fake_truenas.cron import SCHEDULE
from fake_truenas.crud import Entry, get_entry
from fake_truenas.documents import Problems, Rules, add_crud, load
from fake_truenas.errors import CallError
from fake_truenas.methods.system import host_id
from fake_truenas.naming_schema import NAMING_SCHEMA
from fake_truenas.registry import DatasetHooks, Namespace
from fake_truenas.schema import Bool, Enum, Field, Int, List, Obj, Str
from fake_truenas.snapshot_tasks import SNAPSHOT_TASKS

_EEXIST = 17
_PENDING = {"state": "PENDING"}
_FIXATE = "fixate_removal_date"

# More would not be shown to users of Windows shares; more altogether would be slow to list.
_MAX_COUNT, _MAX_TOTAL_COUNT = 512, 10_000


class _Hooks(DatasetHooks):
    """Tasks that are switched on go when a client deletes their dataset, or one above it."""

    def detach(self, ctx: Ctx, name: str) -> None:
        """Delete them without a word, as the real system does."""
        rows = ctx.db.rows(
            "select * from snapshot_task where dataset = ? or (dataset > ? and dataset < ?)",
            (name, *space.descendants_range(name)),
        )
        for task in map(load, rows):
            if task["enabled"]:
                SNAPSHOT_TASKS.delete(ctx.db, task["id"])


tasks = Namespace("pool.snapshottask", tables=SNAPSHOT_TASKS.sql(), hooks=_Hooks())
namespaces = (tasks,)

_CREATE = Obj(
    Field("dataset", Str()),
    Field("recursive", Bool(), default=False),
    Field("lifetime_value", Int(), default=2),
    Field("lifetime_unit", Enum("HOUR", "DAY", "WEEK", "MONTH", "YEAR"), default="WEEK"),
    Field("enabled", Bool(), default=True),
    Field("exclude", List(Str()), default=()),
    Field("naming_schema", NAMING_SCHEMA, default=naming_schema.DEFAULT),
    Field("allow_empty", Bool(), default=True),
    Field("schedule", SCHEDULE, default={}),
)


def _clean(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    if space.find(ctx.db, data["dataset"]) is None:
        problems.add("dataset", "Dataset not found")
    if data["exclude"] and not data["recursive"]:
        problems.add("exclude", "Excluding datasets is not necessary for non-recursive periodic snapshot tasks")
    for index, name in enumerate(data["exclude"]):
        if not name.startswith(f"{data['dataset']}/"):
            problems.add(
                f"exclude.{index}", "Excluded dataset should be a child or other descendant of the selected dataset"
            )
    fixate = data.pop(_FIXATE, False)
    doc = {**data, "vmware_sync": False, "state": old["state"] if old else _PENDING}
    if fixate and old is not None:
        _keep_dates(ctx, old, doc)
    return doc


def _remove(ctx: Ctx, entry: Entry, options: dict[str, Any]) -> None:
    if options[_FIXATE]:
        _keep_dates(ctx, entry, None)


_SOURCE = add_crud(
    tasks,
    SNAPSHOT_TASKS,
    Rules(
        type_name="PeriodicSnapshotTask",
        create=_CREATE,
        update=_CREATE.patch(Field(_FIXATE, Bool())),
        clean=_clean,
        argument=None,
        schema="periodic_snapshot",
        removed=_remove,
        delete_params=(Field("options", Obj(Field(_FIXATE, Bool(), default=False)), default={}),),
    ),
)


def _changed_dates(ctx: Ctx, old: Entry, new: Entry | None) -> dict[str, list[str]]:
    """Short names of the snapshots, by dataset, that the old task would remove at another time than the new one."""
    name = old["dataset"]
    rows = ctx.db.rows(
        "select dataset_name, short from snapshot where dataset_name = ? or (dataset_name > ? and dataset_name < ?)"
        " order by dataset_name, createtxg, pk",
        (name, *space.descendants_range(name)),
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        dataset, short = row["dataset_name"], row["short"]
        before = snapshot_tasks.removal_date(old, dataset, short)
        after = None if new is None else snapshot_tasks.removal_date(new, dataset, short)
        if before is not None and before != after:
            found.setdefault(dataset, []).append(short)
    return found


def _keep_dates(ctx: Ctx, old: Entry, new: Entry | None) -> None:
    """Write the old removal date into a property of each snapshot whose date would change."""
    key = f"{snapshot_tasks.REMOVAL_PREFIX}{host_id(ctx)[:8]}"
    for dataset, shorts in _changed_dates(ctx, old, new).items():
        for short in shorts:
            date = snapshot_tasks.removal_date(old, dataset, short)
            assert date is not None  # noqa: S101 - else it would not be listed
            ctx.db.run(
                "insert into snapshot_property (snapshot, key, value) select pk, ?, ? from snapshot where name = ?"
                " on conflict do update set value = excluded.value",
                (key, date.replace(tzinfo=None).isoformat(), f"{dataset}@{short}"),
            )


@tasks.method("update_will_change_retention_for", Field("id", Int()), Field("data", _CREATE.patch()))
def update_will_change_retention_for(ctx: Ctx, task_id: int, data: Entry) -> dict[str, list[str]]:
    """The short names of the snapshots, by dataset, whose removal date an update would change."""
    old = get_entry(ctx, _SOURCE, task_id)
    return _changed_dates(ctx, old, {**old, **data})


@tasks.method("delete_will_change_retention_for", Field("id", Int()))
def delete_will_change_retention_for(ctx: Ctx, task_id: int) -> dict[str, list[str]]:
    """The short names of the snapshots, by dataset, that would no longer be removed without the task."""
    return _changed_dates(ctx, get_entry(ctx, _SOURCE, task_id), None)


@tasks.method("max_count")
def max_count(ctx: Ctx) -> int:  # noqa: ARG001 - given shape
    """How many snapshots a dataset should have at most."""
    return _MAX_COUNT


@tasks.method("max_total_count")
def max_total_count(ctx: Ctx) -> int:  # noqa: ARG001 - given shape
    """How many snapshots a system should have at most."""
    return _MAX_TOTAL_COUNT


@tasks.method("run", Field("id", Int()))
def run(ctx: Ctx, task_id: int) -> None:
    """Cut the task's snapshot now. Subscribers of pool.snapshot.query are not told, only those of the task.

    Raises:
        ValidationErrors: no such task (ENOENT).
        CallError: it is not enabled, its dataset is gone, or (from 26.0 on) there is a snapshot of this name already.
    """
    task = get_entry(ctx, _SOURCE, task_id)
    if not task["enabled"]:
        raise CallError("Task is not enabled")
    short = naming_schema.snapshot_name(task["naming_schema"], ctx.now())
    name = f"{task['dataset']}@{short}"
    row = space.find(ctx.db, task["dataset"])
    if row is None:
        raise CallError(f"cannot open '{task['dataset']}': dataset does not exist.")
    members = [
        one
        for one in snapshot_ops.members(ctx, row, recursive=task["recursive"], exclude=task["exclude"])
        if snapshot_ops.find(ctx, f"{one['name']}@{short}") is None and (task["allow_empty"] or _has_news(ctx, one))
    ]
    if snapshot_ops.find(ctx, name) is not None and ctx.nas.persona.at_least("26.0"):
        text = "This probably happened because the task already ran on schedule."
        raise CallError(f"Snapshot {name} already existed. {text}", _EEXIST)
    if zfs.component_problem(short) or len(name) > zfs.MAX_NAME:
        raise CallError(f"cannot create snapshot '{name}': invalid name.")
    if members:
        snapshot_ops.create(ctx, members, short, {})
    state = {"state": "FINISHED", "datetime": {"$date": int(ctx.now() * 1000)}, "last_snapshot": name}
    stored = {**task, "state": state}
    del stored["id"]
    SNAPSHOT_TASKS.update(ctx.db, task_id, stored)
    ctx.emit("pool.snapshottask.query", "changed", task_id, {"state": state})


def _has_news(ctx: Ctx, dataset: Any) -> bool:
    """Whether anything was written since the dataset's newest snapshot, or there is none."""
    known = ctx.db.value("select 1 from snapshot where dataset = ? limit 1", (dataset["pk"],))
    return known is None or bool(dataset["uniq"])
