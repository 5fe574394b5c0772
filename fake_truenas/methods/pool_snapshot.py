"""pool.snapshot.*, which up to 25.04 is called zfs.snapshot (TrueNAS API 25.10)."""

from typing import Any

from fake_truenas import naming_schema, pools, snapshot_ops, space, zfs
from fake_truenas.context import Ctx
from fake_truenas.dataset_ops import EEXIST
from fake_truenas.dataset_params import PROPERTY_KEY, Problems
from fake_truenas.errors import RENAME_NEEDS_FORCE, CallError, Invalid, Unexpected, ValidationErrors, invalid
from fake_truenas.naming_schema import NAMING_SCHEMA
from fake_truenas.query import QUERY_OPTIONS, QUERY_PARAMS
from fake_truenas.registry import Namespace
from fake_truenas.schema import ABSENT, Bool, Field, List, Map, Obj, Str
from fake_truenas.snapshot_entries import HOLD_TAG, created_entry, get_snapshot, query_snapshots
from fake_truenas.store import Row

snapshots = Namespace("pool.snapshot", since="25.10")

_ENOENT = 2
_LONG = Str(max_length=None)
_RECURSIVE = Field("recursive", Bool(), default=False)
_ID = Field("id", Str())
_GET_INSTANCE = (_ID, Field("options", QUERY_OPTIONS, default={}))


def _require(ctx: Ctx, name: str, failed: str, text: str = "Snapshot {} not found") -> Row:
    """The snapshot's row, or the refusal of a method that fails as `failed`: 26.0 gives the same one for all."""
    row = snapshot_ops.find(ctx, name)
    if row is not None:
        return row
    if ctx.nas.persona.at_least("26.0"):
        raise Unexpected(LookupError(f"{name!r} not found"))
    raise CallError(f"{failed}: {text.format(name)}")


def _announce(ctx: Ctx, msg: str, name: str, fields: Any = None, extra: Any = None) -> None:
    collection = "pool.snapshot.query" if ctx.nas.persona.at_least("25.10") else "zfs.snapshot.query"
    ctx.emit(collection, msg, name, fields, extra)


@snapshots.method("query", *QUERY_PARAMS)
def query(ctx: Ctx, filters: list[Any], options: dict[str, Any]) -> Any:
    """Snapshots that match; `extra` chooses properties, holds, retention and bounds of the transaction group."""
    return query_snapshots(ctx, filters, options)


@snapshots.method("get_instance", *_GET_INSTANCE)
def get_instance(ctx: Ctx, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """One snapshot.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
    """
    return get_snapshot(ctx, name, options["extra"], "PoolSnapshot")


@snapshots.method(
    "create",
    Field(
        "data",
        Obj(
            Field("dataset", Str(min_length=1)),
            Field("name", Str(), ABSENT),
            Field("naming_schema", NAMING_SCHEMA, ABSENT),
            _RECURSIVE,
            Field("exclude", List(Str()), default=()),
            Field("vmware_sync", Bool(), default=False),
            Field("properties", Map(_LONG), default={}),
        ),
    ),
)
def create(ctx: Ctx, data: dict[str, Any]) -> dict[str, Any]:
    """Cut a snapshot of a dataset, with `recursive` also of all below it at the same instant; gives its entry.

    Raises:
        ValidationErrors: a bad name or property; from 26.0 on also EEXIST.
        CallError: EEXIST "dataset already exists" up to 25.10, EFAULT "Dataset x not found".
    """
    problems = Problems("snapshot_create")
    short = _short_name(ctx, problems, data)
    name = f"{data['dataset']}@{short}"
    if short is not None and (zfs.component_problem(short) or len(name) > zfs.MAX_NAME):
        problems.add("name", "Invalid snapshot name")
    _check_members(ctx, problems, data)
    problems.check()
    assert short is not None  # noqa: S101 - else there was a problem
    row = space.find(ctx.db, data["dataset"])
    if row is None:
        raise CallError(f"Failed to snapshot {name}: Dataset {data['dataset']} not found")
    members = snapshot_ops.members(ctx, row, recursive=data["recursive"], exclude=data["exclude"])
    if ctx.nas.persona.duplicate_snapshot_is_invalid and any(
        snapshot_ops.find(ctx, f"{member['name']}@{short}") is not None for member in members
    ):
        raise invalid("pool.snapshot.create", f"{short} already exists.", EEXIST)
    snapshot_ops.create(ctx, members, short, data["properties"])
    created = snapshot_ops.find(ctx, name)
    assert created is not None  # noqa: S101 - it was just cut
    entry = created_entry(ctx, created)
    _announce(ctx, "added", name, entry)
    return entry


def _short_name(ctx: Ctx, problems: Problems, data: dict[str, Any]) -> str | None:
    if "name" in data and "naming_schema" in data:
        problems.add("naming_schema", "You can't specify name and naming schema at the same time")
    elif "name" in data:
        return str(data["name"])
    elif "naming_schema" in data:
        return naming_schema.snapshot_name(data["naming_schema"], ctx.now())
    else:
        problems.add("naming_schema", "You must specify either name or naming schema")
    return None


def _check_members(ctx: Ctx, problems: Problems, data: dict[str, Any]) -> None:
    for key in data["properties"]:
        if ":" not in key:
            problems.add(f"properties.{key:.100}", "User property needs a colon (:) in its name")
    if not data["exclude"]:
        return
    if not data["recursive"] and not ctx.nas.persona.at_least("26.0"):
        problems.add("exclude", "This option has no sense for non-recursive snapshots")
    for key in ("vmware_sync", "properties"):
        if data[key]:
            problems.add(key, "This option is not supported when excluding datasets")


@snapshots.method("delete", _ID, Field("options", Obj(Field("defer", Bool(), default=False), _RECURSIVE), default={}))
def delete(ctx: Ctx, name: str, options: dict[str, Any]) -> bool:
    """Destroy a snapshot, or with `defer` as soon as its last clone and hold go; gives true.

    It is announced as removed even if it stays for now; those that `recursive` adds are not announced.

    Raises:
        ValidationErrors: it does not exist (ENOENT), or has clones and `defer` is off.
        CallError: EBUSY, it is held and `defer` is off.
    """
    top = snapshot_ops.find(ctx, name)
    if top is None:
        text = f"{name!r} not found" if ctx.nas.persona.at_least("26.0") else f"Snapshot {name} not found"
        raise ValidationErrors([Invalid(None, text, _ENOENT)])
    for row in reversed(snapshot_ops.family(ctx, top, recursive=options["recursive"])):
        snapshot_ops.delete(ctx, row, defer=options["defer"])
    _announce(ctx, "removed", name, None, {"recursive": options["recursive"]})
    return True


@snapshots.method(
    "clone",
    Field(
        "data",
        Obj(
            Field("snapshot", Str(min_length=1)),
            Field("dataset_dst", Str(min_length=1)),
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
            Field("user_properties_remove", List(PROPERTY_KEY), default=()),
        ),
    ),
)
def update(ctx: Ctx, name: str, data: dict[str, Any]) -> dict[str, Any] | None:
    """Set or remove user properties; gives the entry. From 26.0 on it does nothing at all and gives null.

    Raises:
        CallError: "Snapshot x not found".
    """
    if ctx.nas.persona.snapshot_update_is_ignored:
        return None
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
    return created_entry(ctx, row)


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
    """Give the dataset the snapshot's content again; with `recursive_rollback` also those below that have it.

    Raises:
        CallError: it does not exist, or newer snapshots or clones are in the way.
    """
    row = _require(ctx, name, "Failed to rollback snapshot", "cannot open '{}': dataset does not exist")
    roll_back(ctx, row, options)


def roll_back(ctx: Ctx, row: Row, options: dict[str, Any]) -> None:
    """Roll back with the options of pool.snapshot.rollback.

    Raises:
        CallError: newer snapshots or clones are in the way.
    """
    for one in snapshot_ops.family(ctx, row, recursive=options["recursive_rollback"]):
        snapshot_ops.rollback(ctx, one, recursive=options["recursive"], recursive_clones=options["recursive_clones"])
    pools.next_txg(ctx.db, ctx.db.value("select pool from dataset where pk = ?", (row["dataset"],)))


@snapshots.method("hold", _ID, Field("options", Obj(_RECURSIVE), default={}))
def hold(ctx: Ctx, name: str, options: dict[str, Any]) -> None:
    """Put the hold "truenas" on a snapshot: it cannot be destroyed until released.

    Raises:
        CallError: it does not exist, or is held already.
    """
    row = _require(ctx, name, "Failed to hold snapshot")
    snapshot_ops.hold(ctx, snapshot_ops.family(ctx, row, recursive=options["recursive"]), HOLD_TAG)


@snapshots.method("release", _ID, Field("options", Obj(_RECURSIVE), default={}))
def release(ctx: Ctx, name: str, options: dict[str, Any]) -> None:
    """Take all holds off, below only those that the snapshot itself has; one that is not held is no error.

    Raises:
        CallError: it does not exist.
    """
    row = _require(ctx, name, "Failed to release snapshot")
    family = snapshot_ops.family(ctx, row, recursive=options["recursive"])
    snapshot_ops.release(ctx, family, snapshot_ops.holds(ctx, row))


@snapshots.method("rename", _ID, Field("options", Obj(Field("new_name", Str()), Field("force", Bool(), default=False))))
def rename(ctx: Ctx, name: str, options: dict[str, Any]) -> None:
    """Rename a snapshot within its dataset; `new_name` is a full name.

    Raises:
        ValidationErrors: the new name is not valid, or `force` is off.
        CallError: it does not exist, or the new name is taken.
    """
    new_name = options["new_name"]
    dataset, _, short = new_name.rpartition("@")
    if zfs.component_problem(short) or zfs.name_problem(dataset):
        text = "Please provide a valid snapshot name according to ZFS standards i.e <dataset>@<snapshot>"
        raise invalid("options.new_name", text)
    if not options["force"]:
        raise invalid("pool.snapshot.rename.force", RENAME_NEEDS_FORCE)
    row = _require(ctx, name, "Failed to rename snapshot", "cannot open '{}': dataset does not exist")
    if dataset != row["dataset_name"] or len(new_name) > zfs.MAX_NAME:
        raise invalid("options.new_name", f"{new_name:.300} is not in dataset {row['dataset_name']}, or too long")
    snapshot_ops.rename(ctx, [row], short)


older = snapshots.alias("zfs.snapshot", until="26.0", private_since="25.10")
older.methods = [method for method in older.methods if method.name != "zfs.snapshot.get_instance"]


@older.method("get_instance", *_GET_INSTANCE)
def get_older_instance(ctx: Ctx, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """One snapshot.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
    """
    return get_snapshot(ctx, name, options["extra"], "ZFSSnapshot")


namespaces = (snapshots, older)
