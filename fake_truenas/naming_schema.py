"""Naming schemas of snapshots: templates of strftime from which the time can be read again. Pure.

The NAS's time zone is UTC. Source: TrueNAS API 25.10, `naming_schema` of pool.snapshot, pool.snapshottask, replication.
"""

import re
from datetime import UTC, datetime
from typing import Final

from fake_truenas.checked import Checked
from fake_truenas.schema import Str

DEFAULT: Final = "auto-%Y-%m-%d_%H-%M"

_REQUIRED = ("%Y", "%m", "%d", "%H", "%M")
_FOREIGN = re.compile(r"[^0-9A-Za-z %_.:-]")
_PROBE = datetime(2000, 2, 29, 19, 40, tzinfo=UTC)


def problem(schema: str) -> str | None:
    """Why snapshots cannot be named so, or None."""
    if "%%" in schema:
        return "% is not an allowed character in ZFS snapshot name"
    foreign = _FOREIGN.findall(schema)
    if foreign:
        are = "is not an allowed character" if len(foreign) == 1 else "are not allowed characters"
        return f"{''.join(foreign):.100} {are} in ZFS snapshot name"
    found = _missing(schema)
    if found is None and "%z" in schema and ":" in schema:
        found = "%z and `:` can't be present in snapshot naming schema at the same time"
    if found is None and parse(schema, _format(schema, _PROBE)) != _PROBE:
        found = "The time cannot be read from the names that this schema gives"
    return found


def _missing(schema: str) -> str | None:
    if "%s" in schema:
        other = re.search("%[^s]", schema) is not None
        return "No other placeholder can be used with %s in naming schema" if other else None
    absent = next((one for one in _REQUIRED if one not in schema), None)
    return None if absent is None else f"{absent} must be present in snapshot naming schema"


def snapshot_name(schema: str, epoch_s: float) -> str:
    """The short name of a snapshot that is cut now."""
    return _format(schema, datetime.fromtimestamp(int(epoch_s), UTC))


def parse(schema: str, name: str) -> datetime | None:
    """When a snapshot of this short name was cut, to the schema's precision; None if it has not been named so."""
    if "%s" in schema:
        before, _, after = schema.partition("%s")
        digits = name[len(before) : len(name) - len(after)]
        fits = name.startswith(before) and name.endswith(after) and digits.isascii() and digits.isdigit()
        if not fits or len(digits) > 12:
            return None
        return datetime.fromtimestamp(int(digits), UTC) if int(digits) < 1 << 37 else None
    text = name.replace(":", "+") if "%z" in schema else name
    try:
        moment = datetime.strptime(text, schema)  # noqa: DTZ007 - the next line gives it a zone
    except (ValueError, re.error):  # another name; or a directive that only strftime knows
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _format(schema: str, moment: datetime) -> str:
    if "%s" in schema:
        return schema.replace("%s", str(int(moment.timestamp())))
    text = moment.strftime(schema)
    return text.replace("+", ":") if "%z" in schema else text  # "+" is not allowed in a snapshot's name


NAMING_SCHEMA: Final = Checked(Str(min_length=1), problem)
"""A parameter: a naming schema."""
