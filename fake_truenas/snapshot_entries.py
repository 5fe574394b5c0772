"""Snapshots as pool.snapshot.query shows them. Only the properties asked for are built."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fake_truenas.context import Ctx
from fake_truenas.crud import Source
from fake_truenas.errors import invalid
from fake_truenas.plan import Column, Condition
from fake_truenas.query import split_path
from fake_truenas.store import Row, Store
from fake_truenas.zfs import human_size

Entry = dict[str, Any]
Object = dict[str, Any]

HOLD_TAG: Final = "truenas"


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
    return [_entry(ctx.db, row, names, extra) for row in rows]


def _entry(db: Store, row: Row, names: frozenset[str] | None, extra: Mapping[str, Any]) -> Entry:
    native = _VOLUME_NATIVE if row["volsize"] else _NATIVE
    properties = {name: render(db, row) for name, render in native.items() if names is None or name in names}
    # A list without any user property's name asks for none, so their rows need not be read.
    if names is None or any(":" in name for name in names):
        properties.update(_user_properties(db, row, names))
    name = row["name"]
    entry: Entry = {
        "id": name,
        "name": name,
        "snapshot_name": row["short"],
        "dataset": row["dataset_name"],
        "pool": row["pool_name"],
        "type": "SNAPSHOT",
        "createtxg": str(row["createtxg"]),
        "properties": properties,
    }
    if extra.get("holds"):
        holds = db.rows("select tag, held_at from snapshot_hold where snapshot = ? order by tag", (row["pk"],))
        entry["holds"] = {hold["tag"]: hold["held_at"] for hold in holds}
    if extra.get("retention"):
        entry["retention"] = None
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
