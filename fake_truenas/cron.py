"""Cron schedules as TrueNAS writes them: minute, hour, dom, month, dow, and a window from begin to end. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from fake_truenas.checked import Checked
from fake_truenas.schema import Field, Obj, Str

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_BOUNDS: Final[Mapping[str, tuple[int, int, Mapping[str, int]]]] = {
    "minute": (0, 59, {}),
    "hour": (0, 23, {}),
    "dom": (1, 31, {}),
    "month": (1, 12, _MONTHS),
    "dow": (0, 7, _DAYS),
}
_ITEM = re.compile(r"(?:\*|([0-9a-z]+)(?:-([0-9a-z]+))?)(?:/([0-9]{1,3}))?", re.ASCII)


def expand(field: str, text: str) -> frozenset[int]:
    """The numbers that a field such as `hour` matches; Sunday is 0 and 7.

    Raises:
        ValueError: it is not cron syntax; the text says which item.
    """
    low, high, names = _BOUNDS[field]
    found: set[int] = set()
    for item in text.lower().split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"{item!r:.40} is not a number, a range or *")
        start, end, step = match.groups()
        first = low if start is None else _number(start, names)
        # "5" is one number, but "5/10" goes on to the end
        last = high if start is None or (end is None and step) else _number(end or start, names)
        if not low <= first <= last <= high or step == "0":
            raise ValueError(f"{item!r:.40} is not within {low} to {high}")
        found.update(range(first, last + 1, int(step or 1)))
    if field == "dow" and found & {0, 7}:
        found |= {0, 7}
    return frozenset(found)


def _number(text: str, names: Mapping[str, int]) -> int:
    if text in names:
        return names[text]
    if not text.isdigit() or len(text) > 4:
        raise ValueError(f"{text!r:.40} is not a number")
    return int(text)


def matches(schedule: Mapping[str, Any], moment: datetime) -> bool:
    """Whether a schedule is due in the minute of `moment`; of two restricted kinds of days either one will do."""
    clock = f"{moment:%H:%M}"
    if not schedule.get("begin", "00:00") <= clock <= schedule.get("end", "23:59"):
        return False
    numbers = {"minute": moment.minute, "hour": moment.hour, "month": moment.month}
    if any(number not in expand(field, schedule[field]) for field, number in numbers.items()):
        return False
    by_month = moment.day in expand("dom", schedule["dom"])
    by_week = moment.isoweekday() % 7 in expand("dow", schedule["dow"])
    both = schedule["dom"] != "*" and schedule["dow"] != "*"
    return by_month or by_week if both else by_month and by_week


def _problem(field: str, text: str) -> str | None:
    try:
        expand(field, text)
    except ValueError as error:
        return f"Please ensure fields match cron syntax - {error}"
    return None


_TIME = Str(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")

CRON: Final = tuple(
    Field(name, Checked(Str(), partial(_problem, name)), default="00" if name == "minute" else "*") for name in _BOUNDS
)
SCHEDULE: Final = Obj(*CRON, Field("begin", _TIME, default="00:00"), Field("end", _TIME, default="23:59"))
"""A schedule with a window, every hour by default."""
