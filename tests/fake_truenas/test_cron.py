"""Cron schedules."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fake_truenas.cron import SCHEDULE, expand, matches
from fake_truenas.schema import Problem

TUESDAY = datetime(2023, 11, 14, 22, 13, tzinfo=UTC)
SUNDAY = datetime(2023, 11, 19, 0, 0, tzinfo=UTC)


def schedule(**fields: str) -> dict[str, Any]:
    problems: list[Problem] = []
    made = SCHEDULE.compile()(fields, problems)
    assert problems == []
    return dict(made)


@pytest.mark.parametrize(
    ("field", "text", "numbers"),
    [
        ("hour", "*", set(range(24))), ("minute", "00", {0}), ("minute", "5,10-12", {5, 10, 11, 12}),
        ("minute", "*/20", {0, 20, 40}), ("minute", "10-30/10", {10, 20, 30}), ("minute", "50/5", {50, 55}),
        ("dow", "sun", {0, 7}), ("dow", "MON-fri", {1, 2, 3, 4, 5}), ("dow", "7", {0, 7}), ("month", "jan,dec", {1, 12}),
    ],
)  # fmt: skip
def test_fields_name_numbers(field: str, text: str, numbers: set[int]) -> None:
    assert expand(field, text) == numbers


@pytest.mark.parametrize(
    ("field", "text"),
    [("minute", "60"), ("hour", "-1"), ("dom", "0"), ("month", "13"), ("dow", "8"), ("minute", ""), ("minute", "1,,2"),
     ("minute", "*/0"), ("minute", "9-3"), ("hour", "jan"), ("minute", "٣"), ("minute", "9" * 50), ("minute", "*/9999")],
)  # fmt: skip
def test_what_is_not_cron_is_refused(field: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|invalid"):
        expand(field, text)
    problems: list[Problem] = []
    SCHEDULE.compile()({field: text}, problems)
    assert problems[0][0] == field
    assert problems[0][1].startswith("Value error, Please ensure fields match cron syntax")


@pytest.mark.parametrize("window", [{"begin": "24:00"}, {"end": "1:00"}, {"end": "12:00\n"}])
def test_a_window_has_times_of_day(window: dict[str, str]) -> None:
    problems: list[Problem] = []
    SCHEDULE.compile()(window, problems)
    assert [path for path, _ in problems] == list(window)


@pytest.mark.parametrize(
    ("fields", "at", "due"),
    [
        ({}, SUNDAY, True), ({}, TUESDAY, False), ({"minute": "13"}, TUESDAY, True),
        ({"minute": "13", "end": "22:12"}, TUESDAY, False), ({"minute": "13", "begin": "22:13"}, TUESDAY, True),
        ({"dow": "0"}, SUNDAY, True), ({"dow": "1-5"}, SUNDAY, False), ({"month": "12"}, SUNDAY, False),
        ({"dom": "1"}, SUNDAY, False), ({"dom": "1", "dow": "sun"}, SUNDAY, True), ({"dom": "19", "dow": "mon"}, SUNDAY, True),
    ],
)  # fmt: skip
def test_a_schedule_is_due_when_all_its_fields_are_but_one_kind_of_day_is_enough(
    fields: Any, at: datetime, due: bool
) -> None:
    assert matches(schedule(**fields), at) is due
