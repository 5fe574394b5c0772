"""What periodic snapshot tasks cover, and until when they keep it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fake_truenas import Nas
from fake_truenas.context import Ctx
from fake_truenas.cron import SCHEDULE
from fake_truenas.snapshot_tasks import add_lifetime, covers, removal_date, retention

AT = datetime(2024, 1, 31, 10, 0, tzinfo=UTC)


def task(**more: Any) -> dict[str, Any]:
    return {
        "id": 1, "dataset": "tank/a", "recursive": False, "exclude": [], "naming_schema": "auto-%Y-%m-%d_%H-%M",
        "lifetime_value": 2, "lifetime_unit": "WEEK", "schedule": SCHEDULE.compile()({}, []), **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("dataset", "fields", "expected"),
    [
        ("tank/a", {}, True), ("tank/a/b", {}, False), ("tank/a/b", {"recursive": True}, True),
        ("tank/ab", {"recursive": True}, False), ("tank/a/b/c", {"recursive": True, "exclude": ["tank/a/b"]}, False),
        ("tank/a/bc", {"recursive": True, "exclude": ["tank/a/b"]}, True),
        ("tank/a/tmp", {"recursive": True, "exclude": ["tank/a/t*"]}, False),
    ],
)  # fmt: skip
def test_a_task_covers_its_dataset_and_with_recursive_what_is_below(dataset: str, fields: Any, expected: bool) -> None:
    assert covers(task(**fields), dataset) is expected


@pytest.mark.parametrize(
    ("value", "unit", "end"),
    [
        (1, "HOUR", datetime(2024, 1, 31, 11, 0, tzinfo=UTC)), (2, "WEEK", datetime(2024, 2, 14, 10, 0, tzinfo=UTC)),
        (1, "MONTH", datetime(2024, 2, 29, 10, 0, tzinfo=UTC)), (13, "MONTH", datetime(2025, 2, 28, 10, 0, tzinfo=UTC)),
        (4, "YEAR", datetime(2028, 1, 31, 10, 0, tzinfo=UTC)), (1 << 62, "DAY", datetime.max.replace(tzinfo=UTC)),
        (9000, "YEAR", datetime.max.replace(tzinfo=UTC)), (-(1 << 62), "HOUR", datetime.min.replace(tzinfo=UTC)),
    ],
)  # fmt: skip
def test_lifetimes_count_in_the_calendar(value: int, unit: str, end: datetime) -> None:
    assert add_lifetime(AT, value, unit) == end


def test_a_task_removes_what_it_could_have_cut() -> None:
    week = datetime(2024, 2, 14, 10, 0, tzinfo=UTC)
    assert removal_date(task(), "tank/a", "auto-2024-01-31_10-00") == week
    assert removal_date(task(), "tank/a", "auto-2024-01-31_10-01") is None  # not due in that minute
    assert removal_date(task(), "tank/a", "manual") is None
    assert removal_date(task(), "tank", "auto-2024-01-31_10-00") is None


def test_retention_is_the_latest_date_of_a_task_or_a_property(nas: Nas) -> None:
    nas.call_direct("pool.snapshot.create", {"dataset": "tank", "name": "auto-2024-01-31_10-00"})
    pk = nas.db.value("select pk from snapshot")
    tasks = [task(dataset="tank", id=4), task(dataset="tank", id=5, lifetime_value=1, lifetime_unit="DAY")]

    def found(*given: Any) -> Any:
        return retention(Ctx(nas), given, "tank", "auto-2024-01-31_10-00", pk)

    assert found() is None
    assert found(*tasks) == {
        "datetime": {"$date": 1_707_904_800_000}, "source": "periodic_snapshot_task", "periodic_snapshot_task_id": 4,
    }  # fmt: skip
    for value in ("2024-12-24T00:00:00", "rubbish"):
        items = [{"key": "org.truenas:destroy_at_0a1b2c3d", "value": value}]
        nas.call_direct("pool.snapshot.update", "tank@auto-2024-01-31_10-00", {"user_properties_update": items})
        source = "property" if value != "rubbish" else "periodic_snapshot_task"
        assert found(*tasks)["source"] == source
