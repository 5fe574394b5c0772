"""Datasets and snapshots as zfs.resource.query and zfs.resource.snapshot.query show them (TrueNAS API 25.10, 26.0)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fake_truenas.context import Ctx
from fake_truenas.dataset_entries import Builder
from fake_truenas.properties import BY_ZFS_NAME, COMMENT_KEYS
from fake_truenas.store import Row
from fake_truenas.volumes import mountpoint
from fake_truenas.zfs_values import ENCRYPTION, Value, number, snapshot_values, value_object

Entry = dict[str, Any]

SPACE: Final = (
    "available", "used", "usedbysnapshots", "usedbydataset", "usedbyrefreservation", "usedbychildren",
)  # fmt: skip
"""What an empty list of properties asks for."""

_BUILT = (
    *SPACE, "creation", "origin", "reservation", "refreservation", "quota", "refquota", "volsize", "volblocksize",
    *BY_ZFS_NAME,
)  # fmt: skip
_COMMENT_NAMES = {zfs_key: key for key, zfs_key in COMMENT_KEYS.items()}


def snapshot_resource(ctx: Ctx, row: Row, options: Mapping[str, Any]) -> Entry:
    """One snapshot; `options` are those of zfs.resource.snapshot.query, missing ones are off."""
    db, pk = ctx.db, row["pk"]
    holds = user = None
    if options.get("get_holds"):
        rows = db.rows("select tag from snapshot_hold where snapshot = ? order by tag", (pk,))
        holds = [one["tag"] for one in rows] or None
    if options.get("get_user_properties"):
        own = db.rows("select key, value from snapshot_property where snapshot = ? order by key", (pk,))
        user = {one["key"]: one["value"] for one in own}
    names = options.get("properties")
    return {
        "createtxg": row["createtxg"],
        "guid": int(row["guid"]),
        "name": row["name"],
        "pool": row["pool_name"],
        "dataset": row["dataset_name"],
        "snapshot_name": row["short"],
        "type": "SNAPSHOT",
        "holds": holds,
        "properties": snapshot_values(row, names, sources=bool(options.get("get_source"))) if names else None,
        "user_properties": user,
    }


def dataset_resources(ctx: Ctx, rows: Sequence[Row], options: Mapping[str, Any]) -> list[Entry]:
    """Datasets, each without its children; `options` are those of zfs.resource.query."""
    wanted = options["properties"]
    names = [] if wanted is None else [name.lower() for name in wanted] or list(SPACE)
    extra = {"properties": names, "retrieve_user_props": options["get_user_properties"], "retrieve_children": False}
    builder = Builder(ctx.db, extra)
    return [_dataset_resource(builder, row, names, options) for row in rows]


def _dataset_resource(builder: Builder, row: Row, names: Sequence[str], options: Mapping[str, Any]) -> Entry:
    built, sources = builder.entry(row), options["get_source"]
    properties: dict[str, Value] = {}
    for name in dict.fromkeys(names):
        if name in ENCRYPTION:  # asking for one of them gives all
            properties.update((key, value_object(pair, sources=sources)) for key, pair in ENCRYPTION.items())
        elif name in _BUILT:
            setting = BY_ZFS_NAME.get(name)
            item = built.get(setting.key if setting is not None else name)
            if item is not None:
                properties[name] = value_object(
                    (item["rawvalue"], _typed(item["rawvalue"], name)),
                    sources=sources,
                    kind=item["source"],
                    where=item["source_info"],
                )
        elif (own := _own(row, name)) is not None:
            properties[name] = value_object(own, sources=sources)
    return {
        "createtxg": row["createtxg"],
        "guid": int(row["guid"]),
        "name": row["name"],
        "pool": row["pool_name"],
        "type": row["type"],
        "properties": properties,
        "user_properties": _user_properties(built) if options["get_user_properties"] else None,
        "children": None,
    }


def _typed(raw: str, name: str) -> Any:
    """What ZFS's text means: an integer for sizes, counts and times, null for no origin, else the text."""
    if name == "origin":
        return raw or None
    return int(raw) if raw.isascii() and raw.isdigit() else raw


def _own(row: Row, name: str) -> tuple[str, Any] | None:
    """Properties that pool.dataset.query does not have."""
    kind = row["type"].lower()
    own: dict[str, tuple[str, Any]] = {
        "type": (kind, kind),
        "createtxg": number(row["createtxg"]),
        "guid": number(int(row["guid"])),
        "referenced": number(row["referenced"]),
        "logicalreferenced": number(row["referenced"]),
    }
    if kind == "filesystem":
        own["mounted"] = "yes", "yes"
        own["mountpoint"] = mountpoint(row["name"]), mountpoint(row["name"])
    return own.get(name)


def _user_properties(built: Entry) -> dict[str, str]:
    """Those in force, inherited ones too; comments and the like under their short names."""
    found = {key: item["value"] for key, item in built["user_properties"].items()}
    found.update((key, built[key]["value"]) for key in _COMMENT_NAMES.values() if key in built)
    return found
