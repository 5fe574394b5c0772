"""Receiving snapshots: what a replication does to the store. Everything runs inside the caller's transaction."""

import calendar
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from fake_truenas import cron, dataset_ops, pools, snapshot_ops, snapshot_tasks, space, zfs
from fake_truenas.context import Ctx
from fake_truenas.dataset_ops import NewDataset
from fake_truenas.errors import CallError
from fake_truenas.properties import BY_ZFS_NAME, SIZE_COLUMNS
from fake_truenas.replication_plan import Selection, Step
from fake_truenas.store import Row

Data = Mapping[str, Any]


def receive(ctx: Ctx, data: Data, step: Step, short: str, base: str | None) -> None:
    """Bring one snapshot to the target, which is made if it is missing.

    Args:
        ctx: the call.
        data: parameters of replication.run_onetime.
        step: source and target.
        short: the snapshot.
        base: the snapshot before it that both have; None for a full stream.

    Raises:
        CallError: something has vanished meanwhile, the target cannot be made or is in use, or the space does not
            suffice.
    """
    snapshot = _snapshot(ctx, step.source, short)
    source = space.by_pk(ctx.db, snapshot["dataset"])
    target = space.find(ctx.db, step.target)
    failed = f"cannot receive {'new' if base is None else 'incremental'} stream into '{step.target:.300}'"
    base_pk = None
    if target is not None:
        base_pk = _reset(ctx, target, source, step, base, failed)
        target = space.find(ctx.db, step.target)
    try:
        if target is None:
            _create(ctx, data, step.target, source, snapshot, failed)
        elif data["properties"]:
            _set_properties(ctx, data, target, source)
        target = space.find(ctx.db, step.target)
        assert target is not None  # noqa: S101 - it is there or was made
        ctx.db.run("update dataset set volsize = ? where pk = ?", (snapshot["volsize"], target["pk"]))
        for hook in ctx.nas.hooks:
            hook.received(ctx, target["pk"], snapshot["pk"], base_pk)
    except zfs.OutOfSpaceError:
        raise CallError(f"{failed}: out of space.") from None
    _keep(ctx, data, space.by_pk(ctx.db, target["pk"]), snapshot)


def _snapshot(ctx: Ctx, dataset: str, short: str) -> Row:
    row = snapshot_ops.find(ctx, f"{dataset}@{short}")
    if row is None:
        raise CallError(f"cannot open '{dataset}@{short}': dataset does not exist.")
    return row


def _reset(ctx: Ctx, target: Row, source: Row, step: Step, base: str | None, failed: str) -> int | None:
    """Give an existing target the base's content again, or empty it; gives the row id of the source's base."""
    if target["type"] != source["type"]:
        raise CallError(f"{failed}: destination exists and is not a {source['type'].lower()}.")
    if any(hook.busy(ctx, target["name"]) for hook in ctx.nas.hooks):
        raise CallError(f"{failed}: dataset is busy.", dataset_ops.EBUSY)
    if base is None:
        if target["type"] == "VOLUME":
            dataset_ops.destroy(ctx, target, recursive=False)
        return None
    there = _snapshot(ctx, step.target, base)
    here = _snapshot(ctx, step.source, base)
    if there["guid"] != here["guid"]:
        text = f"most recent snapshot of '{step.target}' does not match incremental source."
        raise CallError(f"{failed}: {text}")
    snapshot_ops.rollback(ctx, there, recursive=True, recursive_clones=False)
    return int(here["pk"])


def _create(ctx: Ctx, data: Data, name: str, source: Row, snapshot: Row, failed: str) -> None:
    problem = zfs.name_problem(name)
    if problem:
        raise CallError(f"{failed}: {problem}.")
    parent = _parent(ctx, name, failed)
    new = NewDataset(
        name=name,
        type=source["type"],
        volsize_bytes=snapshot["volsize"],
        volblocksize_bytes=snapshot["volblocksize"],
        sizes=_sizes(data, source),
        local=_local(data, source),
        user_properties=_user_properties(ctx, data, source),
    )
    dataset_ops.insert(ctx, new, parent, pools.next_txg(ctx.db, parent["pool"]))
    ctx.emit(dataset_ops.COLLECTION, "added", name)


def _parent(ctx: Ctx, name: str, failed: str) -> Row:
    """The dataset above, made together with what is missing above it."""
    above = zfs.parent_name(name)
    parent = space.find(ctx.db, above)
    if parent is None:
        if "/" not in above:
            raise CallError(f"{failed}: cannot open '{above or name}': dataset does not exist.")
        upper = _parent(ctx, above, failed)
        dataset_ops.insert(ctx, NewDataset(above, "FILESYSTEM"), upper, pools.next_txg(ctx.db, upper["pool"]))
        ctx.emit(dataset_ops.COLLECTION, "added", above)
        parent = space.find(ctx.db, above)
        assert parent is not None  # noqa: S101 - it was just made
    if parent["type"] == "VOLUME":
        raise CallError(f"{failed}: '{above}' is a volume.")
    return parent


def _sent(data: Data, key: str) -> bool:
    return bool(data["properties"]) and key not in data["properties_exclude"]


def _sizes(data: Data, source: Row) -> dict[str, int]:
    return {key: source[key] for key in SIZE_COLUMNS if source[key] and _sent(data, key)}


def _local(data: Data, source: Row) -> dict[str, str]:
    own: dict[str, str] = orjson.loads(source["local"])
    kept = {key: raw for key, raw in own.items() if _sent(data, key) or not BY_ZFS_NAME[key].inherits}
    given = {key: raw.lower() for key, raw in data["properties_override"].items() if key in BY_ZFS_NAME}
    return {**kept, **given}


def _user_properties(ctx: Ctx, data: Data, source: Row) -> dict[str, str | None]:
    own = ctx.db.rows(
        "select key, value from dataset_property where dataset = ?1 and source = ?1 order by key", (source["pk"],)
    )
    kept = {row["key"]: row["value"] for row in own if _sent(data, row["key"])}
    return {**kept, **{key: value for key, value in data["properties_override"].items() if ":" in key}}


def _set_properties(ctx: Ctx, data: Data, target: Row, source: Row) -> None:
    dataset_ops.set_local(ctx, target, _local(data, source), ())
    for key, value in _user_properties(ctx, data, source).items():
        if value is not None:
            space.set_property(ctx.db, target["pk"], target["name"], key, value)
    sizes = _sizes(data, source)
    reserved: dict[str, int] = {key: sizes[key] - target[key] for key in sizes if key.endswith("reservation")}
    if reserved:
        space.change_all(ctx.db, target["pk"], reserved)
    for key, size in sizes.items():
        if key.endswith("quota"):
            ctx.db.run(f"update dataset set {key} = ? where pk = ?", (size, target["pk"]))  # noqa: S608 - our own column


def _keep(ctx: Ctx, data: Data, target: Row, snapshot: Row) -> None:
    """Cut the target's snapshot: of the same guid, age and properties as the one received."""
    own = ctx.db.rows("select key, value from snapshot_property where snapshot = ? order by key", (snapshot["pk"],))
    properties = {row["key"]: row["value"] for row in own if _sent(data, row["key"])}
    snapshot_ops.create(ctx, [target], snapshot["short"], properties)
    ctx.db.run(
        "update snapshot set guid = ?, created_at = ? where name = ?",
        (snapshot["guid"], snapshot["created_at"], f"{target['name']}@{snapshot['short']}"),
    )


def finish(ctx: Ctx, data: Data, steps: Sequence[Step], chosen: Selection) -> None:
    """Make targets read-only and drop what the retention policy no longer wants there."""
    for step in steps:
        target = space.find(ctx.db, step.target)
        if target is None:
            continue
        if data["readonly"] != "IGNORE" and step.snapshots:
            dataset_ops.set_local(ctx, target, {"readonly": "on"}, ())
        for row in ctx.db.rows("select * from snapshot where dataset = ? order by createtxg, pk", (target["pk"],)):
            # ZFS would not destroy one that is held or cloned; the replication goes on without that.
            kept = snapshot_ops.holds(ctx, row) or snapshot_ops.clones(ctx, row)
            if not kept and chosen.matches(row["short"]) and _is_over(ctx, data, step, chosen, row["short"]):
                snapshot_ops.delete(ctx, row, defer=False)


def _is_over(ctx: Ctx, data: Data, step: Step, chosen: Selection, short: str) -> bool:
    if data["retention_policy"] == "SOURCE":
        return snapshot_ops.find(ctx, f"{step.source}@{short}") is None
    cut = chosen.cut(short)
    if data["retention_policy"] == "NONE" or cut is None:
        return False
    lifetimes = [data, *(one for one in data["lifetimes"] if cron.matches(one["schedule"], cut))]
    dates = [snapshot_tasks.add_lifetime(cut, one["lifetime_value"], one["lifetime_unit"]) for one in lifetimes]
    now = datetime.fromtimestamp(ctx.now(), UTC)
    return calendar.timegm(max(dates).utctimetuple()) < calendar.timegm(now.utctimetuple())
