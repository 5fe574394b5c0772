"""zfs.resource.snapshot.* (TrueNAS API 26.0). Every method takes one object; nothing is announced."""

from typing import Any

from fake_truenas import snapshot_ops, space, zfs
from fake_truenas.context import Ctx
from fake_truenas.dataset_ops import EBUSY, EEXIST
from fake_truenas.errors import CallError, ValidationErrors, invalid
from fake_truenas.methods.pool_snapshot import roll_back
from fake_truenas.methods.zfs_resource import PATHS, overlapping
from fake_truenas.registry import Namespace
from fake_truenas.schema import AnyOf, Bool, Field, Int, List, Map, Nullable, Obj, Str
from fake_truenas.snapshot_entries import HOLD_TAG
from fake_truenas.store import Row
from fake_truenas.zfs_resource_entries import Entry, snapshot_resource

resource = Namespace("zfs.resource.snapshot", since="26.0")
namespaces = (resource,)

_ENOENT = 2
_NAME = Str(min_length=1)
_LONG = Str(max_length=None)
_RECURSIVE = Field("recursive", Bool(), default=False)
# Would lift the protection of the system's own datasets; this server has none that it protects.
_BYPASS = Field("bypass", Bool(), default=False)
_PATHS = (Field("paths", PATHS, default=()), _RECURSIVE)
_PATH = Field("path", _NAME)


def _refused(method: str, text: str, errno: int = 22) -> ValidationErrors:
    return invalid(f"zfs.resource.snapshot.{method}", text, errno)


def _snapshot(ctx: Ctx, method: str, name: str, argument: str = "path") -> Row:
    if "@" not in name:
        raise _refused(method, f"{argument} must be a snapshot path (containing '@').")
    row = snapshot_ops.find(ctx, name)
    if row is None:
        raise _refused(method, f"{name!r:.300} not found", _ENOENT)
    return row


def _datasets(ctx: Ctx, method: str, data: dict[str, Any]) -> list[Row]:
    """The datasets asked for: pools' roots where no path is given, with `recursive` all below them too."""
    rows = [] if data["paths"] else ctx.db.rows("select * from dataset where parent is null order by name")
    for path in data["paths"]:
        if "@" in path:
            continue
        row = space.find(ctx.db, path)
        if row is None:
            raise _refused(method, f"{path!r:.300} not found", _ENOENT)
        rows.append(row)
    found = []
    for row in rows:
        found += snapshot_ops.members(ctx, row, recursive=data["recursive"])
    return found


def _check_paths(method: str, data: dict[str, Any]) -> None:
    if data["recursive"] and overlapping([path for path in data["paths"] if "@" not in path]):
        text = "Paths must be non-overlapping - no path can be relative to another when recursive is set to True."
        raise _refused(method, text)


@resource.method(
    "query",
    Field(
        "data",
        Obj(
            *_PATHS,
            Field("properties", Nullable(List(Str())), default=()),
            Field("get_user_properties", Bool(), default=False),
            Field("get_source", Bool(), default=False),
            Field("get_holds", Bool(), default=False),
            Field("min_txg", Int(), default=0),
            Field("max_txg", Int(), default=0),
        ),
        default={},
    ),
)
def query(ctx: Ctx, data: dict[str, Any]) -> list[Entry]:
    """Snapshots by their own paths and by their datasets'; without any path those of the pools' roots.

    Raises:
        ValidationErrors: a path is missing (ENOENT), is named twice, or with `recursive` lies below another one.
    """
    _check_paths("query", data)
    low, high = data["min_txg"], data["max_txg"] or (1 << 63) - 1
    rows = [_snapshot(ctx, "query", path) for path in data["paths"] if "@" in path]
    for dataset in _datasets(ctx, "query", data):
        rows += ctx.db.rows("select * from snapshot where dataset = ? order by createtxg, pk", (dataset["pk"],))
    return [snapshot_resource(ctx, row, data) for row in rows if low <= row["createtxg"] <= high]


@resource.method("count", Field("data", Obj(*_PATHS), default={}))
def count(ctx: Ctx, data: dict[str, Any]) -> dict[str, int]:
    """How many snapshots each dataset has; without any path only the pools' roots are counted.

    Raises:
        ValidationErrors: as query.
    """
    _check_paths("count", data)
    counts: dict[str, int] = {}
    for path in data["paths"]:
        if "@" in path:
            name = _snapshot(ctx, "count", path)["dataset_name"]
            counts[name] = counts.get(name, 0) + 1
    for row in _datasets(ctx, "count", data):
        counts[row["name"]] = ctx.db.value("select count(*) from snapshot where dataset = ?", (row["pk"],))
    return counts


@resource.method(
    "create",
    Field(
        "data",
        Obj(
            Field("dataset", _NAME),
            Field("name", _NAME),
            _RECURSIVE,
            Field("exclude", List(Str()), default=()),
            Field("user_properties", Map(_LONG), default={}),
            _BYPASS,
        ),
    ),
)
def create(ctx: Ctx, data: dict[str, Any]) -> Entry:
    """Cut a snapshot, with `recursive` of all below it too; gives its entry with `creation` and `createtxg`.

    Raises:
        ValidationErrors: a bad name or property, the dataset is missing (ENOENT), or the name is taken (EEXIST).
        CallError: the space does not suffice.
    """
    dataset, short = data["dataset"], data["name"]
    for key, value, what in (("dataset", dataset, "dataset path"), ("name", short, "snapshot name")):
        if "@" in value:
            raise _refused("create", f"{key} must be a {what} (not containing '@').")
    problem = zfs.component_problem(short)
    if problem:
        raise _refused("create", f"{short!r:.300}: {problem}")
    for key in data["user_properties"]:
        if ":" not in key:
            raise _refused("create", f"{key!r:.100} is not a user property: its name has no colon")
    row = space.find(ctx.db, dataset)
    if row is None:
        raise _refused("create", f"{dataset!r:.300} not found", _ENOENT)
    excluded = frozenset(data["exclude"])
    members = snapshot_ops.members(ctx, row, recursive=data["recursive"], exclude=data["exclude"])
    members = [member for member in members if member["name"] not in excluded]
    if not members:
        raise _refused("create", f"No datasets to snapshot - '{dataset}' and all children are excluded")
    for member in members:
        name = f"{member['name']}@{short}"
        if snapshot_ops.find(ctx, name) is not None:
            raise _refused("create", f"{name!r} already exists", EEXIST)
    snapshot_ops.create(ctx, members, short, data["user_properties"])
    cut = snapshot_ops.find(ctx, f"{members[0]['name']}@{short}")
    assert cut is not None  # noqa: S101 - it was just cut
    return snapshot_resource(ctx, cut, {"properties": ["creation", "createtxg"]})


@resource.method(
    "destroy",
    Field(
        "data",
        Obj(
            _PATH,
            _RECURSIVE,
            Field("all_snapshots", Bool(), default=False),
            Field("defer", Bool(), default=False),
            _BYPASS,
        ),
    ),
)
def destroy(ctx: Ctx, data: dict[str, Any]) -> None:
    """Destroy a snapshot, or with `all_snapshots` all those of a dataset; `recursive` adds the datasets below.

    Raises:
        ValidationErrors: not the kind of path that is meant, missing (ENOENT), or EBUSY: it has clones or holds and
            `defer` is off.
    """
    for row in reversed(_doomed(ctx, data)):
        found = {"clones": snapshot_ops.clones(ctx, row), "holds": snapshot_ops.holds(ctx, row)}
        for what, names in found.items():
            if names and not data["defer"]:
                raise _refused("destroy", f"{row['name']!r} has the following {what}: {', '.join(names)}", EBUSY)
        snapshot_ops.delete(ctx, row, defer=data["defer"])


def _doomed(ctx: Ctx, data: dict[str, Any]) -> list[Row]:
    path = data["path"]
    if not data["all_snapshots"]:
        if "@" not in path:
            text = "Use all_snapshots=True to destroy all snapshots for a dataset."
            raise _refused("destroy", f"Path must be a snapshot path (containing '@'). {text}")
        return snapshot_ops.family(ctx, _snapshot(ctx, "destroy", path), recursive=data["recursive"])
    if "@" in path:
        raise _refused("destroy", "When all_snapshots is True, path must be a dataset path (no '@').")
    found = []
    for dataset in _datasets(ctx, "destroy", {"paths": [path], "recursive": data["recursive"]}):
        found += ctx.db.rows("select * from snapshot where dataset = ? order by createtxg, pk", (dataset["pk"],))
    return found


@resource.method(
    "clone",
    Field(
        "data",
        Obj(
            Field("snapshot", _NAME),
            Field("dataset", _NAME),
            Field("properties", Map(AnyOf(Int(), _LONG)), default={}),
            _BYPASS,
        ),
    ),
)
def clone(ctx: Ctx, data: dict[str, Any]) -> None:
    """Make a dataset from a snapshot.

    Raises:
        ValidationErrors: not the kind of path that is meant, missing (ENOENT), or the name is taken (EEXIST).
        CallError: see `snapshot_ops.clone`.
    """
    if "@" in data["dataset"]:
        raise _refused("clone", "dataset must be a dataset path (not containing '@').")
    row = _snapshot(ctx, "clone", data["snapshot"], "snapshot")
    if space.find(ctx.db, data["dataset"]) is not None:
        raise _refused("clone", f"{data['dataset']!r} already exists", EEXIST)
    properties = {key: str(value) for key, value in data["properties"].items()}
    snapshot_ops.clone(ctx, row, data["dataset"], properties)


@resource.method("hold", Field("data", Obj(_PATH, Field("tag", _NAME, default=HOLD_TAG), _RECURSIVE, _BYPASS)))
def hold(ctx: Ctx, data: dict[str, Any]) -> None:
    """Put a hold of any tag on a snapshot.

    Raises:
        ValidationErrors: not a snapshot's path, or missing (ENOENT).
        CallError: EINVAL, it has the tag already.
    """
    row = _snapshot(ctx, "hold", data["path"])
    snapshot_ops.hold(ctx, snapshot_ops.family(ctx, row, recursive=data["recursive"]), data["tag"])


@resource.method("holds", Field("data", Obj(_PATH)))
def holds(ctx: Ctx, data: dict[str, Any]) -> list[str]:
    """The tags that hold a snapshot.

    Raises:
        ValidationErrors: not a snapshot's path, or missing (ENOENT).
    """
    return snapshot_ops.holds(ctx, _snapshot(ctx, "holds", data["path"]))


@resource.method("release", Field("data", Obj(_PATH, Field("tag", Nullable(Str()), default=None), _RECURSIVE, _BYPASS)))
def release(ctx: Ctx, data: dict[str, Any]) -> None:
    """Take one tag off, or all; what is not there is no error.

    Raises:
        ValidationErrors: not a snapshot's path, or missing (ENOENT).
    """
    row = _snapshot(ctx, "release", data["path"])
    for one in snapshot_ops.family(ctx, row, recursive=data["recursive"]):
        tags = snapshot_ops.holds(ctx, one) if data["tag"] is None else [data["tag"]]
        snapshot_ops.release(ctx, [one], tags)


@resource.method(
    "rename", Field("data", Obj(Field("current_name", _NAME), Field("new_name", _NAME), _RECURSIVE, _BYPASS))
)
def rename(ctx: Ctx, data: dict[str, Any]) -> None:
    """Rename a snapshot within its dataset; both names are full ones.

    Raises:
        ValidationErrors: not snapshots' paths, of another dataset, missing (ENOENT), or taken (EEXIST).
    """
    current, new_name = data["current_name"], data["new_name"]
    for key in ("current_name", "new_name"):
        if "@" not in data[key]:
            raise _refused("rename", f"{key} must be a snapshot path (containing '@').")
    dataset, (new_dataset, _, short) = current.rpartition("@")[0], new_name.rpartition("@")
    if dataset != new_dataset:
        text = f"Cannot rename snapshot to a different dataset. Dataset must remain '{dataset:.300}'."
        raise _refused("rename", text)
    row = _snapshot(ctx, "rename", current)
    problem = zfs.component_problem(short)
    if problem:
        raise _refused("rename", f"{short!r:.300}: {problem}")
    if snapshot_ops.find(ctx, new_name) is not None:
        raise _refused("rename", f"{new_name!r} already exists", EEXIST)
    snapshot_ops.rename(ctx, snapshot_ops.family(ctx, row, recursive=data["recursive"]), short)


@resource.method(
    "rollback",
    Field(
        "data",
        Obj(
            _PATH,
            _RECURSIVE,
            Field("recursive_clones", Bool(), default=False),
            Field("force", Bool(), default=False),
            Field("recursive_rollback", Bool(), default=False),
            _BYPASS,
        ),
    ),
)
def rollback(ctx: Ctx, data: dict[str, Any]) -> None:
    """Give the dataset the snapshot's content again; options as in pool.snapshot.rollback.

    Raises:
        ValidationErrors: not a snapshot's path, missing (ENOENT), or newer snapshots or clones are in the way.
    """
    row = _snapshot(ctx, "rollback", data["path"])
    try:
        roll_back(ctx, row, data)
    except CallError as error:
        raise _refused("rollback", error.text, 22 if error.errno == 14 else error.errno) from None
