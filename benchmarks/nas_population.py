"""A data directory with very many volumes, as csisim's driver would have made them, in a minute instead of an hour.

The first `KINDS` volumes are made by the API's own calls. Every further one is the one `KINDS` before it with its own
name, guid and transaction group, copied row by row by SQL. `verify` compares both ways: whole databases, row for row.
"""

import hashlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.servers import API_KEY
from csisim.driver.parameters import Protocol, VolumeParameters
from csisim.driver.records import CAPACITY, PARAMETERS, PROTOCOL, VOLUME_NAME, node_key, publish_key
from fake_truenas.config import NasConfig, Pool
from fake_truenas.nas import Nas

ROOT = "tank/csi"
POOL = Pool("tank", 1 << 60)
KINDS = 32
SAMPLE = 4 * KINDS + 7
_GENERATION = 1  # raised when what a population holds changes
_NODES = 64
_NODES_PER_VOLUME = 4
_GIB = 1 << 30
_CREATED_AT = 1_700_000_000.0
_BULK = ("dataset", "dataset_property", "nfs_share")


class NotTheSameError(Exception):
    """Copied rows differ from those that calls make; the text names the first table that does."""


def volume_name(index: int) -> str:
    """The name of a volume. It looks random: neighbours in time are not neighbours by name."""
    digest = hashlib.blake2b(index.to_bytes(8, "big"), digest_size=16).hexdigest()
    return f"pvc-{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def properties(index: int) -> dict[str, str]:
    """The twelve user properties that the driver leaves on a volume published on four nodes."""
    kind = index % KINDS
    protocol = Protocol.NFS if kind % 2 == 0 else Protocol.ISCSI
    own = {
        VOLUME_NAME: volume_name(index),
        PROTOCOL: protocol.value,
        PARAMETERS: VolumeParameters(protocol).summary(),
        CAPACITY: str(_GIB),
    }
    for number in range(_NODES_PER_VOLUME):
        node = f"worker-{(kind * 5 + number) % _NODES:03}.cluster.example"
        own[node_key(node)] = node
        own[publish_key(node)] = f"shared:{kind:020x}"
    return own


def calls_for(index: int) -> list[tuple[str, list[Any]]]:
    """The calls by which the driver makes a volume: even ones are file systems with a share, odd ones zvols."""
    name = volume_name(index)
    pairs = [{"key": key, "value": value} for key, value in properties(index).items()]
    data: dict[str, Any] = {"name": f"{ROOT}/{name}", "user_properties": pairs}
    if index % 2:
        return [("pool.dataset.create", [data | {"type": "VOLUME", "volsize": _GIB, "sparse": True}])]
    share = {"path": f"/mnt/{ROOT}/{name}", "comment": f"csisim:{name}"}
    return [("pool.dataset.create", [data | {"refquota": _GIB}]), ("sharing.nfs.create", [share])]


def _create_by_calls(nas: Nas, indexes: range) -> None:
    for index in indexes:
        for method, params in calls_for(index):
            nas.call_direct(method, *params)


def copy_rows(nas: Nas, count: int) -> None:
    """Make volumes `KINDS` to `count` - 1; those before were just made by calls, and nothing else."""
    db = nas.db
    parent = db.one("select pk, pool from dataset where name = ?", (ROOT,))
    assert parent is not None
    with db.transaction():
        indexes = db.rows("select name, sql from sqlite_master where type = 'index' and sql is not null order by name")
        indexes = [row for row in indexes if row["sql"].split(" on ")[1].split()[0] in _BULK]
        for row in indexes:
            db.run(f'drop index "{row["name"]}"')
        kinds = db.rows("select * from dataset where parent = ? order by pk", (parent["pk"],))
        assert len(kinds) == KINDS
        columns = kinds[0].keys()
        marks = ", ".join("?" * len(columns))
        insert = f"insert into dataset ({', '.join(columns)}) values ({marks})"  # noqa: S608 - the table's own columns
        txg = db.value("select txg from pool where id = ?", (parent["pool"],))
        db.run_many(insert, _datasets(nas.rng, [dict(row) for row in kinds], txg, count))
        db.run("update pool set txg = txg + ? where id = ?", (count - KINDS, parent["pool"]))
        first = kinds[0]["pk"]
        _copy_dependents(nas, first, len(ROOT) + 2)
        for row in indexes:
            db.run(row["sql"])


def _datasets(rng: random.Random, kinds: list[dict[str, Any]], txg: int, count: int) -> Iterator[tuple[Any, ...]]:
    first = kinds[0]["pk"]
    for index in range(KINDS, count):
        own = {
            "pk": first + index,
            "name": f"{ROOT}/{volume_name(index)}",
            "guid": str(rng.getrandbits(63)),
            "createtxg": txg + 1 + index - KINDS,
        }
        yield tuple((kinds[index % KINDS] | own).values())


def _copy_dependents(nas: Nas, first: int, start: int) -> None:
    """Properties and shares: each volume takes those of its kind, with its own name wherever the kind's stands."""
    bounds = (first, KINDS, start)
    pairs = (
        " from dataset own join dataset kind on kind.pk = ?1 + (own.pk - ?1) % ?2{join}"
        " where own.pk >= ?1 + ?2 order by own.pk"
    )
    named = "replace({column}, substr(kind.name, ?3), substr(own.name, ?3))"
    nas.db.run(
        "insert into dataset_property (dataset, key, value, source) select own.pk, item.key,"
        f" {named.format(column='item.value')}, case item.source when kind.pk then own.pk else item.source end"
        + pairs.format(join=" join dataset_property item on item.dataset = kind.pk")
        + ", item.key",
        bounds,
    )
    shares = [
        "with kinds as (select kind.pk, share.path, share.doc from dataset kind",
        "join nfs_share share on share.path = '/mnt/' || kind.name where kind.pk between ?1 and ?1 + ?2 - 1)",
        "insert into nfs_share (path, doc) select",
        ", ".join(named.format(column=f"share.{column}") for column in ("path", "doc")),
        pairs.format(join=" join kinds share on share.pk = kind.pk"),
    ]
    nas.db.run(" ".join(shares), bounds)


def make(data_dir: Path | None, count: int) -> Nas:
    """A NAS with `count` volumes, `KINDS` or more, made by copying; the caller closes it."""
    nas = _new(data_dir)
    for pragma in ("foreign_keys = off", "synchronous = off", "cache_size = -1000000"):
        nas.db.connection.execute(f"pragma {pragma}")
    _create_by_calls(nas, range(KINDS))
    copy_rows(nas, count)
    return nas


def make_by_calls(count: int) -> Nas:
    """The same in memory, all by calls."""
    nas = _new(None)
    _create_by_calls(nas, range(count))
    return nas


def _new(data_dir: Path | None) -> Nas:
    config = NasConfig(pools=(POOL,), api_key=API_KEY, data_dir=data_dir)
    nas = Nas(config, rng=random.Random(20), clock=lambda: _CREATED_AT)
    nas.call_direct("pool.dataset.create", {"name": ROOT})
    return nas


def verify() -> None:
    """Check on a sample that copying gives what calls give.

    Raises:
        NotTheSameError: it does not; nothing measured on copied rows would mean anything.
    """
    copied, called = make(None, SAMPLE), make_by_calls(SAMPLE)
    try:
        compare(copied, called)
    finally:
        copied.close()
        called.close()


def compare(one: Nas, other: Nas) -> None:
    """Compare everything in two stores: tables, indexes and rows, guids included.

    Raises:
        NotTheSameError: they differ.
    """
    if _schema(one) != _schema(other):
        raise NotTheSameError("the schemas differ")
    for table in _tables(one):
        left, right = _rows(one, table), _rows(other, table)
        if left != right:
            odd = next((pair for pair in zip(left, right, strict=False) if pair[0] != pair[1]), (len(left), len(right)))
            raise NotTheSameError(f"{table}: copied {odd[0]}, made by calls {odd[1]}")


def _rows(nas: Nas, table: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in nas.db.rows(f'select * from "{table}"')), key=repr)  # noqa: S608 - our tables


def _tables(nas: Nas) -> list[str]:
    return [row[0] for row in nas.db.rows("select name from sqlite_master where type = 'table' order by name")]


def _schema(nas: Nas) -> list[str]:
    return [str(row[0]) for row in nas.db.rows("select sql from sqlite_master where sql is not null order by name")]


def fingerprint(count: int) -> str:
    """What a kept population must have been made with to be used again: schema, rows as calls make them, size."""
    nas = make(None, KINDS + 1)
    try:
        rows = [_rows(nas, table) for table in _tables(nas)]
        text = repr((_GENERATION, count, _schema(nas), rows))
    finally:
        nas.close()
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def ensure(cache: Path, count: int) -> tuple[Path, bool]:
    """The data directory with `count` volumes in `cache`, made if it is not there; says whether it was made.

    Raises:
        NotTheSameError: see `verify`.
    """
    directory, wanted = cache / f"nas-{count}", fingerprint(count)
    mark = directory / "fingerprint"
    if mark.exists() and mark.read_text() == wanted:
        return directory, False
    verify()
    shutil.rmtree(directory, ignore_errors=True)
    make(directory, count).close()
    mark.write_text(wanted)
    return directory, True
