"""pool.dataset.promote, rename and destroy_snapshots (TrueNAS API 25.10)."""

from fake_truenas import dataset_ops, pools, space, zfs
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.dataset_params import Problems
from fake_truenas.errors import RENAME_NEEDS_FORCE, CallError, ValidationErrors, invalid
from fake_truenas.jobs import JobRun
from fake_truenas.methods.pool_dataset import datasets, require
from fake_truenas.registry import Job
from fake_truenas.schema import AnyOf, Bool, Field, List, Nullable, Obj, Str
from fake_truenas.store import Row

namespaces = ()

_ENOENT = 2


@datasets.method("promote", Field("id", Str()))
def promote(ctx: Ctx, name: str) -> None:
    """Make a clone independent of its origin. Nothing is announced, as on the real system.

    Raises:
        CallError: ENOENT, EBADMSG where it is not a clone; else see `dataset_ops.promote`.
    """
    row = space.find(ctx.db, name)
    if row is None:
        raise CallError(f'Dataset "{name}" does not exist.', _ENOENT)
    dataset_ops.promote(ctx, row)
    pools.next_txg(ctx.db, row["pool"])


@datasets.method(
    "rename",
    Field("id", Str(min_length=1)),
    Field(
        "data",
        Obj(Field("new_name", Str()), Field("recursive", Bool(), default=False), Field("force", Bool(), default=False)),
    ),
)
def rename(ctx: Ctx, name: str, data: Entry) -> None:
    """Rename a dataset with all below it, within its pool. Shares of it keep the old path, and nothing is announced.

    Raises:
        ValidationErrors: the new name is not valid, or from 25.10 on `force` is off.
        CallError: ENOENT; the new name is taken, its parent is missing or lies inside of it, or it is busy;
            `recursive`, which is for snapshots.
    """
    new_name = data["new_name"]
    if "/" not in new_name or zfs.name_problem(new_name) is not None:
        raise invalid("data.new_name", "Please provide a valid dataset name according to ZFS standards")
    if not data["force"] and ctx.nas.persona.at_least("25.10"):
        raise invalid("pool.dataset.rename.force", RENAME_NEEDS_FORCE)
    row = space.find(ctx.db, name)
    if row is None:
        raise CallError(f"Dataset {name!r} not found", _ENOENT)
    failed = f"Failed to rename dataset: cannot rename '{name}'"
    if data["recursive"]:
        raise CallError(f"{failed}: recursive rename must be a snapshot")
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


_RANGE = Obj(Field("start", Nullable(Str()), default=None), Field("end", Nullable(Str()), default=None))
_SNAPSHOTS = Obj(
    Field("all", Bool(), default=False),
    Field("recursive", Bool(), default=False),
    Field("snapshots", List(AnyOf(Str(), _RANGE)), default=()),
)


@datasets.method(
    "destroy_snapshots",
    Field("name", Str()),
    Field("snapshots", _SNAPSHOTS),
    job=Job(lock=lambda name, _: f"destroy_snapshots_{name}"),
    until="26.0",
)
async def destroy_snapshots(ctx: Ctx, job: JobRun, name: str, spec: Entry) -> list[str]:
    """Destroy snapshots of a dataset by their short names or by ranges of them, all or none; gives their full names.

    Raises:
        ValidationErrors: the dataset does not exist (ENOENT), or names are given together with `all`.
        CallError: nothing matches; one has clones or is held.
    """
    row = require(ctx, name)
    problems = _check_spec(spec)
    if problems is not None:
        raise problems
    job.progress(20, "Initial validation complete")
    with ctx.transaction():
        members = dataset_ops.tree(ctx.db, row) if spec["recursive"] else [row]
        doomed = [one for member in members for one in _chosen(ctx, member, spec)]
        if not doomed and not spec["all"]:
            raise CallError("could not find any snapshots to destroy; check snapshot names.")
        for one in doomed:
            _refuse_kept(ctx, one)
        for one in doomed:
            dataset_ops.remove_snapshot(ctx, one)
    return [one["name"] for one in doomed]


def _check_spec(spec: Entry) -> ValidationErrors | None:
    problems = Problems("destroy_snapshots")
    if spec["all"] and spec["snapshots"]:
        return problems.refused("snapshots", "Must not be specified when all snapshots are specified for removal")
    for index, one in enumerate(spec["snapshots"]):
        if not one or one == {"start": None, "end": None}:
            return problems.refused(f"snapshots.{index}", 'Either "start" or "end" must be specified')
    return None


def _chosen(ctx: Ctx, member: Row, spec: Entry) -> list[Row]:
    """The snapshots of one dataset that are meant, oldest first."""
    rows = ctx.db.rows("select * from snapshot where dataset = ? order by createtxg, pk", (member["pk"],))
    if spec["all"]:
        return rows
    shorts = [row["short"] for row in rows]
    meant: set[int] = set()
    for one in spec["snapshots"]:
        meant.update(_places(shorts, one, one) if isinstance(one, str) else _places(shorts, one["start"], one["end"]))
    return [row for index, row in enumerate(rows) if index in meant]


def _places(shorts: list[str], start: str | None, end: str | None) -> range:
    """Where in a dataset's snapshots a range lies, both ends included; nowhere if an end is missing."""
    if any(bound is not None and bound not in shorts for bound in (start, end)):
        return range(0)
    first = 0 if start is None else shorts.index(start)
    last = len(shorts) - 1 if end is None else shorts.index(end)
    return range(first, last + 1)


def _refuse_kept(ctx: Ctx, snapshot: Row) -> None:
    pk, name = snapshot["pk"], snapshot["name"]
    if ctx.db.value("select 1 from dataset where origin = ?", (pk,)) is not None:
        raise CallError(f"cannot destroy '{name}': snapshot has dependent clones")
    if ctx.db.value("select 1 from snapshot_hold where snapshot = ?", (pk,)) is not None:
        raise CallError(f"cannot destroy snapshot {name}: dataset is busy")
