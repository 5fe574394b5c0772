"""Datasets as pool.dataset.query shows them. Only the properties asked for are built."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from fake_truenas import space, zfs
from fake_truenas.context import Ctx
from fake_truenas.crud import Source
from fake_truenas.errors import invalid
from fake_truenas.plan import Column, Condition, prefix_range
from fake_truenas.properties import (
    BY_ZFS_NAME,
    COMMENT_KEYS,
    DEFAULT_OBJECTS,
    FIXED_OBJECTS,
    RESERVED_PREFIXES,
    SETTINGS,
    Object,
    date_object,
    limit_object,
    setting_object,
    size_object,
    text_object,
)
from fake_truenas.query import split_path
from fake_truenas.store import Row, Store

Entry = dict[str, Any]
Render = Callable[["Builder", Row], Object]

_COMMENTS = {zfs_key: key for key, zfs_key in COMMENT_KEYS.items()}


class Builder:
    """Builds entries of one call; remembers the ancestors that siblings share.

    Args:
        db: the store.
        extra: the query's `extra`.
        above: rows from a pool's root down to the parent of what will be built, if known and current.
    """

    def __init__(self, db: Store, extra: Mapping[str, Any], above: Sequence[Row] = ()) -> None:
        self._db = db
        wanted = extra.get("properties")
        if wanted is not None and not isinstance(wanted, (list, tuple)):
            raise invalid("options.extra.properties", "Input should be a valid list")
        self._wanted = None if wanted is None else tuple(str(name) for name in wanted)
        self._with_children = extra.get("retrieve_children", True) is not False
        self._with_user_props = extra.get("retrieve_user_props", True) is not False
        self._count_snapshots = bool(extra.get("snapshots_count"))
        self._list_snapshots = bool(extra.get("snapshots"))
        self._chains: dict[int, list[Row]] = {above[-1]["pk"]: list(above)} if above else {}
        self._usable: dict[int, int] = {}
        self._inherited: dict[int | None, dict[str, Object]] = {}

    def entries(self, rows: Sequence[Row]) -> list[Entry]:
        """The entries of rows, in their order."""
        return [self.entry(row) for row in rows]

    def entry(self, row: Row) -> Entry:
        """One entry, with its children unless they are not wanted."""
        entry = self._bare(row)
        if self._with_children:
            self._add_children(row, entry)
        return entry

    def _add_children(self, row: Row, entry: Entry) -> None:
        if self._db.value("select 1 from dataset where parent = ? limit 1", (row["pk"],)) is None:
            return
        below = self._db.rows(
            "select * from dataset where name > ? and name < ? order by name", space.descendants_range(row["name"])
        )
        built = {row["pk"]: entry}
        for child in below:  # a parent's name sorts before its children's
            built[child["pk"]] = self._bare(child)
            built[child["parent"]]["children"].append(built[child["pk"]])

    def _bare(self, row: Row) -> Entry:
        name, is_volume = row["name"], row["type"] == "VOLUME"
        entry: Entry = {
            "id": name,
            "type": row["type"],
            "name": name,
            "pool": row["pool_name"],
            "encrypted": False,
            "encryption_root": None,
            "key_loaded": False,
            "locked": False,
            "children": [],
            "mountpoint": None if is_volume else f"/mnt/{name}",
        }
        if self._wanted is None:
            entry.update(self.settings(row))
            entry.update(FIXED_OBJECTS)
            for key, render in _VOLUME if is_volume else _FILESYSTEM:
                entry[key] = render(self, row)
        else:
            for key, render in _chosen(self._wanted, is_volume):
                entry[key] = render(self, row)
        if self._with_user_props:
            entry["user_properties"] = self._user_properties(row, entry)
        else:
            entry["user_properties"] = {}
        if self._count_snapshots or self._list_snapshots:
            self._add_snapshots(row, entry)
        return entry

    def _add_snapshots(self, row: Row, entry: Entry) -> None:
        if self._count_snapshots:
            entry["snapshot_count"] = self._db.value("select count(*) from snapshot where dataset = ?", (row["pk"],))
        if self._list_snapshots:
            found = self._db.rows(
                "select name, short from snapshot where dataset = ? order by createtxg, pk", (row["pk"],)
            )
            entry["snapshots"] = [
                {"id": one["name"], "name": one["name"], "snapshot_name": one["short"]} for one in found
            ]

    def _user_properties(self, row: Row, entry: Entry) -> dict[str, Object]:
        result: dict[str, Object] = {}
        pk = row["pk"]
        found = self._db.rows("select key, value, source from dataset_property where dataset = ? order by key", (pk,))
        for key, value, source in found:
            local = source == pk
            item = text_object(value, "LOCAL" if local else "INHERITED", None if local else self._name(row, source))
            if key.startswith(RESERVED_PREFIXES):
                comment = _COMMENTS.get(key)
                if comment is not None:
                    entry[comment] = item
            else:
                result[key] = item
        return result

    def _name(self, row: Row, pk: int) -> str:
        return next((str(above["name"]) for above in self.chain(row) if above["pk"] == pk), "")

    def chain(self, row: Row) -> list[Row]:
        """The datasets from the root to this one."""
        parent = row["parent"]
        if parent is None:
            return [row]
        above = self._chains.get(parent)
        if above is None:
            above = self._chains[parent] = self.chain(space.by_pk(self._db, parent))
        return [*above, row]

    def available(self, row: Row) -> int:
        """The property `available` in bytes."""
        pool = row["pool"]
        usable = self._usable.get(pool)
        if usable is None:
            usable = self._usable[pool] = space.usable_bytes(self._db, pool)
        return zfs.available_bytes(self.chain(row), usable)

    def settings(self, row: Row) -> dict[str, Object]:
        """The inheritable properties in force here, by entry key; also those that the type does not have."""
        objects = self._from_above(row["parent"], row)
        local = row["local"]
        if local != "{}":
            objects = dict(objects)
            for name, raw in orjson.loads(local).items():
                setting = BY_ZFS_NAME[name]
                objects[setting.key] = setting_object(setting, raw, "LOCAL", None)
        keys = _VOLUME_SETTINGS if row["type"] == "VOLUME" else _FILESYSTEM_SETTINGS
        return {key: objects[key] for key in keys}

    def _from_above(self, parent: int | None, row: Row) -> dict[str, Object]:
        known = self._inherited.get(parent)
        if known is not None:
            return known
        objects = dict(DEFAULT_OBJECTS)
        for above in self.chain(row)[:-1]:
            for name, raw in orjson.loads(above["local"]).items():
                setting = BY_ZFS_NAME[name]
                if setting.inherits:
                    objects[setting.key] = setting_object(setting, raw, "INHERITED", above["name"])
        self._inherited[parent] = objects
        return objects

    def origin(self, row: Row) -> str:
        """The snapshot that this is a clone of, or an empty string."""
        if row["origin"] is None:
            return ""
        return str(self._db.value("select name from snapshot where pk = ?", (row["origin"],)) or "")


_FILESYSTEM_SETTINGS = tuple(setting.key for setting in SETTINGS if setting.filesystem)
_VOLUME_SETTINGS = tuple(setting.key for setting in SETTINGS if setting.volume)

_BOTH: tuple[tuple[str, Render], ...] = (
    ("used", lambda _, row: size_object(zfs.used_bytes(row))),
    ("usedbychildren", lambda _, row: size_object(row["child"])),
    ("usedbydataset", lambda _, row: size_object(row["head"])),
    ("usedbyrefreservation", lambda _, row: size_object(zfs.refreserved_bytes(row))),
    ("usedbysnapshots", lambda _, row: size_object(row["snaps"])),
    ("available", lambda builder, row: size_object(builder.available(row))),
    ("creation", lambda _, row: date_object(row["created_at"])),
    ("origin", lambda builder, row: text_object(builder.origin(row))),
    ("reservation", lambda _, row: limit_object(row["reservation"])),
    ("refreservation", lambda _, row: limit_object(row["refreservation"])),
)
_FILESYSTEM: tuple[tuple[str, Render], ...] = (
    *_BOTH,
    ("quota", lambda _, row: limit_object(row["quota"])),
    ("refquota", lambda _, row: limit_object(row["refquota"])),
)
_VOLUME: tuple[tuple[str, Render], ...] = (
    *_BOTH,
    ("volsize", lambda _, row: size_object(row["volsize"], "LOCAL")),
    ("volblocksize", lambda _, row: size_object(row["volblocksize"], "LOCAL")),
)
_ALIASES = {
    "keyformat": "key_format",
    "encryption": "encryption_algorithm",
    **{setting.zfs: setting.key for setting in SETTINGS},
}


@lru_cache(maxsize=1024)
def _chosen(names: tuple[str, ...], is_volume: bool) -> tuple[tuple[str, Render], ...]:
    """The renderers of the asked properties that this type has; the others stay absent."""
    renderers = dict(_VOLUME if is_volume else _FILESYSTEM)
    settings = _VOLUME_SETTINGS if is_volume else _FILESYSTEM_SETTINGS
    chosen: list[tuple[str, Render]] = []
    for name in dict.fromkeys(names):
        key = _ALIASES.get(name, name)
        if key in renderers:
            chosen.append((key, renderers[key]))
        elif key in FIXED_OBJECTS:
            chosen.append((key, lambda _, __, key=key: FIXED_OBJECTS[key]))  # type: ignore[misc]
        elif key in settings:
            chosen.append((key, lambda builder, row, key=key: builder.settings(row)[key]))  # type: ignore[misc]
    return tuple(chosen)


def dataset_entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:
    """The entries of rows of table `dataset`."""
    return Builder(ctx.db, extra).entries(rows)


def _special(field: str, op: str, value: Any, extra: Mapping[str, Any]) -> Condition | None:
    """Equality of a user property's value, and equality or prefix of the mount point, from an index."""
    if field == "mountpoint" and isinstance(value, str) and op in {"=", "^"} and value.startswith("/mnt/"):
        condition = ("name = ?", [value[5:]]) if op == "=" else prefix_range("name", value[5:])
        return f"(type = 'FILESYSTEM' and {condition[0]})", list(condition[1])
    path = split_path(field)
    if extra.get("retrieve_user_props", True) is False:
        return None
    if len(path) != 3 or path[0] != "user_properties" or path[2] not in {"value", "rawvalue", "parsed"}:
        return None
    key = path[1]
    if op != "=" or not isinstance(value, str) or key == "*" or key.startswith(RESERVED_PREFIXES):
        return None
    return "pk in (select dataset from dataset_property where key = ? and value = ?)", [key, value]


DATASETS = Source(
    type_name="PoolDataset",
    table="dataset",
    columns={"id": Column("name"), "name": Column("name"), "pool": Column("pool_name"), "type": Column("type")},
    entries=dataset_entries,
    special=_special,
)
