"""pool.snapshot.* (TrueNAS API 25.10)."""

from datetime import UTC, datetime
from typing import Any

from fake_truenas import dataset_ops, pools, snapshot_ops, space, zfs
from fake_truenas.context import Ctx
from fake_truenas.crud import add_queries
from fake_truenas.dataset_params import PROPERTY_KEY
from fake_truenas.errors import CallError, does_not_exist, invalid
from fake_truenas.registry import Namespace
from fake_truenas.schema import ABSENT, Bool, Field, List, Map, Obj, Str
from fake_truenas.snapshot_entries import HOLD_TAG, SNAPSHOTS, snapshot_entries
from fake_truenas.store import Row

snapshots = Namespace("pool.snapshot", since="25.10")

COLLECTION = "pool.snapshot.query"
_LONG = Str(max_length=None)
_RECURSIVE = Field("recursive", Bool(), default=False)
_ID = Field("id", Str())

add_queries(snapshots, SNAPSHOTS, Str())


def _require(ctx: Ctx, name: str) -> Row:
    row = snapshot_ops.find(ctx, name)
    if row is None:
        raise does_not_exist("PoolSnapshot", name)
    return row


def _entry(ctx: Ctx, name: str) -> dict[str, Any]:
    return snapshot_entries(ctx, [_require(ctx, name)], {})[0]


@snapshots.method(
    "create",
    Field(
        "data",
        Obj(
            Field("dataset", Str()),
            Field("name", Str(), ABSENT),
            Field("naming_schema", Str(), ABSENT),
            _RECURSIVE,
            Field("exclude", List(Str()), default=()),
            Field("vmware_sync", Bool(), default=False),
            Field("suspend_vms", Bool(), default=False),
            Field("properties", Map(_LONG), default={}),
        ),
    ),
)
def create(ctx: Ctx, data: dict[str, Any]) -> dict[str, Any]:
    """Cut a snapshot of a dataset, with `recursive` also of all below it at the same instant; gives its entry.

    Raises:
        ValidationErrors: a bad name or property.
        CallError: EEXIST "dataset already exists", EFAULT "Dataset x not found".
    """
    short = _short_name(ctx, data)
    name = f"{data['dataset']}@{short}"
    problem = zfs.component_problem(short)
    if problem or len(name) > zfs.MAX_NAME:
        raise invalid("snapshot_create.name", f"Invalid snapshot name: {problem or 'too long'}")
    for key in data["properties"]:
        if ":" not in key:
            raise invalid(f"snapshot_create.properties.{key:.100}", "User property needs a colon (:) in its name")
    if data["exclude"] and not data["recursive"]:
        raise invalid("snapshot_create.exclude", "This option has no sense for non-recursive snapshots")
    for key in ("vmware_sync", "properties"):
        if data["exclude"] and data[key]:
            raise invalid(f"snapshot_create.{key}", "This option is not supported when excluding datasets")
    row = space.find(ctx.db, data["dataset"])
    if row is None:
        raise CallError(f"Failed to snapshot {name}: Dataset {data['dataset']} not found")
    members = snapshot_ops.members(ctx, row, recursive=data["recursive"], exclude=data["exclude"])
    snapshot_ops.create(ctx, members, short, data["properties"])
    entry = _entry(ctx, name)
    ctx.emit(COLLECTION, "added", name, entry, {"recursive": data["recursive"]})
    return entry


def _short_name(ctx: Ctx, data: dict[str, Any]) -> str:
    if "name" in data and "naming_schema" in data:
        raise invalid("snapshot_create.naming_schema", "You can't specify name and naming schema at the same time")
    if "name" in data:
        return str(data["name"])
    if "naming_schema" not in data:
        raise invalid("snapshot_create.naming_schema", "You must specify either name or naming schema")
    try:
        return datetime.fromtimestamp(ctx.now(), UTC).strftime(data["naming_schema"])
    except ValueError:  # an embedded null character, or a directive that the C library refuses
        raise invalid("snapshot_create.naming_schema", "Invalid naming schema") from None


def _family(ctx: Ctx, row: Row, *, recursive: bool) -> list[Row]:
    """The snapshot, with `recursive` also those of the same short name below its dataset."""
    if not recursive:
        return [row]
    below = ctx.db.rows(
        "select * from snapshot where short = ? and dataset_name > ? and dataset_name < ? order by name",
        (row["short"], *space.descendants_range(row["dataset_name"])),
    )
    return [row, *below]


@snapshots.method("delete", _ID, Field("options", Obj(Field("defer", Bool(), default=False), _RECURSIVE), default={}))
def delete(ctx: Ctx, name: str, options: dict[str, Any]) -> bool:
    """Destroy a snapshot, or with `defer` as soon as its last clone goes; gives true.

    Raises:
        ValidationErrors: it does not exist (ENOENT), or has clones and `defer` is off.
        CallError: EBUSY, it is held.
    """
    for row in reversed(_family(ctx, _require(ctx, name), recursive=options["recursive"])):
        snapshot_ops.delete(ctx, row, defer=options["defer"])
    if snapshot_ops.find(ctx, name) is None:
        ctx.emit(COLLECTION, "removed", name, None, {"recursive": options["recursive"]})
    return True


@snapshots.method(
    "clone",
    Field(
        "data",
        Obj(
            Field("snapshot", Str()),
            Field("dataset_dst", Str()),
            Field("dataset_properties", Map(_LONG), default={}),
        ),
    ),
)
def clone(ctx: Ctx, data: dict[str, Any]) -> bool:
    """Make a dataset from a snapshot; gives true.

    Raises:
        CallError: EFAULT "Failed to clone snapshot: ...".
    """
    row = snapshot_ops.find(ctx, data["snapshot"])
    if row is None:
        raise CallError(f"Failed to clone snapshot: Snapshot {data['snapshot']} not found")
    snapshot_ops.clone(ctx, row, data["dataset_dst"], data["dataset_properties"])
    ctx.emit("pool.dataset.query", "added", data["dataset_dst"])
    return True


@snapshots.method(
    "update",
    _ID,
    Field(
        "data",
        Obj(
            Field("user_properties_update", List(Obj(Field("key", PROPERTY_KEY), Field("value", _LONG))), default=()),
            Field("user_properties_remove", List(Str()), default=()),
        ),
    ),
)
def update(ctx: Ctx, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """Set or remove user properties; gives the entry.

    Raises:
        CallError: "Snapshot x not found".
    """
    row = snapshot_ops.find(ctx, name)
    if row is None:
        raise CallError(f"Snapshot {name} not found")
    for item in data["user_properties_update"]:
        ctx.db.run(
            "insert into snapshot_property (snapshot, key, value) values (?, ?, ?)"
            " on conflict do update set value = excluded.value",
            (row["pk"], item["key"], item["value"]),
        )
    for key in data["user_properties_remove"]:
        ctx.db.run("delete from snapshot_property where snapshot = ? and key = ?", (row["pk"], key))
    entry = _entry(ctx, name)
    ctx.emit(COLLECTION, "changed", name, entry)
    return entry


@snapshots.method(
    "rollback",
    _ID,
    Field(
        "options",
        Obj(
            _RECURSIVE,
            Field("recursive_clones", Bool(), default=False),
            Field("force", Bool(), default=False),
            Field("recursive_rollback", Bool(), default=False),
        ),
        default={},
    ),
)
def rollback(ctx: Ctx, name: str, options: dict[str, Any]) -> None:
    """Give the dataset the snapshot's content again.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
        CallError: newer snapshots or clones are in the way.
    """
    row = _require(ctx, name)
    for one in _family(ctx, row, recursive=options["recursive_rollback"]):
        snapshot_ops.rollback(ctx, one, recursive=options["recursive"], recursive_clones=options["recursive_clones"])
    pools.next_txg(ctx.db, ctx.db.value("select pool from dataset where pk = ?", (row["dataset"],)))


@snapshots.method("hold", _ID, Field("options", Obj(_RECURSIVE), default={}))
def hold(ctx: Ctx, name: str, options: dict[str, Any]) -> None:
    """Put the hold "truenas" on a snapshot: it cannot be destroyed until released.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
        CallError: it is held already.
    """
    for row in _family(ctx, _require(ctx, name), recursive=options["recursive"]):
        if _is_held(ctx, row):
            raise CallError(f"Failed to hold snapshot: cannot hold '{row['name']}': tag already exists on this dataset")
        ctx.db.run(
            "insert into snapshot_hold (snapshot, tag, held_at) values (?, ?, ?)", (row["pk"], HOLD_TAG, int(ctx.now()))
        )


@snapshots.method("release", _ID, Field("options", Obj(_RECURSIVE), default={}))
def release(ctx: Ctx, name: str, options: dict[str, Any]) -> None:
    """Take the hold "truenas" off; a deferred snapshot without clones disappears then.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
        CallError: it is not held.
    """
    for row in _family(ctx, _require(ctx, name), recursive=options["recursive"]):
        if not _is_held(ctx, row):
            raise CallError(f"Failed to release snapshot: cannot release '{row['name']}': no such tag on this dataset")
        ctx.db.run("delete from snapshot_hold where snapshot = ? and tag = ?", (row["pk"], HOLD_TAG))
        if row["deferred"]:
            dataset_ops.release_deferred(ctx, row)


def _is_held(ctx: Ctx, row: Row) -> bool:
    sql = "select 1 from snapshot_hold where snapshot = ? and tag = ?"
    return ctx.db.value(sql, (row["pk"], HOLD_TAG)) is not None


@snapshots.method(
    "rename",
    _ID,
    Field("options", Obj(Field("new_name", Str()), Field("force", Bool(), default=False), _RECURSIVE)),
)
def rename(ctx: Ctx, name: str, options: dict[str, Any]) -> None:
    """Rename a snapshot within its dataset; `new_name` is a full name.

    Raises:
        ValidationErrors: it does not exist, the new name is not valid, or `force` is off.
        CallError: the new name is taken.
    """
    row, new_name = _require(ctx, name), options["new_name"]
    if not options["force"]:
        raise invalid("options.force", "No safety checks are made when a snapshot is renamed: set force to do it")
    dataset, _, short = new_name.rpartition("@")
    problem = zfs.component_problem(short)
    if problem or dataset != row["dataset_name"] or len(new_name) > zfs.MAX_NAME:
        raise invalid(
            "options.new_name", f"Invalid snapshot name '{new_name:.300}': {problem or 'not in the same dataset'}"
        )
    for one in _family(ctx, row, recursive=options["recursive"]):
        target = f"{one['dataset_name']}@{short}"
        if snapshot_ops.find(ctx, target) is not None:
            raise CallError(f"Failed to rename snapshot: cannot rename to '{target}': dataset already exists")
        ctx.db.run("update snapshot set name = ?, short = ? where pk = ?", (target, short, one["pk"]))


namespaces = (snapshots, snapshots.alias("zfs.snapshot", until="26.0", private_since="25.10"))
