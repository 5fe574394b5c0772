"""What creating, destroying, promoting and renaming datasets does to the store; ZFS's own refusals included.

All functions run inside the caller's transaction and raise `CallError` with the text of libzfs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from fake_truenas import space, zfs
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError, invalid
from fake_truenas.store import Row, Store

EBUSY = 16
ENOTEMPTY = 39
EBADMSG = 74
EEXIST = 17

COLLECTION = "pool.dataset.query"


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A dataset to insert.

    Attributes:
        name: full name, free and valid.
        type: FILESYSTEM or VOLUME.
        volsize_bytes, volblocksize_bytes: 0 for file systems.
        sizes: quota, refquota, reservation, refreservation in bytes; 0 for none.
        local: inheritable native properties set here, in ZFS's form.
        user_properties: set here.
        origin: row id of the snapshot that it is a clone of.
        referenced_bytes: what it shares with that snapshot.
    """

    name: str
    type: str
    volsize_bytes: int = 0
    volblocksize_bytes: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)
    local: Mapping[str, str] = field(default_factory=dict)
    user_properties: Mapping[str, str | None] = field(default_factory=dict)
    origin: int | None = None
    referenced_bytes: int = 0


def insert(ctx: Ctx, new: NewDataset, parent: Row, txg: int) -> int:
    """Insert a dataset below its parent; gives its row id.

    Raises:
        OutOfSpaceError: its reservations do not fit.
    """
    db = ctx.db
    quota, refquota = new.sizes.get("quota", 0), new.sizes.get("refquota", 0)
    pk = db.insert(
        "insert into dataset (name, parent, pool, pool_name, type, guid, createtxg, created_at, volsize, volblocksize,"
        " quota, refquota, referenced, origin, local) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new.name, parent["pk"], parent["pool"], parent["pool_name"], new.type, str(ctx.rng.getrandbits(63)), txg,
            int(ctx.now()), new.volsize_bytes, new.volblocksize_bytes, quota, refquota, new.referenced_bytes,
            new.origin,
            orjson.dumps(new.local).decode() if new.local else "{}",
        ),
    )  # fmt: skip
    space.inherit_all(db, pk, parent["pk"])
    space.set_first_properties(db, pk, new.user_properties)
    reserved = {key: new.sizes[key] for key in ("reservation", "refreservation") if new.sizes.get(key)}
    if reserved:
        space.change_all(db, pk, reserved)
    return pk


def tree(db: Store, top: Row) -> list[Row]:
    """A dataset and everything below it; parents come before their children."""
    below = db.rows(
        "select * from dataset where name > ? and name < ? order by name", space.descendants_range(top["name"])
    )
    return [top, *below]


def busy_names(ctx: Ctx, rows: Sequence[Row]) -> frozenset[str]:
    """Which of these datasets something uses now."""
    return frozenset(row["name"] for row in rows if any(hook.busy(ctx, row["name"]) for hook in ctx.nas.hooks))


def destroy(
    ctx: Ctx, top: Row, *, recursive: bool, family: Sequence[Row] = (), in_use: frozenset[str] = frozenset()
) -> None:
    """Destroy a dataset, with everything below it if `recursive`. Refuses as zfs destroy (-r) of OpenZFS does.

    Of a pool's root only what is below it goes, and its snapshots. TrueNAS 26 takes clones elsewhere along, with all
    below them and their clones, and releases holds.

    Args:
        ctx: the call.
        top: the dataset's row.
        recursive: whether children and snapshots go too.
        family: the tree from the dataset down, if the caller has it.
        in_use: which of these are busy, although nothing shows it any more.

    Raises:
        CallError: EFAULT for snapshots, dependent clones or a pool; EBUSY if something uses it or holds a snapshot.
    """
    takes_clones = recursive and ctx.nas.persona.recursive_delete_takes_clones
    _refuse_root(ctx, top, recursive=recursive)
    kind = "volume" if top["type"] == "VOLUME" else "filesystem"
    failed = f"Failed to delete dataset: cannot destroy '{top['name']}'"
    looked_at = {row["pk"] for row in family}
    family = family or tree(ctx.db, top)
    if len(family) > 1 and not recursive:
        raise CallError(f"{failed}: {kind} has children", ENOTEMPTY)
    doomed, snapshots = _with_clones(ctx, family) if takes_clones else (family, _snapshots(ctx, family))
    if snapshots and not recursive:
        listed = "\n".join(snapshot["name"] for snapshot in snapshots)
        raise CallError(f"{failed}: {kind} has children\nuse '-r' to destroy the following datasets:\n{listed}")
    gone = [row for row in doomed if row["parent"] is not None]
    if not takes_clones:
        _refuse_dependents(ctx, gone, snapshots, f"{failed}: {kind}")
    _refuse_busy(top, gone, in_use | busy_names(ctx, [row for row in gone if row["pk"] not in looked_at]))
    _remove(ctx, gone, snapshots)
    if len(gone) < len(doomed):
        space.change(ctx.db, top["pk"], checked=False, snaps=-top["snaps"])
    pks = {row["pk"] for row in gone}
    for row in gone:
        if row["parent"] not in pks:
            space.move_charge(ctx.db, -zfs.charged_bytes(row), row["parent"])
    space.allocate(ctx.db, top["pool"], -sum(row["head"] + row["snaps"] for row in gone))
    _destroy_deferred(ctx, gone)


def _refuse_root(ctx: Ctx, top: Row, *, recursive: bool) -> None:
    name = top["name"]
    if top["parent"] is not None:
        return
    if ctx.nas.persona.at_least("26.0"):
        raise invalid("zfs.resource.destroy", "Destroying the root filesystem is not allowed.")
    if not recursive:
        raise CallError(
            f"Failed to delete dataset: cannot destroy '{name}': operation does not apply to pools\n"
            f"use 'zfs destroy -r {name}' to destroy all datasets in the pool\n"
            f"use 'zpool destroy {name}' to destroy the pool itself"
        )


def _snapshots(ctx: Ctx, doomed: Sequence[Row]) -> list[Row]:
    return [
        snapshot
        for row in doomed
        for snapshot in ctx.db.rows("select * from snapshot where dataset = ? order by createtxg, pk", (row["pk"],))
    ]


def _with_clones(ctx: Ctx, family: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """What goes with a tree if clones go too: the datasets and all their snapshots."""
    doomed = {row["pk"]: row for row in family}
    snapshots: list[Row] = []
    waiting = list(family)
    while waiting:
        found = _snapshots(ctx, waiting)
        snapshots += found
        waiting = []
        for snapshot in found:
            for clone in ctx.db.rows("select * from dataset where origin = ? order by name", (snapshot["pk"],)):
                more = [row for row in tree(ctx.db, clone) if row["pk"] not in doomed]
                doomed.update((row["pk"], row) for row in more)
                waiting += more
    return sorted(doomed.values(), key=lambda row: str(row["name"])), snapshots


def _refuse_dependents(ctx: Ctx, doomed: Sequence[Row], snapshots: Sequence[Row], failed: str) -> None:
    gone = {row["pk"] for row in doomed}
    for snapshot in snapshots:
        clones = ctx.db.rows("select pk, name from dataset where origin = ? order by name", (snapshot["pk"],))
        outside = [clone["name"] for clone in clones if clone["pk"] not in gone]
        if outside:
            listed = "\n".join(outside)
            raise CallError(f"{failed} has dependent clones\nuse '-R' to destroy the following datasets:\n{listed}")
    for snapshot in snapshots:
        if ctx.db.value("select 1 from snapshot_hold where snapshot = ?", (snapshot["pk"],)):
            raise CallError(
                f"Failed to delete dataset: cannot destroy snapshot {snapshot['name']}: dataset is busy", EBUSY
            )


def _refuse_busy(top: Row, doomed: Sequence[Row], busy: frozenset[str]) -> None:
    for row in doomed:
        if row["name"] not in busy:
            continue
        if zfs.is_at_or_under(row["name"], top["name"]):
            raise CallError(f"Failed to delete dataset: cannot destroy '{row['name']}': dataset is busy", EBUSY)
        raise CallError(f"Failed to destroy '{top['name']}' There are clones ({row['name']})", EBUSY)


def _remove(ctx: Ctx, doomed: Sequence[Row], snapshots: Sequence[Row]) -> None:
    db = ctx.db
    for row in reversed(doomed):
        for hook in ctx.nas.hooks:
            hook.dataset_deleted(ctx, row["pk"], row["name"])
    for snapshot in snapshots:
        for hook in ctx.nas.hooks:
            hook.snapshot_deleted(ctx, snapshot["dataset"], snapshot["pk"])
    # Clones inside of what goes must not keep its snapshots.
    clones = [(row["pk"],) for row in doomed if row["origin"] is not None]
    if clones:
        db.run_many("update dataset set origin = null where pk = ?", clones)
    if snapshots:
        db.run_many("delete from snapshot where pk = ?", [(snapshot["pk"],) for snapshot in snapshots])
    for row in reversed(doomed):
        db.run("delete from dataset where pk = ?", (row["pk"],))
        ctx.emit(COLLECTION, "removed", row["name"])


def _destroy_deferred(ctx: Ctx, doomed: Sequence[Row]) -> None:
    """Snapshots that were only kept for clones that are gone now disappear too."""
    for row in doomed:
        if row["origin"] is not None:
            snapshot = ctx.db.one("select * from snapshot where pk = ? and deferred = 1", (row["origin"],))
            if snapshot is not None:
                release_deferred(ctx, snapshot)


def release_deferred(ctx: Ctx, snapshot: Row) -> None:
    """Remove a deferred snapshot once neither clones nor holds are left."""
    pk = snapshot["pk"]
    if ctx.db.value("select 1 from dataset where origin = ?", (pk,)) is not None:
        return
    if ctx.db.value("select 1 from snapshot_hold where snapshot = ?", (pk,)) is None:
        remove_snapshot(ctx, snapshot)


def remove_snapshot(ctx: Ctx, snapshot: Row) -> None:
    """Remove a snapshot and free what only it held."""
    db, pk, dataset = ctx.db, snapshot["pk"], snapshot["dataset"]
    _hand_over_blocks(ctx, snapshot)
    for hook in ctx.nas.hooks:
        hook.snapshot_deleted(ctx, dataset, pk)
    uniq = db.value("select uniq from snapshot where pk = ?", (pk,))
    db.run("delete from snapshot where pk = ?", (pk,))
    if uniq:
        space.change(db, dataset, checked=False, snaps=-uniq)


def _hand_over_blocks(ctx: Ctx, snapshot: Row) -> None:
    """What this snapshot's span wrote and still exists counts for the next snapshot's, or as the head's own."""
    db, dataset = ctx.db, snapshot["dataset"]
    place = (dataset, snapshot["createtxg"], snapshot["pk"])
    kept = max(0, snapshot["written"] - snapshot["uniq"])
    newer = db.value(
        "select pk from snapshot where dataset = ? and (createtxg, pk) > (?, ?) order by createtxg, pk limit 1", place
    )
    if newer is not None:
        db.run("update snapshot set written = written + ? where pk = ?", (kept, newer))
        return
    row = space.by_pk(db, dataset)
    older = db.value("select 1 from snapshot where dataset = ? and (createtxg, pk) < (?, ?) limit 1", place)
    uniq = row["head"] if older is None else min(row["head"], row["uniq"] + kept)
    if uniq != row["uniq"]:
        space.change(db, dataset, checked=False, uniq=uniq - row["uniq"])


def promote(ctx: Ctx, clone: Row) -> None:
    """Make a clone independent of its origin, which becomes a clone of it.

    Raises:
        CallError: EBADMSG if it is not a clone, EEXIST if snapshot names collide, EFAULT where the clone's place has
            too little space.
    """
    db = ctx.db
    if clone["origin"] is None:
        raise CallError("Only cloned datasets can be promoted.", EBADMSG)
    origin = db.one("select * from snapshot where pk = ?", (clone["origin"],))
    assert origin is not None  # noqa: S101 - a foreign key
    source = space.by_pk(db, origin["dataset"])
    moved = db.rows(
        "select * from snapshot where dataset = ? and (createtxg, pk) <= (?, ?) order by createtxg, pk",
        (source["pk"], origin["createtxg"], origin["pk"]),
    )
    for snapshot in moved:
        if db.value("select 1 from snapshot where name = ?", (f"{clone['name']}@{snapshot['short']}",)):
            text = (
                f"snapshot name '{snapshot['short']}' from origin conflicts with '{clone['name']}@{snapshot['short']}'"
            )
            raise CallError(f"Failed to promote dataset: cannot promote '{clone['name']}': {text}", EEXIST)
    db.run("update dataset set origin = ? where pk = ?", (source["origin"], clone["pk"]))
    db.run("update dataset set origin = ? where pk = ?", (origin["pk"], source["pk"]))
    db.run_many(
        "update snapshot set dataset = ?, dataset_name = ?, name = ? where pk = ?",
        [(clone["pk"], clone["name"], f"{clone['name']}@{one['short']}", one["pk"]) for one in moved],
    )
    shared = max(0, min(origin["referenced"], source["head"] - source["uniq"]))
    held = sum(snapshot["uniq"] for snapshot in moved)
    space.change(db, source["pk"], checked=False, head=-shared, snaps=-held)
    try:
        space.change(db, clone["pk"], head=shared, snaps=held)
    except zfs.OutOfSpaceError:
        raise CallError(f"Failed to promote dataset: cannot promote '{clone['name']}': out of space") from None
    for hook in ctx.nas.hooks:
        hook.promoted(ctx, clone["pk"], source["pk"], [snapshot["pk"] for snapshot in moved])


def rename(ctx: Ctx, row: Row, new_name: str, parent: Row) -> None:
    """Give a dataset and all below it another name, perhaps under another parent of the same pool.

    As on the real system nobody is told: there are no events, and shares keep the old path.

    Raises:
        CallError: EBUSY if something uses it; a dataset or snapshot below would have too long a name; too little
            space below the new parent.
    """
    db, old = ctx.db, row["name"]
    family = tree(db, row)
    failed = "Failed to rename dataset: cannot rename"
    if any(_longest_name(ctx, one) + len(new_name) - len(old) > zfs.MAX_NAME for one in family):
        raise CallError(f"{failed} '{old}': dataset name is too long")
    busy = sorted(busy_names(ctx, family))
    if busy:
        raise CallError(f"{failed} '{busy[0]}': dataset is busy", EBUSY)
    if parent["pk"] != row["parent"]:
        try:
            space.move(db, row, parent)
        except zfs.OutOfSpaceError:
            raise CallError(f"{failed} '{old}': out of space") from None
    for one in family:
        name = new_name + one["name"][len(old) :]
        db.run("update dataset set name = ? where pk = ?", (name, one["pk"]))
        db.run("update snapshot set dataset_name = ?1, name = ?1 || '@' || short where dataset = ?2", (name, one["pk"]))
        for hook in ctx.nas.hooks:
            hook.dataset_renamed(ctx, one["pk"], one["name"], name)
    if parent["pk"] != row["parent"]:
        space.reinherit(db, new_name, parent["pk"])


def _longest_name(ctx: Ctx, row: Row) -> int:
    """Length of a dataset's name, or of the longest of its snapshots'."""
    snapshots = ctx.db.value("select max(length(name)) from snapshot where dataset = ?", (row["pk"],))
    return max(len(row["name"]), snapshots or 0)


def set_local(ctx: Ctx, row: Row, settings: Mapping[str, str], inherited: Sequence[str]) -> None:
    """Change the inheritable native properties set at a dataset."""
    local: dict[str, Any] = orjson.loads(row["local"])
    local.update(settings)
    for name in inherited:
        local.pop(name, None)
    text = orjson.dumps(local).decode()
    if text != row["local"]:
        ctx.db.run("update dataset set local = ? where pk = ?", (text, row["pk"]))
