"""Snapshots as pool.snapshot.query shows them. Only the properties asked for are built.

Up to 25.10 an entry has all properties, user properties among them, unless a list asks for some. From 26.0 on it has
none unless a list asks for them, and never a user property.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from fake_truenas.context import Ctx
from fake_truenas.crud import Source, run_query
from fake_truenas.errors import CallError, does_not_exist, invalid
from fake_truenas.plan import Column, Condition
from fake_truenas.query import MAX_DEPTH, split_path
from fake_truenas.snapshot_tasks import enabled_tasks, retention
from fake_truenas.steps import Steps, through
from fake_truenas.store import Row, Store
from fake_truenas.zfs import human_size
from fake_truenas.zfs_values import snapshot_values

Entry = dict[str, Any]
Object = dict[str, Any]

HOLD_TAG: Final = "truenas"

_ALWAYS_THERE = frozenset(("name", "createtxg"))
_FAST_FIELDS = frozenset(("name", "pool", "dataset"))


def _object(raw: str, parsed: Any, value: str, source: str = "NONE") -> Object:
    return {"value": value, "rawvalue": raw, "source": source, "parsed": parsed}


def _size(size: int) -> Object:
    return _object(str(size), size, human_size(size))


def _number(number: int) -> Object:
    return _object(str(number), number, str(number))


def _clones(db: Store, row: Row) -> Object:
    names = ",".join(
        one["name"] for one in db.rows("select name from dataset where origin = ? order by name", (row["pk"],))
    )
    return _object(names, names, names)


def _userrefs(db: Store, row: Row) -> Object:
    return _number(int(db.value("select count(*) from snapshot_hold where snapshot = ?", (row["pk"],))))


def _creation(_: Store, row: Row) -> Object:
    seconds = row["created_at"]
    return _object(str(seconds), {"$date": seconds * 1000}, str(seconds))


_NATIVE: Final[Mapping[str, Callable[[Store, Row], Object]]] = {
    "used": lambda _, row: _size(row["uniq"]),
    "referenced": lambda _, row: _size(row["referenced"]),
    "unique": lambda _, row: _size(row["uniq"]),
    "written": lambda _, row: _size(row["written"]),
    "creation": _creation,
    "createtxg": lambda _, row: _number(row["createtxg"]),
    "guid": lambda _, row: _object(row["guid"], int(row["guid"]), row["guid"]),
    "objsetid": lambda _, row: _number(row["pk"]),
    "clones": _clones,
    "defer_destroy": lambda _, row: _object("on", "on", "on") if row["deferred"] else _object("off", "off", "off"),
    "userrefs": _userrefs,
    "compressratio": lambda _, __: _object("1.00", "1.00", "1.00x"),
    "refcompressratio": lambda _, __: _object("1.00", "1.00", "1.00x"),
}
_VOLUME_NATIVE: Final[Mapping[str, Callable[[Store, Row], Object]]] = {
    **_NATIVE,
    "volsize": lambda _, row: _size(row["volsize"]),
}


def snapshot_entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:
    """The entries of rows of table `snapshot`."""
    wanted = extra.get("properties")
    if wanted is not None and not isinstance(wanted, (list, tuple)):
        raise invalid("options.extra.properties", "Input should be a valid list")
    names = None if wanted is None else frozenset(str(name) for name in wanted)
    render = _bare_entry if ctx.nas.persona.snapshot_update_is_ignored else _entry
    entries = [render(ctx.db, row, names, extra) for row in rows]
    if extra.get("retention"):
        tasks = enabled_tasks(ctx)
        for row, entry in zip(rows, entries, strict=True):
            entry["retention"] = retention(ctx, tasks, row["dataset_name"], row["short"], row["pk"])
    return entries


def _names_entry(row: Row) -> Entry:
    name = row["name"]
    return {
        "id": name,
        "name": name,
        "snapshot_name": row["short"],
        "dataset": row["dataset_name"],
        "pool": row["pool_name"],
        "type": "SNAPSHOT",
        "createtxg": str(row["createtxg"]),
    }


def _entry(db: Store, row: Row, names: frozenset[str] | None, extra: Mapping[str, Any]) -> Entry:
    native = _VOLUME_NATIVE if row["volsize"] else _NATIVE
    properties = {name: render(db, row) for name, render in native.items() if names is None or name in names}
    # A list without any user property's name asks for none, so their rows need not be read.
    if names is None or any(":" in name for name in names):
        properties.update(_user_properties(db, row, names))
    entry = {**_names_entry(row), "properties": properties}
    if extra.get("holds"):
        holds = db.rows("select tag, held_at from snapshot_hold where snapshot = ? order by tag", (row["pk"],))
        entry["holds"] = {hold["tag"]: hold["held_at"] for hold in holds}
    return entry


def _bare_entry(db: Store, row: Row, names: frozenset[str] | None, extra: Mapping[str, Any]) -> Entry:
    """An entry of 26.0: without properties unless more than `name` and `createtxg` is asked for, and with `holds`."""
    entry = _names_entry(row)
    if names is not None and names - _ALWAYS_THERE:
        values = snapshot_values(row, sorted(names - _ALWAYS_THERE))
        entry["properties"] = {name: _object(item["raw"], item["value"], _text(item)) for name, item in values.items()}
        if "name" in names:
            entry["properties"]["name"] = _object(row["name"], row["name"], row["name"])
        if "createtxg" in names:
            entry["properties"]["createtxg"] = _number(row["createtxg"])
    held = "select 1 from snapshot_hold where snapshot = ? and tag = ?"
    entry["holds"] = {}
    if extra.get("holds") and db.value(held, (row["pk"], HOLD_TAG)) is not None:
        entry["holds"] = {HOLD_TAG: 1}
    return entry


def _text(item: Mapping[str, Any]) -> str:
    return "" if item["value"] is None else str(item["value"])


def created_entry(ctx: Ctx, row: Row) -> Entry:
    """What create, and up to 25.10 update, answer."""
    if not ctx.nas.persona.snapshot_update_is_ignored:
        return snapshot_entries(ctx, [row], {})[0]
    entry = snapshot_entries(ctx, [row], {"properties": ["creation", "createtxg"]})[0]
    del entry["holds"]
    return entry


def _user_properties(db: Store, row: Row, names: frozenset[str] | None) -> dict[str, Object]:
    """The snapshot's own, over those in force at its dataset: these too show up, as INHERITED."""
    inherited = db.rows("select key, value from dataset_property where dataset = ? order by key", (row["dataset"],))
    own = db.rows("select key, value from snapshot_property where snapshot = ? order by key", (row["pk"],))
    result = {key: _object(value, value, value, "INHERITED") for key, value in inherited}
    result.update((key, _object(value, value, value, "LOCAL")) for key, value in own)
    return result if names is None else {key: item for key, item in result.items() if key in names}


def _special(field: str, op: str, value: Any, extra: Mapping[str, Any]) -> Condition | None:
    """Equality of a user property's value from an index, inherited values included."""
    path = split_path(field)
    if (
        len(path) != 3
        or path[0] != "properties"
        or ":" not in path[1]
        or path[2] not in {"value", "rawvalue", "parsed"}
    ):
        return None
    if op != "=" or not isinstance(value, str) or extra.get("properties") is not None:
        return None
    key = path[1]
    sql = (
        "(pk in (select snapshot from snapshot_property where key = ? and value = ?)"
        " or (dataset in (select dataset from dataset_property where key = ? and value = ?)"
        " and not exists (select 1 from snapshot_property own where own.snapshot = snapshot.pk and own.key = ?)))"
    )
    return sql, [key, value, key, value, key]


def _scope(extra: Mapping[str, Any]) -> list[Condition]:
    """`min_txg` and `max_txg`, both inclusive; 0 is no bound."""
    conditions: list[Condition] = []
    for name, op in (("min_txg", ">="), ("max_txg", "<=")):
        bound = extra.get(name)
        if type(bound) is int and 0 < bound < 1 << 63:
            conditions.append((f"createtxg {op} ?", [bound]))
    return conditions


SNAPSHOTS = Source(
    type_name="PoolSnapshot",
    table="snapshot",
    columns={
        "id": Column("name"),
        "name": Column("name"),
        "dataset": Column("dataset_name"),
        "snapshot_name": Column("short"),
        "pool": Column("pool_name"),
    },
    entries=snapshot_entries,
    special=_special,
    scope=_scope,
)

_NAMES_ONLY = replace(
    SNAPSHOTS,
    entries=lambda _, rows, __: [
        {key: entry[key] for key in ("name", "pool", "dataset", "type", "id")} for entry in map(_names_entry, rows)
    ],
)
"""The real system's short cut for listing and counting names: nothing but them is read."""


def query_snapshots(ctx: Ctx, filters: Sequence[Any], options: Mapping[str, Any]) -> Steps:
    """Answer pool.snapshot.query. `select` picks members of the entry only: paths into them give nothing.

    Raises:
        ValidationErrors: a filter is malformed.
        CallError: EINVAL, up to 25.10: retention is asked for without a filter on `id` or a limit.
        MatchNotFound: `get` and nothing matched.
    """
    fields = _filtered_fields(filters)
    select = options["select"]
    if (select == ["name"] or options["count"]) and fields <= _FAST_FIELDS:
        return (yield from run_query(ctx, _NAMES_ONLY, filters, options))
    bare = ctx.nas.persona.snapshot_update_is_ignored
    if options["extra"].get("retention") and not bare and "id" not in fields and not options["limit"]:
        raise CallError("`id` or `limit` is required if `retention` is requested", 22)
    # From 26.0 on no entry has the user properties that the index knows.
    source = replace(SNAPSHOTS, special=None) if bare else SNAPSHOTS
    steps = run_query(ctx, source, filters, {**options, "select": []})
    if not select or options["count"]:
        return (yield from steps)
    wanted = frozenset(one for one in select if isinstance(one, str))
    if options["get"]:
        return _only((yield from steps), wanted)
    return (yield from through(steps, lambda part: [_only(entry, wanted) for entry in part]))


def _only(entry: Entry, names: frozenset[str]) -> Entry:
    return {key: value for key, value in entry.items() if key in names}


def _filtered_fields(filters: Sequence[Any], depth: int = 0) -> set[str]:
    """The fields that filters, and those inside of "OR", look at; what is nested too deeply is refused later."""
    found: set[str] = set()
    for item in filters if depth <= MAX_DEPTH else ():
        match item:
            case [str(field), _, _]:
                found.add(field)
            case ["OR", [*inner]] | [*inner]:
                found |= _filtered_fields([one for one in inner if isinstance(one, list)], depth + 1)
    return found


def get_snapshot(ctx: Ctx, name: str, extra: Mapping[str, Any], type_name: str) -> Entry:
    """One snapshot's entry.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
    """
    row = ctx.db.one("select * from snapshot where name = ?", (name,))
    if row is None:
        raise does_not_exist(type_name, name)
    return snapshot_entries(ctx, [row], extra)[0]
