"""Periodic snapshot tasks: what they cover and how long their snapshots are to stay (TrueNAS API 25.10).

Nothing runs by itself here: a task cuts a snapshot when `pool.snapshottask.run` is called, and none is ever removed
because its time is over.
"""

import calendar
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from fake_truenas import cron, naming_schema, zfs
from fake_truenas.context import Ctx
from fake_truenas.documents import Documents

SNAPSHOT_TASKS = Documents("snapshot_task", {"dataset": str})

REMOVAL_PREFIX: Final = "org.truenas:destroy_at_"
"""A snapshot property of this kind keeps the date on which it would have gone by an earlier setting."""

_HOURS = {"HOUR": 1, "DAY": 24, "WEEK": 168}
_MONTHS = {"MONTH": 1, "YEAR": 12}

Task = Mapping[str, Any]


def covers(task: Task, dataset: str) -> bool:
    """Whether the task cuts snapshots of a dataset."""
    if not task["recursive"]:
        return bool(dataset == task["dataset"])
    if not zfs.is_at_or_under(dataset, task["dataset"]):
        return False
    return not any(zfs.is_at_or_under(dataset, one) or fnmatchcase(dataset, one) for one in task["exclude"])


def removal_date(task: Task, dataset: str, short: str) -> datetime | None:
    """When a snapshot would go by this task; None if it is not one of the task's."""
    if not covers(task, dataset):
        return None
    cut = naming_schema.parse(task["naming_schema"], short)
    if cut is None or not cron.matches(task["schedule"], cut):
        return None
    return add_lifetime(cut, task["lifetime_value"], task["lifetime_unit"])


def add_lifetime(moment: datetime, value: int, unit: str) -> datetime:
    """A moment later by so many HOURs, DAYs, WEEKs, MONTHs or YEARs; the last one there is if that is too far."""
    try:
        if unit in _HOURS:
            return moment + timedelta(hours=value * _HOURS[unit])
        months = moment.year * 12 + moment.month - 1 + value * _MONTHS[unit]
        year, month = months // 12, months % 12 + 1
        return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))
    except (OverflowError, ValueError):
        return datetime.max.replace(tzinfo=UTC) if value > 0 else datetime.min.replace(tzinfo=UTC)


def retention(ctx: Ctx, tasks: Sequence[Task], dataset: str, short: str, pk: int) -> dict[str, Any] | None:
    """The entry `retention` of a snapshot: the latest date on which something would remove it; None if nothing would.

    Args:
        ctx: the call.
        tasks: the enabled tasks.
        dataset: the snapshot's dataset.
        short: its short name.
        pk: its row id.
    """
    dates = [(removal_date(task, dataset, short), task["id"]) for task in tasks]
    latest = max(((date, -task_id) for date, task_id in dates if date is not None), default=None)
    fixed = [
        parsed
        for row in ctx.db.rows("select key, value from snapshot_property where snapshot = ? order by key", (pk,))
        if row["key"].startswith(REMOVAL_PREFIX) and (parsed := _iso(row["value"])) is not None
    ]
    if fixed and (latest is None or max(fixed) > latest[0]):
        return {"datetime": _date(max(fixed)), "source": "property"}
    if latest is None:
        return None
    return {"datetime": _date(latest[0]), "source": "periodic_snapshot_task", "periodic_snapshot_task_id": -latest[1]}


def enabled_tasks(ctx: Ctx) -> list[dict[str, Any]]:
    """All tasks that are switched on."""
    return [task for task in SNAPSHOT_TASKS.find(ctx.db) if task["enabled"]]


def _iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # somebody else's value
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _date(moment: datetime) -> dict[str, int]:
    return {"$date": calendar.timegm(moment.utctimetuple()) * 1000}
