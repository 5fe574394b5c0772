"""pool.dataset.*: queries, create and delete (TrueNAS API 25.10)."""

from collections.abc import Generator, Sequence
from typing import Any

import orjson

from fake_truenas import dataset_ops, directories, pools, space, zfs
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry, run_query
from fake_truenas.dataset_entries import Builder, dataset_steps, query_source
from fake_truenas.dataset_ops import COLLECTION, ENOTEMPTY, NewDataset
from fake_truenas.dataset_params import (
    CREATE,
    DEFAULT_VOLBLOCKSIZE,
    Problems,
    check_acl_settings,
    check_type_fields,
    settings_of,
    user_properties_of,
    with_share_type,
)
from fake_truenas.errors import CallError, does_not_exist
from fake_truenas.properties import BY_ZFS_NAME, SIZE_COLUMNS, parse_size
from fake_truenas.query import QUERY_OPTIONS, QUERY_PARAMS
from fake_truenas.registry import Namespace
from fake_truenas.schema import Bool, Field, Obj, Str
from fake_truenas.steps import Steps
from fake_truenas.store import Row
from fake_truenas.volumes import mountpoint

datasets = Namespace("pool.dataset")
namespaces = (datasets,)

TOO_BIG = "It is not recommended to use more than 80% of your available space for VOLUME"
_FAILED = "Failed to create dataset: cannot create '{}'"
NOT_A_MULTIPLE = "Volume size should be a multiple of volume block size"


@datasets.method("query", *QUERY_PARAMS)
def query(ctx: Ctx, filters: list[Any], options: dict[str, Any]) -> Steps:
    """Datasets by filters; `extra` says how much of each is shown (`dataset_entries`)."""
    return run_query(ctx, query_source(ctx, filters, options["extra"]), filters, options)


@datasets.method("get_instance", Field("id", Str()), Field("options", QUERY_OPTIONS, default={}))
def get_instance(ctx: Ctx, name: str, options: dict[str, Any]) -> Generator[list[Any], None, Entry]:
    """One dataset.

    Raises:
        ValidationErrors: it does not exist (ENOENT), or TrueNAS keeps it for itself.
    """
    row = require(ctx, name)
    entries = yield from dataset_steps(ctx, [row], options["extra"])
    entry: Entry = entries[0]
    return entry


def entry_of(ctx: Ctx, name: str) -> Entry:
    """The full entry of a dataset that exists."""
    row = space.find(ctx.db, name)
    assert row is not None  # noqa: S101 - it was just written
    return Builder(ctx.db, {}).entry(row)


def require(ctx: Ctx, name: str) -> Row:
    """A dataset's row.

    Raises:
        ValidationErrors: it does not exist (ENOENT), or TrueNAS keeps it for itself.
    """
    row = None if zfs.is_internal(name) else space.find(ctx.db, name)
    if row is None:
        raise does_not_exist("PoolDataset", name)
    return row


@datasets.method("create", Field("data", CREATE))
def create(ctx: Ctx, data: Entry) -> Entry:
    """Create a file system or zvol; gives its full entry.

    Raises:
        ValidationErrors: a field, the name or the parent is wrong, or a FILESYSTEM of this name exists.
        CallError: a VOLUME of this name exists (EFAULT), or the space does not suffice.
    """
    data = with_share_type(data)
    name, is_volume = data["name"], data["type"] == "VOLUME"
    problems = Problems("pool_dataset_create")
    _check_name(problems, name)
    above = _above(ctx, problems, name, create_ancestors=data["create_ancestors"])
    existing = space.find(ctx.db, name)
    _check_fields(ctx, problems, data, above, existing)
    if data["create_ancestors"]:
        above = _create_ancestors(ctx, name, above)
    volblocksize = _volblocksize(data) if is_volume else 0
    new = NewDataset(
        name=name,
        type=data["type"],
        volsize_bytes=data.get("volsize", 0),
        volblocksize_bytes=volblocksize,
        sizes=_sizes(data, volblocksize),
        local=settings_of(data)[0],
        user_properties=user_properties_of(data, creating=True),
    )
    if existing is not None:
        raise CallError(f"{_FAILED.format(name)}: dataset already exists")
    _insert(ctx, new, above[-1])
    reserves = new.sizes["reservation"] or new.sizes["refreservation"]  # has changed the rows above
    row = space.find(ctx.db, name)
    assert row is not None  # noqa: S101 - it was just written
    entry = Builder(ctx.db, {}, () if reserves else above).new_entry(row)
    ctx.emit(COLLECTION, "added", name, entry)
    return entry


def _insert(ctx: Ctx, new: NewDataset, parent: Row) -> None:
    failed = _FAILED.format(new.name)
    for setting in new.local:
        if new.type == "VOLUME" and not BY_ZFS_NAME[setting].volume:
            raise CallError(f"{failed}: '{setting}' does not apply to datasets of this type")
    for key in new.user_properties:
        if problem := zfs.property_problem(key):
            raise CallError(f"{failed}: {problem}")
    try:
        dataset_ops.insert(ctx, new, parent, pools.next_txg(ctx.db, parent["pool"]))
    except zfs.OutOfSpaceError:
        raise CallError(f"{failed}: out of space") from None


def _check_name(problems: Problems, name: str) -> None:
    if "/" not in name:
        problems.add("name", "You need a full name, e.g. pool/newdataset")
    elif name[-1] == " " and zfs.name_problem(name.rstrip(" ")) is None:
        problems.add("name", "Trailing spaces are not permitted in dataset names")
    elif zfs.name_problem(name) is not None:
        problems.add("name", "Invalid dataset name")
    elif zfs.is_internal(name):
        text = f"{name!r} is using system internal managed dataset. Please specify a different parent."
        problems.add("name", text)
    problems.check()


def _above(ctx: Ctx, problems: Problems, name: str, *, create_ancestors: bool) -> list[Row]:
    """The datasets from the pool's root down to the parent, or with `create_ancestors` to the nearest one there is."""
    above = zfs.parent_name(name)
    parent = space.find(ctx.db, above)
    while create_ancestors and parent is None and "/" in above:
        above = zfs.parent_name(above)
        parent = space.find(ctx.db, above)
    if parent is None:
        missing = f"Parent dataset ({above}) does not exist." if "/" in above else f"zpool ({above}) does not exist."
        no_pool = "Please specify a pool which exists for the dataset/volume to be created"
        raise problems.refused("name", no_pool if create_ancestors else missing)
    rows = space.chain(ctx.db, parent)
    setting = next((row["local"] for row in reversed(rows) if '"readonly"' in row["local"]), "{}")
    if orjson.loads(setting).get("readonly") == "on":
        # The real one says the pool's name, where it means the dataset's.
        raise problems.refused("readonly", f"Turn off readonly mode on {above} to create {rows[0]['name']}")
    return rows


def _check_fields(ctx: Ctx, problems: Problems, data: Entry, above: Sequence[Row], existing: Row | None) -> None:
    name, is_volume = data["name"], data["type"] == "VOLUME"
    check_type_fields(problems, data, is_volume=is_volume)
    if is_volume:
        _check_volsize(ctx, problems, data, above)
    elif "acltype" in data or "aclmode" in data:
        inherited = Builder(ctx.db, {}).settings(above[-1])
        given = {**dict.fromkeys(("acltype", "aclmode"), "INHERIT"), **data}
        check_acl_settings(
            problems,
            *(
                inherited[key]["rawvalue"] if given[key] == "INHERIT" else given[key].lower()
                for key in ("acltype", "aclmode")
            ),
        )
    problems.check()
    if above[-1]["type"] == "VOLUME":
        problems.add("name", f"{above[-1]['name']}: parent may not be a ZFS volume")
    is_mounted = existing is not None and existing["type"] == "FILESYSTEM"
    if is_mounted or directories.is_in_the_way(ctx, name, above):  # before ZFS is asked
        problems.add("name", f"Path {mountpoint(name)} already exists")
    if data["encryption"]:
        if data["inherit_encryption"]:
            problems.add("inherit_encryption", "Must be disabled when encryption is enabled.")
        problems.add("encryption", "Encrypted datasets are not offered by this server")
    problems.check()


def _check_volsize(ctx: Ctx, problems: Problems, data: Entry, above: Sequence[Row]) -> None:
    volsize = data.get("volsize")
    if volsize is None:
        problems.add("volsize", "This field is required for VOLUME")
        return
    available = zfs.available_bytes(above, space.usable_bytes(ctx.db, above[-1]["pool"]))
    if volsize > available * 0.8 and not data.get("force_size", False):
        problems.add("volsize", TOO_BIG)
    if volsize % _volblocksize(data):
        problems.add("volsize", NOT_A_MULTIPLE)


def _volblocksize(data: Entry) -> int:
    return parse_size(str(data.get("volblocksize", DEFAULT_VOLBLOCKSIZE)))


def _create_ancestors(ctx: Ctx, name: str, above: list[Row]) -> list[Row]:
    """Make what is missing between the nearest dataset and the parent; ZFS does it, so nobody announces them."""
    parts = name.split("/")[:-1]
    for end in range(len(above) + 1, len(parts) + 1):
        path = "/".join(parts[:end])
        _insert(ctx, NewDataset(path, "FILESYSTEM"), above[-1])
        made = space.find(ctx.db, path)
        assert made is not None  # noqa: S101 - it was just written
        above = [*above, made]
    return above


def _sizes(data: Entry, volblocksize: int) -> dict[str, int]:
    sizes = {key: data.get(key) or 0 for key in SIZE_COLUMNS}
    if volblocksize and "refreservation" not in data and not data.get("sparse", False):
        sizes["refreservation"] = zfs.zvol_refreservation_bytes(data["volsize"], volblocksize)
    return sizes


@datasets.method(
    "delete",
    Field("id", Str()),
    Field("options", Obj(Field("recursive", Bool(), default=False), Field("force", Bool(), default=False)), default={}),
)
def delete(ctx: Ctx, name: str, options: dict[str, Any]) -> bool:
    """Destroy a dataset, and before it whatever shares or exports it; gives true.

    The shares, extents and namespaces are gone for good when ZFS then refuses: only child datasets are seen before.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
        CallError: ENOTEMPTY for child datasets; else see `dataset_ops.destroy`.
    """
    recursive = options["recursive"]
    row = space.find(ctx.db, name)
    if row is not None and not recursive and space.has_children(ctx.db, row["pk"]):
        raise CallError(f"Failed to delete dataset: cannot destroy '{name}': filesystem has children", ENOTEMPTY)
    if row is None or zfs.is_internal(name):
        raise does_not_exist("PoolDataset", name)
    family = dataset_ops.tree(ctx.db, row) if recursive else [row]
    in_use = dataset_ops.busy_names(ctx, family)
    for one in family:
        for hook in ctx.nas.hooks:
            hook.detach(ctx, one["name"])
    ctx.keep()
    dataset_ops.destroy(ctx, row, recursive=recursive, family=family, in_use=in_use)
    return True
