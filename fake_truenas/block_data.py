"""What zvols and file systems contain: copy-on-write blocks, each with a birth and a death, as ZFS keeps them.

Every version of a block is one row. It is born with the transaction group (txg) that wrote it and dies with the one
that replaced it. So a snapshot cut at txg `t` sees exactly the rows with `birth <= t < death`, and two snapshots differ
by what was born or died between them. A version that no snapshot has seen is freed at once when it is replaced. A hole
is a version without content: it hides an older one, or the block of the snapshot that a clone came from.

A `View` is what is being looked at: a zvol or a snapshot, and through clones everything it descends from.
This module knows rows and txgs only; names, sizes and refusals are the caller's.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from fake_truenas.store import Store

TABLES = """
create table zvol_block (
  id integer primary key,
  dataset integer not null,
  block integer not null,
  birth integer not null,
  death integer not null,
  hole integer not null,
  content blob
);
create index zvol_block_place on zvol_block (dataset, block, birth, death, hole);
create index zvol_block_birth on zvol_block (dataset, birth, block);
create index zvol_block_death on zvol_block (dataset, death, block) where death < 4611686018427387904;
"""

ALIVE = 1 << 62
"""Death of a version that still is the current one; as a layer's txg: the present."""

_SCANNED_AT_MOST = 1 << 16
_ONLY = "dataset = ? and death <= ? and death < 4611686018427387904 and birth > ?"


@dataclass(frozen=True, slots=True)
class Layer:
    """Part of a view: the versions of one dataset as of a txg (`ALIVE` for now)."""

    dataset: int
    txg: int


@dataclass(frozen=True, slots=True)
class View:
    """What a zvol or a snapshot sees.

    Attributes:
        layers: first the dataset itself, then the snapshot it was cloned from, then what that came from, and so on.
        volblocksize_bytes: size of one block.
        volsize_bytes: where it ends.
    """

    layers: tuple[Layer, ...]
    volblocksize_bytes: int
    volsize_bytes: int


@dataclass(frozen=True, slots=True)
class Runs:
    """Ranges in ascending order as [offset, length] in bytes; `next_offset` is where to go on, None at the end."""

    runs: list[list[int]]
    next_offset: int | None


@dataclass(frozen=True, slots=True)
class Now:
    """When a change happens.

    Attributes:
        txg: transaction group of the change; later than every snapshot's.
        newest_txg: of the zvol's newest snapshot, 0 without one.
        older_txg: of the snapshot before that, 0 without one.
    """

    txg: int
    newest_txg: int = 0
    older_txg: int = 0


@dataclass(slots=True)
class Space:
    """Byte counters of a zvol, or how a change moves them.

    Attributes:
        referenced: what the zvol sees.
        head: the part of that which is the dataset's own, not its origin's.
        unique: the part of that which no snapshot sees.
        snapshots: what only the dataset's snapshots see.
        newest_only: the part of that which only the newest snapshot sees.
    """

    referenced: int = 0
    head: int = 0
    unique: int = 0
    snapshots: int = 0
    newest_only: int = 0


def read(db: Store, view: View, offset: int, length: int) -> bytes:
    """The bytes of a range that lies within the view; what was never written reads as zeros."""
    size = view.volblocksize_bytes
    first, last = offset // size, (offset + length - 1) // size
    found = _contents(db, view.layers, first, last)
    zeros = bytes(size)
    joined = b"".join(found.get(block) or zeros for block in range(first, last + 1))
    start = offset - first * size
    return joined[start : start + length]


def write(db: Store, view: View, now: Now, offset: int, data: bytes) -> Space:
    """Put bytes into a range that lies within the zvol; a partly covered block keeps its other bytes.

    Args:
        db: the store.
        view: the zvol, not a snapshot.
        now: when this happens.
        offset: where to start.
        data: what to put there.

    Returns:
        How the space used has changed.
    """
    size = view.volblocksize_bytes
    first, last = offset // size, (offset + len(data) - 1) // size
    edges = {block for block in (first, last) if not _covers(block, size, offset, len(data))}
    old = {block: read(db, view, block * size, size) for block in sorted(edges)}
    space = Space()
    for block in range(first, last + 1):
        start = block * size - offset
        if block in old:
            content = bytearray(old[block])
            begin, end = max(0, -start), min(size, len(data) - start)
            content[begin:end] = data[start + begin : start + end]
            _replace(db, view, now, block, bytes(content), space)
        else:
            _replace(db, view, now, block, data[start : start + size], space)
    return space


def unmap(db: Store, view: View, now: Now, offset: int, length: int) -> Space:
    """Free the blocks that lie wholly in the range; parts of blocks are overwritten with zeros, as a zvol does.

    Arguments and result are those of `write`.
    """
    size = view.volblocksize_bytes
    first, last = -(-offset // size), (offset + length) // size
    space = Space()
    for begin, end in _edges(offset, length, size):
        content = _contents(db, view.layers, begin // size, begin // size).get(begin // size)
        if content is not None:
            start = begin % size
            content = content[:start] + bytes(end - begin) + content[start + end - begin :]
            _replace(db, view, now, begin // size, content, space)
    if first < last:
        for block, hole in list(_present(db, view.layers, first, last)):
            if not hole:
                _replace(db, view, now, block, None, space)
    return space


def allocated(db: Store, view: View, offset: int, limit: int) -> Runs:
    """The ranges that hold data, from the block that contains `offset` on; at most `limit` ranges.

    The work of one call is bounded, so a range may go on at `next_offset`.
    """
    size = view.volblocksize_bytes
    end = -(-view.volsize_bytes // size)
    blocks = (block for block, hole in _present(db, view.layers, offset // size, end) if not hole)
    return _runs(blocks, view, limit)


def changed(db: Store, base: View, target: View, offset: int, limit: int) -> Runs | None:
    """The ranges whose content may differ between an earlier snapshot and a later view of the same line of descent.

    Never leaves out a changed block; may name one that ended up the same. Costs what changed, not what is allocated.

    Returns:
        The ranges, as `allocated` does, or None where the target does not descend from the base.
    """
    start = base.layers[0]
    depths = (d for d, layer in enumerate(target.layers) if layer.dataset == start.dataset and start.txg <= layer.txg)
    depth = next(depths, None)
    if depth is None:
        return None
    size = target.volblocksize_bytes
    first, end = offset // size, -(-target.volsize_bytes // size)
    found = [
        _column(
            db,
            "select block from zvol_block where dataset = ? and birth <= ? and death > ? and block >= ? and block < ?"
            " order by block",
            (above.dataset, above.txg, _dies_after(above), first, end),
        )
        for above in target.layers[:depth]
    ]
    common = target.layers[depth]
    found.append(
        _column(
            db,
            "select block from zvol_block indexed by zvol_block_birth"
            " where dataset = ? and birth > ? and birth <= ? and death > ?"
            " and block >= ? and block < ? order by block",
            (common.dataset, start.txg, common.txg, _dies_after(common), first, end),
        )
    )
    found.append(
        _column(
            db,
            "select block from zvol_block indexed by zvol_block_death where dataset = ? and death > ? and death <= ?"
            " and death < 4611686018427387904 and birth <= ? and hole = 0 and block >= ? and block < ? order by block",
            (common.dataset, start.txg, common.txg, start.txg, first, end),
        )
    )
    return _runs((block for block, _ in groupby(heapq.merge(*found))), target, limit)


def has_blocks(db: Store, dataset: int) -> bool:
    """Whether there is any version of any block of a dataset."""
    return db.one("select 1 from zvol_block where dataset = ? limit 1", (dataset,)) is not None


def count(db: Store, dataset: int, newest_txg: int) -> tuple[int, int, int]:
    """How many data blocks a dataset has: current ones, those of them that no snapshot sees, and dead ones."""
    row = db.one(
        "select count(*) filter (where death = ?1), count(*) filter (where death = ?1 and birth > ?2),"
        " count(*) filter (where death <> ?1) from zvol_block where dataset = ?3 and hole = 0",
        (ALIVE, newest_txg, dataset),
    )
    assert row is not None  # noqa: S101 - an aggregate always has one row
    return row[0], row[1], row[2]


def count_seen_only_by(db: Store, dataset: int, previous_txg: int, next_txg: int) -> int:
    """How many data blocks only one snapshot sees; arguments as for `snapshot_destroyed`."""
    sql = f"select count(*) from zvol_block where {_ONLY} and hole = 0"  # noqa: S608 - a constant
    number: int = db.value(sql, (dataset, next_txg, previous_txg))
    return number


def dataset_destroyed(db: Store, dataset: int) -> None:
    """Free all versions of a dataset."""
    db.run("delete from zvol_block where dataset = ?", (dataset,))


def snapshot_destroyed(db: Store, dataset: int, previous_txg: int, next_txg: int) -> None:
    """Free what only a destroyed snapshot saw.

    Args:
        db: the store.
        dataset: whose snapshot it was.
        previous_txg: of the snapshot before it, 0 without one.
        next_txg: of the snapshot after it, `ALIVE - 1` without one.
    """
    db.run(f"delete from zvol_block where {_ONLY}", (dataset, next_txg, previous_txg))  # noqa: S608 - a constant


def rolled_back(db: Store, dataset: int, txg: int) -> None:
    """Make a dataset what its newest snapshot, cut at `txg`, saw."""
    db.run("delete from zvol_block where dataset = ? and birth > ?", (dataset, txg))
    db.run(
        "update zvol_block set death = ? where dataset = ? and death > ? and death < 4611686018427387904",
        (ALIVE, dataset, txg),
    )


def promoted(db: Store, clone: int, origin: int, txg: int) -> None:
    """Hand the versions that were there at `txg`, when the clone was made, from its origin over to the clone."""
    db.run(
        "update zvol_block set dataset = ?1, death = case when death <= ?3 then death else coalesce("
        "(select min(own.birth) from zvol_block own"
        " where own.dataset = ?1 and own.block = zvol_block.block and own.birth > ?3),"
        " 4611686018427387904) end where dataset = ?2 and birth <= ?3",
        (clone, origin, txg),
    )


def _replace(db: Store, view: View, now: Now, block: int, content: bytes | None, space: Space) -> None:
    """Make `content` (None: nothing) a block's current version, and count what that takes and frees."""
    dataset, size = view.layers[0].dataset, view.volblocksize_bytes
    current = db.one(
        "select id, birth, hole from zvol_block where dataset = ? and block = ? and death = ?", (dataset, block, ALIVE)
    )
    below = any(not hole for _, hole in _present(db, view.layers[1:], block, block + 1))
    if current is None:
        space.referenced -= size * below
    elif not current["hole"]:
        space.referenced -= size
        space.head -= size
    if current is not None and current["birth"] > now.newest_txg:
        # No snapshot has seen it: nobody can miss it.
        db.run("delete from zvol_block where id = ?", (current["id"],))
        space.unique -= size * (not current["hole"])
    elif current is not None:
        db.run("update zvol_block set death = ? where id = ?", (now.txg, current["id"]))
        space.snapshots += size * (not current["hole"])
        space.newest_only += size * (not current["hole"] and current["birth"] > now.older_txg)
    if content is not None:
        space.referenced += size
        space.head += size
        space.unique += size
    elif not below and not db.one("select 1 from zvol_block where dataset = ? and block = ? limit 1", (dataset, block)):
        return  # nothing that a hole would have to hide
    db.run(
        "insert into zvol_block (dataset, block, birth, death, hole, content) values (?, ?, ?, ?, ?, ?)",
        (dataset, block, now.txg, ALIVE, int(content is None), content),
    )


def _contents(db: Store, layers: tuple[Layer, ...], first: int, last: int) -> dict[int, bytes | None]:
    """Content of each block from `first` to `last` that has a version: None for holes."""
    found: dict[int, bytes | None] = {}
    for layer in layers:
        for row in db.rows(
            "select block, content from zvol_block"
            " where dataset = ? and block >= ? and block <= ? and birth <= ? and death > ?",
            (layer.dataset, first, last, layer.txg, _dies_after(layer)),
        ):
            found.setdefault(row["block"], row["content"])
        if len(found) > last - first:
            break
    return found


def _present(db: Store, layers: tuple[Layer, ...], first: int, end: int) -> Iterator[tuple[int, int]]:
    """(block, is a hole) of each block from `first` to before `end` that has a version, in ascending order."""
    cursors = [
        _tagged(
            db,
            depth,
            "select block, hole from zvol_block"
            " where dataset = ? and block >= ? and block < ? and birth <= ? and death > ? order by block",
            (layer.dataset, first, end, layer.txg, _dies_after(layer)),
        )
        for depth, layer in enumerate(layers)
    ]
    for block, versions in groupby(heapq.merge(*cursors), key=itemgetter(0)):
        yield block, next(versions)[2]


def _tagged(db: Store, depth: int, sql: str, args: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    for row in db.connection.execute(sql, args):
        yield row[0], depth, row[1]


def _column(db: Store, sql: str, args: tuple[int, ...]) -> Iterator[int]:
    for row in db.connection.execute(sql, args):
        yield row[0]


def _dies_after(layer: Layer) -> int:
    """The bound for `death > ?` that makes a layer's versions visible; those of the present have not died at all."""
    return layer.txg if layer.txg < ALIVE else ALIVE - 1


def _runs(blocks: Iterator[int], view: View, limit: int) -> Runs:
    """Join neighbours into ranges, up to `limit` of them."""
    size = view.volblocksize_bytes
    runs: list[list[int]] = []
    end = -1
    for scanned, block in enumerate(blocks):
        offset = block * size
        if scanned >= _SCANNED_AT_MOST or (offset != end and len(runs) >= limit):
            return Runs(runs, offset)
        if offset == end:
            runs[-1][1] += size
        else:
            runs.append([offset, size])
        end = offset + size
    if runs:
        last = runs[-1]
        last[1] = min(last[1], view.volsize_bytes - last[0])
    return Runs(runs, None)


def _covers(block: int, size: int, offset: int, length: int) -> bool:
    return offset <= block * size and (block + 1) * size <= offset + length


def _edges(offset: int, length: int, size: int) -> list[tuple[int, int]]:
    """The parts of a range that lie in blocks it covers only partly, as (begin, end)."""
    end = offset + length
    if offset // size == (end - 1) // size:
        return [] if _covers(offset // size, size, offset, length) else [(offset, end)]
    edges = []
    if offset % size:
        edges.append((offset, -(-offset // size) * size))
    if end % size:
        edges.append((end // size * size, end))
    return edges
