"""fake.block.*: what goes over iSCSI and NVMe-oF data connections. NOT part of the TrueNAS API.

A real NAS is read and written by initiators over their own connections. These methods stand for them, so that a node
without a kernel can store bytes in a zvol, a snapshot can be compared with another, and a session can keep a zvol busy:

    fake.block.write      (dataset, offset, data_base64)             -> null
    fake.block.read       (dataset or snapshot, offset, length)      -> base64; what was never written is zeros
    fake.block.unmap      (dataset, offset, length)                  -> null
    fake.block.allocated  (dataset or snapshot, offset, limit)       -> {volblocksize, volsize, runs, next_offset}
    fake.block.changed    (base snapshot, dataset or snapshot, offset, limit) -> the same; base null: all allocated
    fake.block.connect    ({protocol, name, initiator, address})     -> session id
    fake.block.disconnect (session id)                               -> true; false if it was gone

A dataset here is a zvol, or a file system: that has no files in this fake, but 1 TiB of bytes in blocks of 4 KiB which
take space, and which snapshots, clones, rollbacks and replication carry; a client of its share keeps files there.

`runs` are [offset, length] in bytes, in ascending order, at most `limit` of them; the next page starts at
`next_offset`, null at the end. A missing dataset or snapshot, and bad numbers, are refused as validation errors; a full
pool or quota with ENOSPC, a write to a snapshot or a read-only dataset with EROFS.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any

from fake_truenas import block_data, block_sessions, pools, services, space, zfs
from fake_truenas.block_data import ALIVE, Layer, Now, Runs, Space, View
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError, does_not_exist, invalid
from fake_truenas.methods.iscsi_global import target_iqn
from fake_truenas.registry import DatasetHooks, Namespace
from fake_truenas.schema import Enum, Field, Int, Nullable, Obj, Str
from fake_truenas.share_tables import (
    ISCSI_INITIATORS,
    ISCSI_TARGETS,
    NVMET_HOST_SUBSYSTEMS,
    NVMET_HOSTS,
    NVMET_SUBSYSTEMS,
)
from fake_truenas.store import Row

_ENOSPC, _EROFS, _EACCES, _ENOENT, _ECONNREFUSED = 28, 30, 13, 2, 111
_DAEMONS = {block_sessions.ISCSI: "iscsitarget", block_sessions.NVMET: "nvmet"}
MAX_READ_BYTES = 1 << 20
MAX_RUNS = 10_000
FILE_BLOCK_BYTES = 4096
FILE_SPACE_BYTES = 1 << 40


class _Hooks(DatasetHooks):
    """Blocks follow what happens to datasets and snapshots."""

    def dataset_deleted(self, ctx: Ctx, pk: int, name: str) -> None:  # noqa: ARG002 - given shape
        """Free them."""
        block_data.dataset_destroyed(ctx.db, pk)

    def snapshot_deleted(self, ctx: Ctx, dataset_pk: int, snapshot_pk: int) -> None:
        """Free what only the snapshot saw."""
        if not block_data.has_blocks(ctx.db, dataset_pk):
            return
        txgs = [0, *_snapshot_txgs(ctx, dataset_pk), ALIVE - 1]
        place = txgs.index(_snapshot_txg(ctx, snapshot_pk))
        block_data.snapshot_destroyed(ctx.db, dataset_pk, txgs[place - 1], txgs[place + 1])
        _recount(ctx, dataset_pk, leaving=snapshot_pk)

    def rolled_back(self, ctx: Ctx, dataset_pk: int, snapshot_pk: int) -> None:
        """Bring the snapshot's blocks back."""
        if block_data.has_blocks(ctx.db, dataset_pk):
            block_data.rolled_back(ctx.db, dataset_pk, _snapshot_txg(ctx, snapshot_pk))
            _recount(ctx, dataset_pk)

    def received(self, ctx: Ctx, dataset_pk: int, snapshot_pk: int, base_pk: int | None) -> None:
        """Write what the snapshot has, or only what changed since the base."""
        row = space.by_pk(ctx.db, dataset_pk)
        source = _snapshot_view(ctx, snapshot_pk)
        target = View(_layers(ctx, dataset_pk, ALIVE), *_shape(row))
        if not any(block_data.has_blocks(ctx.db, layer.dataset) for layer in (*source.layers, *target.layers)):
            return
        now = _begin(ctx, row)
        whole = Runs([[0, source.volsize_bytes]], None)
        offset: int | None = 0
        while offset is not None:
            runs = None
            if base_pk is not None:
                runs = block_data.changed(ctx.db, _snapshot_view(ctx, base_pk), source, offset, MAX_RUNS)
            runs = runs or whole
            for start, length in runs.runs:
                end = min(start + length, source.volsize_bytes)
                used = [block_data.unmap(ctx.db, target, now, start, end - start)]
                used += _copied(ctx, source, target, now, start, end)
                for one in used:
                    _account(ctx, space.by_pk(ctx.db, dataset_pk), one)
            offset = runs.next_offset

    def promoted(self, ctx: Ctx, clone_pk: int, origin_dataset_pk: int, snapshot_pks: Sequence[int]) -> None:
        """Hand over the blocks of the snapshots that moved; the newest of them is the one that was cloned."""
        if block_data.has_blocks(ctx.db, origin_dataset_pk):
            txg = max(_snapshot_txg(ctx, pk) for pk in snapshot_pks)
            block_data.promoted(ctx.db, clone_pk, origin_dataset_pk, txg)
            _recount(ctx, clone_pk)
            _recount(ctx, origin_dataset_pk)


block = Namespace("fake.block", tables=block_data.TABLES, hooks=_Hooks())
namespaces = (block,)

_VOLUME = Str(min_length=1, max_length=512)
_OFFSET = Int(0)


@block.method("write", Field("dataset", _VOLUME), Field("offset", _OFFSET), Field("data", Str(max_length=None)))
def write(ctx: Ctx, dataset: str, offset: int, data: str) -> None:
    """Put bytes at an offset."""
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("data", "Not valid base64") from None
    row, view = _writable(ctx, dataset)
    if content:
        _check_range(view, dataset, offset, len(content))
        _account(ctx, row, block_data.write(ctx.db, view, _begin(ctx, row), offset, content))


@block.method("unmap", Field("dataset", _VOLUME), Field("offset", _OFFSET), Field("length", _OFFSET))
def unmap(ctx: Ctx, dataset: str, offset: int, length: int) -> None:
    """Make a range read as zeros and free the blocks that lie wholly in it."""
    row, view = _writable(ctx, dataset)
    if length:
        _check_range(view, dataset, offset, length)
        _account(ctx, row, block_data.unmap(ctx.db, view, _begin(ctx, row), offset, length))


@block.method("read", Field("volume", _VOLUME), Field("offset", _OFFSET), Field("length", Int(0, MAX_READ_BYTES)))
def read(ctx: Ctx, volume: str, offset: int, length: int) -> str:
    """The bytes of a range, in base64."""
    view = _view(ctx, volume)
    if not length:
        return ""
    _check_range(view, volume, offset, length)
    return base64.b64encode(block_data.read(ctx.db, view, offset, length)).decode()


@block.method(
    "allocated",
    Field("volume", _VOLUME),
    Field("offset", _OFFSET, default=0),
    Field("limit", Int(1, MAX_RUNS), default=1000),
)
def allocated(ctx: Ctx, volume: str, offset: int, limit: int) -> dict[str, Any]:
    """The ranges that hold data, from the block that contains the offset on."""
    view = _view(ctx, volume)
    return _page(view, block_data.allocated(ctx.db, view, offset, limit))


@block.method(
    "changed",
    Field("base", Nullable(_VOLUME)),
    Field("target", _VOLUME),
    Field("offset", _OFFSET, default=0),
    Field("limit", Int(1, MAX_RUNS), default=1000),
)
def changed(ctx: Ctx, base: str | None, target: str, offset: int, limit: int) -> dict[str, Any]:
    """The ranges whose content may differ between an earlier snapshot and a later view of the zvol or of a clone."""
    view = _view(ctx, target)
    if base is None:
        return _page(view, block_data.allocated(ctx.db, view, offset, limit))
    if "@" not in base:
        raise invalid("base", f"{base} is not a snapshot")
    runs = block_data.changed(ctx.db, _view(ctx, base), view, offset, limit)
    if runs is None:
        raise invalid("base", f"{base} is not an earlier snapshot of {target}, nor of what it was cloned from")
    return _page(view, runs)


@block.method(
    "connect",
    Field(
        "session",
        Obj(
            Field("protocol", Enum(block_sessions.ISCSI, block_sessions.NVMET)),
            Field("name", Str(min_length=1)),
            Field("initiator", Str(min_length=1)),
            Field("address", Str(min_length=1), default="127.0.0.1"),
        ),
    ),
)
def connect(ctx: Ctx, session: dict[str, str]) -> int:
    """Log an initiator (IQN) in to a target, or a host (NQN) in to a subsystem; gives the session's id.

    `name` is the target's or subsystem's qualified name. ECONNREFUSED while the service does not run, ENOENT if there
    is no such name, EACCES if it does not let this initiator or host in.
    """
    daemon = _DAEMONS[session["protocol"]]
    if not services.running(ctx.db, daemon):
        raise CallError(f"Connection refused: service {daemon} is not running", _ECONNREFUSED)
    owner = _iscsi_owner(ctx, session) if session["protocol"] == block_sessions.ISCSI else _nvmet_owner(ctx, session)
    return block_sessions.open_session(ctx.db, session["protocol"], owner, session["initiator"], session["address"])


@block.method("disconnect", Field("id", Int()))
def disconnect(ctx: Ctx, session_id: int) -> bool:
    """End a session; false if there was none."""
    return block_sessions.close_session(ctx.db, session_id)


def _iscsi_owner(ctx: Ctx, session: dict[str, str]) -> int:
    name = session["name"]
    found = ISCSI_TARGETS.find(ctx.db, name=name)
    prefix = target_iqn(ctx, "")
    if not found and name.startswith(prefix):
        found = ISCSI_TARGETS.find(ctx.db, name=name.removeprefix(prefix))
    if not found:
        raise CallError(f"Target {name} not found", _ENOENT)
    groups = found[0]["groups"]
    allowed = ISCSI_INITIATORS.by_id(ctx.db, (group["initiator"] for group in groups if group["initiator"]))
    for group in groups:
        names = allowed[group["initiator"]]["initiators"] if group["initiator"] else []
        if not names or session["initiator"] in names:
            return int(found[0]["id"])
    raise CallError(f"Initiator {session['initiator']} may not log in to {name}", _EACCES)


def _nvmet_owner(ctx: Ctx, session: dict[str, str]) -> int:
    found = NVMET_SUBSYSTEMS.find(ctx.db, subnqn=session["name"])
    if not found:
        raise CallError(f"Subsystem {session['name']} not found", _ENOENT)
    subsys_id = int(found[0]["id"])
    if found[0]["allow_any_host"]:
        return subsys_id
    for host in NVMET_HOSTS.find(ctx.db, hostnqn=session["initiator"]):
        if NVMET_HOST_SUBSYSTEMS.find(ctx.db, subsys_id=subsys_id, host_id=host["id"]):
            return subsys_id
    raise CallError(f"Host {session['initiator']} may not connect to {session['name']}", _EACCES)


def _page(view: View, runs: Runs) -> dict[str, Any]:
    return {
        "volblocksize": view.volblocksize_bytes,
        "volsize": view.volsize_bytes,
        "runs": runs.runs,
        "next_offset": runs.next_offset,
    }


def _dataset(ctx: Ctx, name: str) -> Row:
    row = space.find(ctx.db, name)
    if row is None:
        raise does_not_exist("PoolDataset", name)
    return row


def _shape(row: Row) -> tuple[int, int]:
    """Sizes of a block and of the whole, in bytes; of a dataset or a snapshot."""
    return (row["volblocksize"], row["volsize"]) if row["volblocksize"] else (FILE_BLOCK_BYTES, FILE_SPACE_BYTES)


def _view(ctx: Ctx, name: str) -> View:
    if "@" not in name:
        row = _dataset(ctx, name)
        return View(_layers(ctx, row["pk"], ALIVE), *_shape(row))
    snapshot = ctx.db.one("select * from snapshot where name = ?", (name,))
    if snapshot is None:
        raise does_not_exist("PoolSnapshot", name)
    return View(_layers(ctx, snapshot["dataset"], snapshot["createtxg"]), *_shape(snapshot))


def _snapshot_view(ctx: Ctx, pk: int) -> View:
    row = ctx.db.one("select * from snapshot where pk = ?", (pk,))
    assert row is not None  # noqa: S101 - the caller has just found it
    return View(_layers(ctx, row["dataset"], row["createtxg"]), *_shape(row))


def _copied(ctx: Ctx, source: View, target: View, now: Now, start: int, end: int) -> Iterator[Space]:
    """Write what one view has between two offsets into another."""
    offset: int | None = start
    while offset is not None and offset < end:
        runs = block_data.allocated(ctx.db, source, offset, MAX_RUNS)
        for first, length in runs.runs:
            last = min(first + length, end)
            for at in range(max(first, start), last, MAX_READ_BYTES):
                size = min(MAX_READ_BYTES, last - at)
                yield block_data.write(ctx.db, target, now, at, block_data.read(ctx.db, source, at, size))
            if last >= end:
                return
        offset = runs.next_offset


def _layers(ctx: Ctx, dataset_pk: int, txg: int) -> tuple[Layer, ...]:
    layers = [Layer(dataset_pk, txg)]
    while origin := ctx.db.one(
        "select s.dataset, s.createtxg from dataset d join snapshot s on s.pk = d.origin where d.pk = ?",
        (layers[-1].dataset,),
    ):
        layers.append(Layer(origin["dataset"], origin["createtxg"]))
    return tuple(layers)


def _writable(ctx: Ctx, name: str) -> tuple[Row, View]:
    if "@" in name:
        raise CallError(f"{name} is a snapshot: it cannot be written", _EROFS)
    row = _dataset(ctx, name)
    if space.is_readonly(ctx.db, row):
        raise CallError(f"{name} cannot be written: its property readonly is on", _EROFS)
    return row, _view(ctx, name)


def _check_range(view: View, name: str, offset: int, length: int) -> None:
    if offset + length > view.volsize_bytes:
        raise invalid(
            "offset", f"{length} bytes at {offset} do not lie within {name}, which has {view.volsize_bytes} bytes"
        )


def _begin(ctx: Ctx, row: Row) -> Now:
    """A new transaction group for a change."""
    newest = ctx.db.rows(
        "select createtxg from snapshot where dataset = ? order by createtxg desc limit 2", (row["pk"],)
    )
    return Now(pools.next_txg(ctx.db, row["pool"]), *(snapshot["createtxg"] for snapshot in newest))


def _account(ctx: Ctx, row: Row, used: Space) -> None:
    try:
        space.change(
            ctx.db,
            row["pk"],
            referenced=used.referenced,
            head=used.head,
            uniq=used.unique,
            snaps=used.snapshots,
        )
    except zfs.OutOfSpaceError as error:
        raise CallError(f"out of space: {error}", _ENOSPC) from None
    if used.newest_only:
        ctx.db.run(
            "update snapshot set uniq = uniq + ?1 where pk ="
            " (select pk from snapshot where dataset = ?2 order by createtxg desc, pk desc limit 1)",
            (used.newest_only, row["pk"]),
        )


def _recount(ctx: Ctx, dataset_pk: int, leaving: int | None = None) -> None:
    """Set a dataset's byte counters to what its blocks say; who shares what has changed.

    A snapshot that is `leaving` is not counted any more, but what it was charged with stays: removing it takes that
    off.
    """
    row = space.by_pk(ctx.db, dataset_pk)
    size, _ = _shape(row)
    snapshots = ctx.db.rows(
        "select pk, createtxg, uniq from snapshot where dataset = ? order by createtxg", (dataset_pk,)
    )
    staying = [snapshot for snapshot in snapshots if snapshot["pk"] != leaving]
    charged = sum(snapshot["uniq"] for snapshot in snapshots if snapshot["pk"] == leaving)
    txgs = [0, *(snapshot["createtxg"] for snapshot in staying), ALIVE - 1]
    current, unique, dead = block_data.count(ctx.db, dataset_pk, txgs[-2])
    space.change(
        ctx.db,
        dataset_pk,
        checked=False,
        head=current * size - row["head"],
        uniq=unique * size - row["uniq"],
        snaps=dead * size + charged - row["snaps"],
    )
    for place, snapshot in enumerate(staying, start=1):
        only = block_data.count_seen_only_by(ctx.db, dataset_pk, txgs[place - 1], txgs[place + 1])
        ctx.db.run("update snapshot set uniq = ? where pk = ?", (only * size, snapshot["pk"]))


def _snapshot_txgs(ctx: Ctx, dataset_pk: int) -> list[int]:
    rows = ctx.db.rows("select createtxg from snapshot where dataset = ? order by createtxg", (dataset_pk,))
    return [row["createtxg"] for row in rows]


def _snapshot_txg(ctx: Ctx, pk: int) -> int:
    return int(ctx.db.value("select createtxg from snapshot where pk = ?", (pk,)))
