"""Datasets as pool.dataset.query shows them. Only the properties asked for are built."""

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import orjson

from fake_truenas import space, zfs
from fake_truenas.context import Ctx
from fake_truenas.crud import Source
from fake_truenas.errors import CallError, invalid
from fake_truenas.plan import Column, Condition, prefix_range
from fake_truenas.properties import (
    BY_ZFS_NAME,
    COMMENTS_BY_ZFS_NAME,
    DEFAULT_OBJECTS,
    FIXED_OBJECTS,
    SETTINGS,
    Object,
    date_object,
    limit_object,
    setting_object,
    size_object,
    text_object,
)
from fake_truenas.query import split_path
from fake_truenas.snapshot_entries import snapshot_entries
from fake_truenas.steps import AT_ONCE, CHUNK, Reader, Steps, complete
from fake_truenas.store import Row, Store
from fake_truenas.tables import INTERNAL_SQL

Entry = dict[str, Any]
Render = Callable[["Builder", Row], Object]

MAX_NESTED = 100_000
"""How many entries a few hundred others may have in `children`, at any depth."""


class Builder:
    """Builds entries of one call; remembers the ancestors that siblings share.

    Args:
        db: the store.
        extra: the query's `extra`.
        above: rows from a pool's root down to the parent of what will be built, if known and current.
        list_snapshots: gives the entries of a dataset's snapshots; without it none are listed.

    Raises:
        ValidationErrors: `extra` has something else where a list should be.
    """

    def __init__(
        self, db: Store, extra: Mapping[str, Any], above: Sequence[Row] = (),
        list_snapshots: Callable[[Row], list[Entry]] | None = None,
    ) -> None:  # fmt: skip
        self._db = db
        wanted = names_in(extra, "properties", None)
        self._wanted = None if wanted is None else tuple(wanted)
        self._with_children = extra.get("retrieve_children", True) is not False
        self._with_user_props = extra.get("retrieve_user_props", True) is not False
        self._count_snapshots = bool(extra.get("snapshots_count"))
        self._list_snapshots = list_snapshots if extra.get("snapshots") else None
        self._chains: dict[int, list[Row]] = {row["pk"]: [*above[: place + 1]] for place, row in enumerate(above)}
        self._usable: dict[int, int] = {}
        self._left: dict[int, int] = {}
        self._settings: dict[tuple[int | None, str, str], dict[str, Object]] = {}
        self._properties: dict[int, list[Row]] = {}
        self._childless: set[int] = set()
        self._nested = self._since_pause = 0

    def entries(self, rows: Sequence[Row]) -> Steps:
        """The entries of rows, in their order; pauses are between what their children take.

        Raises:
            CallError: E2BIG, there are too many below them.
        """
        self._read_ahead(rows)
        entries = [self._bare(row) for row in rows]
        if self._with_children:
            for row, entry in zip(rows, entries, strict=True):
                if row["pk"] not in self._childless and space.has_children(self._db, row["pk"]):
                    yield from self._add_children(row, entry)
        return entries

    def _read_ahead(self, rows: Sequence[Row]) -> None:
        """Read in one statement each what rows would read one by one: user properties, and which have children."""
        if len(rows) < 2:
            return
        pks = orjson.dumps([row["pk"] for row in rows]).decode()
        if self._with_user_props:
            self._properties = {row["pk"]: [] for row in rows}
            found = self._db.rows(
                "select dataset, key, value, source from dataset_property"
                " where dataset in (select value from json_each(?)) order by dataset, key",
                (pks,),
            )
            for row in found:
                self._properties[row[0]].append(row)
        if self._with_children:
            having = self._db.rows(
                "select distinct parent from dataset where parent in (select value from json_each(?))", (pks,)
            )
            parents = {row[0] for row in having}
            self._childless = {row["pk"] for row in rows if row["pk"] not in parents}

    def entry(self, row: Row) -> Entry:
        """One entry, with its children unless they are not wanted."""
        entry: Entry = complete(self.entries([row]))[0]
        return entry

    def new_entry(self, row: Row) -> Entry:
        """The entry of a dataset that has just been made, and so has no children."""
        return self._bare(row)

    def _add_children(self, row: Row, entry: Entry) -> Steps:
        bounds = space.descendants_range(row["name"])
        reader = Reader(self._db, "*", "dataset", " where name > ? and name < ?", bounds, order="name", key="pk")
        built = {row["pk"]: entry}
        while True:
            if self._since_pause >= AT_ONCE * CHUNK and reader.settle():
                yield []
                self._forget()
            below = reader.read()
            if not below:
                break
            self._since_pause += len(below)
            self._nested += len(below)
            if self._nested > MAX_NESTED:
                text = f"More than {MAX_NESTED} datasets below {row['name']}: ask with `extra.retrieve_children` false"
                raise CallError(text, errno.E2BIG)
            self._read_ahead(below)
            for child in below:  # a parent's name sorts before its children's
                parent = built.get(child["parent"])  # None: moved, or gone, meanwhile
                if parent is not None and not zfs.is_internal(child["name"]):
                    built[child["pk"]] = self._bare(child)
                    parent["children"].append(built[child["pk"]])
        return []

    def _forget(self) -> None:
        """After a pause: what was remembered of ancestors and pools may have changed."""
        self._since_pause = 0
        for known in (self._chains, self._usable, self._left, self._settings):
            known.clear()

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
        if self._count_snapshots or self._list_snapshots is not None:
            self._add_snapshots(row, entry)
        return entry

    def _add_snapshots(self, row: Row, entry: Entry) -> None:
        if self._count_snapshots:
            entry["snapshot_count"] = self._db.value("select count(*) from snapshot where dataset = ?", (row["pk"],))
        if self._list_snapshots is not None:
            entry["snapshots"] = self._list_snapshots(row)

    def _user_properties(self, row: Row, entry: Entry) -> dict[str, Object]:
        result: dict[str, Object] = {}
        pk = row["pk"]
        found = self._properties.get(pk)
        if found is None:
            found = self._db.rows(
                "select dataset, key, value, source from dataset_property where dataset = ? order by key", (pk,)
            )
        for _, key, value, source in found:
            if source == pk:
                item = text_object(value, "LOCAL")
            else:
                item = text_object(value, "INHERITED", self._name(row, source))
            if key in COMMENTS_BY_ZFS_NAME:
                entry[COMMENTS_BY_ZFS_NAME[key]] = item
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
        parent = row["parent"]
        if parent is None or row["reservation"] or row["quota"]:
            return zfs.own_available_bytes(row, self._tree_available(row))
        left = self._left.get(parent)
        if left is None:
            left = self._left[parent] = self._tree_available(self.chain(row)[-2])
        return zfs.own_available_bytes(row, left)

    def _tree_available(self, row: Row) -> int:
        pool = row["pool"]
        usable = self._usable.get(pool)
        if usable is None:
            usable = self._usable[pool] = space.usable_bytes(self._db, pool)
        return zfs.tree_available_bytes(self.chain(row), usable)

    def settings(self, row: Row) -> dict[str, Object]:
        """The inheritable properties in force here, by entry key; shared, so not to be changed."""
        kind = row["parent"], row["type"], row["local"]
        known = self._settings.get(kind)
        if known is not None:
            return known
        above = self.chain(row)[:-1]
        set_above = tuple((one["name"], one["local"]) for one in above if one["local"] != _NONE)
        self._settings[kind] = _in_force(set_above, row["type"] == "VOLUME", row["local"])
        return self._settings[kind]

    def origin(self, row: Row) -> str:
        """The snapshot that this is a clone of, or an empty string."""
        if row["origin"] is None:
            return ""
        return str(self._db.value("select name from snapshot where pk = ?", (row["origin"],)) or "")


_FILESYSTEM_SETTINGS = tuple(setting.key for setting in SETTINGS if setting.filesystem)
_VOLUME_SETTINGS = tuple(setting.key for setting in SETTINGS if setting.volume)

_NONE = "{}"


@lru_cache(maxsize=1024)
def _in_force(above: tuple[tuple[str, str], ...], is_volume: bool, local: str) -> dict[str, Object]:
    """The inheritable properties in force at a dataset, by entry key.

    Args:
        above: name and column `local` of each dataset above it that sets any, from the root down.
        is_volume: whether it is a zvol.
        local: its own column.
    """
    objects = dict(DEFAULT_OBJECTS)
    for dataset, settings in above:
        for name, raw in orjson.loads(settings).items():
            setting = BY_ZFS_NAME[name]
            if setting.inherits:
                objects[setting.key] = setting_object(setting, raw, "INHERITED", dataset)
    for name, raw in orjson.loads(local).items():
        setting = BY_ZFS_NAME[name]
        objects[setting.key] = setting_object(setting, raw, "LOCAL", None)
    return {key: objects[key] for key in (_VOLUME_SETTINGS if is_volume else _FILESYSTEM_SETTINGS)}


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


def names_in(extra: Mapping[str, Any], key: str, absent: list[str] | None) -> list[str] | None:
    """A list of names in a query's `extra`; null stays None.

    Raises:
        ValidationErrors: it is something else.
    """
    names = extra.get(key, absent)
    if names is not None and not isinstance(names, (list, tuple)):
        raise invalid(f"options.extra.{key}", "Input should be a valid list")
    return None if names is None else [str(name) for name in names]


_SNAPSHOT_KEYS = ("pool", "name", "type", "snapshot_name", "dataset", "id", "createtxg")


def dataset_entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:
    """The entries of rows of table `dataset`."""
    entries: list[Entry] = complete(dataset_steps(ctx, rows, extra))
    return entries


def dataset_steps(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> Steps:
    """The same in steps."""
    if not extra.get("snapshots"):
        return Builder(ctx.db, extra).entries(rows)
    properties = names_in(extra, "snapshots_properties", [])
    keys = _SNAPSHOT_KEYS if properties == [] else (*_SNAPSHOT_KEYS, "properties")

    def list_snapshots(row: Row) -> list[Entry]:
        found = ctx.db.rows("select * from snapshot where dataset = ? order by createtxg, pk", (row["pk"],))
        entries = snapshot_entries(ctx, found, {"properties": properties})
        return [{key: entry[key] for key in keys} for entry in entries]

    return Builder(ctx.db, extra, list_snapshots=list_snapshots).entries(rows)


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
    if op != "=" or not isinstance(value, str) or key == "*" or key in COMMENTS_BY_ZFS_NAME:
        return None
    return "pk in (select dataset from dataset_property where key = ? and value = ?)", [key, value]


DATASETS = Source(
    type_name="PoolDataset",
    table="dataset",
    columns={"id": Column("name"), "name": Column("name"), "pool": Column("pool_name"), "type": Column("type")},
    entries=dataset_entries,
    steps=dataset_steps,
    special=_special,
)

_INTERNAL_ONES = f"select pk from dataset where {INTERNAL_SQL}"  # noqa: S608 - a constant


def query_source(ctx: Ctx, filters: Sequence[Any], extra: Mapping[str, Any]) -> Source:
    """What a query goes through: all datasets but those that TrueNAS keeps for itself.

    Filters see every dataset. Without them, `flat: false` shows the pools' root datasets only, with the others nested
    in `children`, and so does `retrieve_children: false`, which does not look below them.
    """
    conditions: list[Condition] = []
    if ctx.db.value(f"{_INTERNAL_ONES} limit 1") is not None:  # hardly ever, and the index on them knows
        conditions.append((f"pk not in ({_INTERNAL_ONES})", []))
    if not filters and (extra.get("flat", True) is False or extra.get("retrieve_children", True) is False):
        conditions.append(("parent is null", []))
    return replace(DATASETS, scope=lambda _: conditions) if conditions else DATASETS
