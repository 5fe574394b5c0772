"""zfs.resource.query (TrueNAS API 25.10)."""

from typing import Any

from fake_truenas import space, zfs
from fake_truenas.checked import Checked
from fake_truenas.context import Ctx
from fake_truenas.errors import invalid
from fake_truenas.registry import Namespace
from fake_truenas.schema import Bool, Field, List, Nullable, Obj, Str
from fake_truenas.store import Row
from fake_truenas.zfs_resource_entries import Entry, dataset_resources

_ENOENT = 2
_SCHEMA = "zfs.resource.query"

resource = Namespace("zfs.resource", since="25.10")
namespaces = (resource,)


PATHS = Checked(List(Str()), lambda paths: None if len(set(paths)) == len(paths) else "All items must be unique")
"""A parameter: names of datasets or snapshots, each once."""


def overlapping(paths: list[str]) -> bool:
    """Whether one of the datasets lies below another."""
    names = set(paths)
    for path in paths:
        above = zfs.parent_name(path)
        while above:
            if above in names:
                return True
            above = zfs.parent_name(above)
    return False


@resource.method(
    "query",
    Field(
        "data",
        Obj(
            Field("paths", PATHS, default=()),
            Field("properties", Nullable(List(Str())), default=()),
            Field("get_user_properties", Bool(), default=False),
            Field("get_source", Bool(), default=True),
            Field("nest_results", Bool(), default=False),
            Field("get_children", Bool(), default=False),
        ),
        default={},
    ),
)
def query(ctx: Ctx, data: dict[str, Any]) -> list[Entry]:
    """Datasets by their paths, or all; with `get_children` also all below them, nested with `nest_results`.

    Raises:
        ValidationErrors: a path is missing (ENOENT), is a snapshot's, is named twice, or lies below another one.
    """
    for path in data["paths"]:
        if "@" in path:
            raise invalid(_SCHEMA, "Use `zfs.resource.snapshot.query` to query snapshot information.")
    if data["get_children"] and overlapping(data["paths"]):
        text = "Paths must be non-overlapping - no path can be relative to another when get_children is set to True."
        raise invalid(_SCHEMA, text)
    entries = dataset_resources(ctx, _rows(ctx, data), data)
    if data["get_children"] or data["nest_results"]:
        for entry in entries:
            entry["children"] = []
    return _nest(entries) if data["nest_results"] else entries


def _rows(ctx: Ctx, data: dict[str, Any]) -> list[Row]:
    """The datasets asked for; TrueNAS's own ones only where a path names one."""
    asked = any(zfs.is_internal(path) for path in data["paths"])
    if not data["paths"]:
        found = ctx.db.rows("select * from dataset order by name")
    else:
        found = []
        for path in data["paths"]:
            row = space.find(ctx.db, path)
            if row is None:
                raise invalid(_SCHEMA, f"{path!r:.300} not found", _ENOENT)
            found.append(row)
            if data["get_children"]:
                found += ctx.db.rows(
                    "select * from dataset where name > ? and name < ? order by name", space.descendants_range(path)
                )
    return [row for row in found if asked or not zfs.is_internal(row["name"])]


def _nest(entries: list[Entry]) -> list[Entry]:
    """Each entry among the children of the nearest one above it that is there."""
    by_name = {entry["name"]: entry for entry in entries}
    roots: list[Entry] = []
    for entry in entries:
        above = zfs.parent_name(entry["name"])
        while above and above not in by_name:
            above = zfs.parent_name(above)
        (by_name[above]["children"] if above else roots).append(entry)
    return roots
