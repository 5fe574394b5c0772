"""pool.dataset.* (TrueNAS API 25.10)."""

from collections.abc import Sequence
from typing import Any

import orjson

from fake_truenas import dataset_ops, pools, space, zfs
from fake_truenas.context import Ctx
from fake_truenas.crud import add_queries
from fake_truenas.dataset_entries import DATASETS, Builder
from fake_truenas.dataset_ops import COLLECTION, NewDataset
from fake_truenas.dataset_params import (
    CREATE,
    DEFAULT_VOLBLOCKSIZE,
    UPDATE,
    Problems,
    check_type_fields,
    settings_of,
    user_properties_of,
)
from fake_truenas.errors import CallError, does_not_exist, invalid
from fake_truenas.properties import SIZE_COLUMNS, parse_size
from fake_truenas.registry import Namespace
from fake_truenas.schema import Bool, Field, Obj, Str
from fake_truenas.store import Row

datasets = Namespace("pool.dataset")
namespaces = (datasets,)

add_queries(datasets, DATASETS, Str())

_TOO_BIG = "It is not recommended to use more than 80% of your available space for VOLUME; force_size overrides this"


def _entry(ctx: Ctx, name: str, above: Sequence[Row] = ()) -> dict[str, Any]:
    row = space.find(ctx.db, name)
    assert row is not None  # noqa: S101 - it was just written
    return Builder(ctx.db, {}, above).entry(row)


def _require(ctx: Ctx, name: str) -> Row:
    row = space.find(ctx.db, name)
    if row is None:
        raise does_not_exist("PoolDataset", name)
    return row


@datasets.method("create", Field("data", CREATE))
def create(ctx: Ctx, data: dict[str, Any]) -> dict[str, Any]:
    """Create a file system or zvol; gives its full entry.

    Raises:
        ValidationErrors: a field, the name or the parent is wrong, or a FILESYSTEM of this name exists.
        CallError: a VOLUME of this name exists (EFAULT), or the space does not suffice.
    """
    name, is_volume = data["name"], data["type"] == "VOLUME"
    problems = Problems("pool_dataset_create")
    problem = "a dataset name has a parent, as in pool/name" if "/" not in name else zfs.name_problem(name)
    if problem:
        problems.add("name", f"Invalid dataset name '{name:.300}': {problem}")
    check_type_fields(problems, data, is_volume=is_volume)
    if data["encryption"]:
        problems.add("encryption", "Encrypted datasets are not offered by this server")
    problems.check()
    _refuse_existing(ctx, problems, name)
    if data["create_ancestors"]:
        _create_ancestors(ctx, name)
    above = _above(ctx, problems, name)
    parent = above[-1]
    volblocksize = parse_size(str(data.get("volblocksize", DEFAULT_VOLBLOCKSIZE))) if is_volume else 0
    if is_volume:
        _check_volsize(ctx, problems, data, above, volblocksize)
    problems.check()
    new = NewDataset(
        name=name,
        type=data["type"],
        volsize_bytes=data.get("volsize", 0),
        volblocksize_bytes=volblocksize,
        sizes=_sizes(data, volblocksize),
        local=settings_of(data)[0],
        user_properties=user_properties_of(data),
    )
    try:
        dataset_ops.insert(ctx, new, parent, pools.next_txg(ctx.db, parent["pool"]))
    except zfs.OutOfSpaceError:
        raise CallError(f"Failed to create dataset: cannot create '{name}': out of space") from None
    reserves = new.sizes["reservation"] or new.sizes["refreservation"]  # has changed the rows above
    entry = _entry(ctx, name, () if reserves else above)
    ctx.emit(COLLECTION, "added", name, entry)
    return entry


def _refuse_existing(ctx: Ctx, problems: Problems, name: str) -> None:
    existing = ctx.db.value("select type from dataset where name = ?", (name,))
    if existing == "FILESYSTEM":  # found by its mount point, before ZFS is asked
        raise problems.refused("name", f"Path /mnt/{name} already exists")
    if existing is not None:
        raise CallError(f"Failed to create dataset: cannot create '{name}': dataset already exists")


def _above(ctx: Ctx, problems: Problems, name: str) -> list[Row]:
    """The datasets from the pool's root down to the parent of `name`; refuses if nothing can be created there."""
    above = zfs.parent_name(name)
    parent = space.find(ctx.db, above)
    if parent is None:
        text = f"Parent dataset ({above}) does not exist." if "/" in above else f"zpool ({above}) does not exist."
        raise problems.refused("name", text)
    if parent["type"] == "VOLUME":
        raise problems.refused("name", f"Parent dataset ({above}) is a VOLUME")
    rows = space.chain(ctx.db, parent)
    setting = next((row["local"] for row in reversed(rows) if '"readonly"' in row["local"]), "{}")
    if orjson.loads(setting).get("readonly") == "on":
        raise problems.refused("name", f"Turn off readonly mode on {above} to create {name}")
    return rows


def _create_ancestors(ctx: Ctx, name: str) -> None:
    parts = name.split("/")[:-1]
    for end in range(2, len(parts) + 1):
        path = "/".join(parts[:end])
        above = space.find(ctx.db, zfs.parent_name(path))
        if above is not None and space.find(ctx.db, path) is None:
            new = NewDataset(path, "FILESYSTEM")
            dataset_ops.insert(ctx, new, above, pools.next_txg(ctx.db, above["pool"]))
            ctx.emit(COLLECTION, "added", path, lambda path=path: _entry(ctx, path))


def _check_volsize(ctx: Ctx, problems: Problems, data: dict[str, Any], above: Sequence[Row], volblocksize: int) -> None:
    volsize = data.get("volsize")
    if volsize is None:
        problems.add("volsize", "This field is required for VOLUME")
        return
    if volsize % volblocksize:
        problems.add("volsize", f"Volume size should be a multiple of volume block size of {volblocksize} bytes")
    available = zfs.available_bytes(above, space.usable_bytes(ctx.db, above[-1]["pool"]))
    if volsize > available * 4 // 5 and not data["force_size"]:
        problems.add("volsize", _TOO_BIG)


def _sizes(data: dict[str, Any], volblocksize: int) -> dict[str, int]:
    sizes = {key: data.get(key) or 0 for key in SIZE_COLUMNS}
    if volblocksize and "refreservation" not in data and not data.get("sparse", False):
        sizes["refreservation"] = zfs.zvol_refreservation_bytes(data["volsize"], volblocksize)
    return sizes


@datasets.method("update", Field("id", Str()), Field("data", UPDATE))
def update(ctx: Ctx, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """Change properties; gives the full entry.

    Raises:
        ValidationErrors: it does not exist, a field is wrong, or the volume would shrink.
        CallError: the space does not suffice.
    """
    row = space.find(ctx.db, name)
    if row is None:
        raise invalid("id", f"{name} does not exist", 2)
    is_volume = row["type"] == "VOLUME"
    problems = Problems("pool_dataset_update")
    check_type_fields(problems, data, is_volume=is_volume)
    problems.check()
    _check_property_updates(ctx, problems, row, data)
    if "volsize" in data:
        _check_growth(ctx, problems, data, row)
    problems.check()
    dataset_ops.set_local(ctx, row, *settings_of(data))
    for key, value in user_properties_of(data).items():
        if value is None:
            space.inherit_property(ctx.db, row["pk"], name, key)
        else:
            space.set_property(ctx.db, row["pk"], name, key, value)
    _resize(ctx, row, data)
    entry = _entry(ctx, name)
    ctx.emit(COLLECTION, "changed", name, entry)
    return entry


def _check_property_updates(ctx: Ctx, problems: Problems, row: Row, data: dict[str, Any]) -> None:
    for index, item in enumerate(data.get("user_properties_update", ())):
        field = f"user_properties_update.{index}"
        if ("value" in item) == item["remove"]:
            problems.add(field, "Either a value or remove must be given, not both")
        elif item["remove"]:
            known = "select 1 from dataset_property where dataset = ? and key = ?"
            if ctx.db.value(known, (row["pk"], item["key"])) is None:
                problems.add(f"{field}.key", "Property does not exist and cannot be inherited")


def _check_growth(ctx: Ctx, problems: Problems, data: dict[str, Any], row: Row) -> None:
    volsize = data["volsize"]
    if volsize % row["volblocksize"]:
        problems.add("volsize", f"Volume size should be a multiple of volume block size of {row['volblocksize']} bytes")
    if volsize < row["volsize"]:
        problems.add("volsize", "You cannot shrink a zvol from GUI, this may lead to data loss.")
    rows = space.chain(ctx.db, row)
    available = zfs.available_bytes(rows[:-1], space.usable_bytes(ctx.db, row["pool"]))
    growth = volsize - row["volsize"]
    if growth > available * 4 // 5 and not data.get("force_size", False):
        problems.add("volsize", _TOO_BIG)


def _resize(ctx: Ctx, row: Row, data: dict[str, Any]) -> None:
    deltas: dict[str, int] = {key: (data[key] or 0) - row[key] for key in SIZE_COLUMNS if key in data}
    volsize = data.get("volsize", row["volsize"])
    if volsize != row["volsize"]:
        thick = zfs.zvol_refreservation_bytes(row["volsize"], row["volblocksize"])
        if row["refreservation"] == thick and "refreservation" not in data:
            deltas["refreservation"] = zfs.zvol_refreservation_bytes(volsize, row["volblocksize"]) - thick
        ctx.db.run("update dataset set volsize = ? where pk = ?", (volsize, row["pk"]))
        for hook in ctx.nas.hooks:
            hook.dataset_resized(ctx, row["pk"], volsize)
    deltas = {key: delta for key, delta in deltas.items() if delta}
    _refuse_small_limits(row, data)
    if deltas:
        try:
            space.change_all(ctx.db, row["pk"], deltas)
        except zfs.OutOfSpaceError:
            raise CallError(
                f"Failed to update dataset: cannot set property for '{row['name']}': out of space"  # noqa: S608 - table and column names are ours
            ) from None


def _refuse_small_limits(row: Row, data: dict[str, Any]) -> None:
    """ZFS refuses a limit below what is used already."""
    for key, used in (("quota", zfs.used_bytes(row)), ("refquota", int(row["referenced"]))):
        if data.get(key) and data[key] < used:
            text = "size is less than current used or reserved space"
            raise CallError(f"Failed to update dataset: cannot set property for '{row['name']}': {text}")  # noqa: S608 - table and column names are ours


@datasets.method(
    "delete",
    Field("id", Str()),
    Field("options", Obj(Field("recursive", Bool(), default=False), Field("force", Bool(), default=False)), default={}),
)
def delete(ctx: Ctx, name: str, options: dict[str, Any]) -> bool:
    """Destroy a dataset, and whatever shares or exports it; gives true.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
        CallError: see `dataset_ops.destroy`.
    """
    dataset_ops.destroy(ctx, _require(ctx, name), recursive=options["recursive"])
    return True


@datasets.method("promote", Field("id", Str()))
def promote(ctx: Ctx, name: str) -> None:
    """Make a clone independent of its origin."""
    row = _require(ctx, name)
    dataset_ops.promote(ctx, row)
    pools.next_txg(ctx.db, row["pool"])
    ctx.emit(COLLECTION, "changed", name, lambda: _entry(ctx, name))


@datasets.method(
    "rename",
    Field("id", Str()),
    Field(
        "data",
        Obj(Field("new_name", Str()), Field("recursive", Bool(), default=False), Field("force", Bool(), default=False)),
    ),
)
def rename(ctx: Ctx, name: str, data: dict[str, Any]) -> None:
    """Rename a dataset with all below it, within its pool.

    Raises:
        ValidationErrors: it does not exist, or the new name is not valid.
        CallError: the new name is taken, its parent is missing or lies inside of it, or it is busy.
    """
    row, new_name = _require(ctx, name), data["new_name"]
    problem = "a dataset name has a parent, as in pool/name" if "/" not in new_name else zfs.name_problem(new_name)
    if problem:
        raise invalid("data.new_name", f"Invalid dataset name '{new_name:.300}': {problem}")
    failed = f"Failed to rename dataset: cannot rename '{name}'"
    if row["parent"] is None:
        raise CallError(f"{failed}: operation does not apply to pools")
    if space.find(ctx.db, new_name) is not None:
        raise CallError(f"{failed}: dataset already exists")
    parent = space.find(ctx.db, zfs.parent_name(new_name))
    if parent is None or parent["type"] == "VOLUME":
        raise CallError(f"{failed}: parent does not exist")
    if parent["pool"] != row["pool"]:
        raise CallError(f"{failed}: datasets must be within same pool")
    if zfs.is_at_or_under(parent["name"], name):
        raise CallError(f"{failed}: New dataset name cannot be a descendant of current dataset name")
    dataset_ops.rename(ctx, row, new_name, parent)
