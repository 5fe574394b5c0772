"""Pools in the store."""

import random
from collections.abc import Sequence

import orjson

from fake_truenas.config import Pool
from fake_truenas.properties import ROOT_SETTINGS
from fake_truenas.store import Store, StoreError


def ensure(db: Store, pools: Sequence[Pool], rng: random.Random, now: float) -> None:
    """Make the pools of a new store; of a kept one check that they are the same, and grow those that became bigger.

    Raises:
        StoreError: the store has other pools, or a pool would shrink.
    """
    present = {row["name"]: row for row in db.rows("select * from pool order by id")}
    missing = [name for name in present if name not in {pool.name for pool in pools}]
    if missing:
        raise StoreError(
            f"the data directory also has pool {', '.join(missing)}: name it with --pool, or use another directory"
        )
    for pool in pools:
        row = present.get(pool.name)
        if row is None:
            _create(db, pool, rng, now)
        elif pool.size_bytes < row["size_bytes"]:
            raise StoreError(f"pool {pool.name} has {row['size_bytes']} bytes and cannot shrink to {pool.size_bytes}")
        elif pool.size_bytes > row["size_bytes"]:
            db.run("update pool set size_bytes = ? where id = ?", (pool.size_bytes, row["id"]))


def _create(db: Store, pool: Pool, rng: random.Random, now: float) -> None:
    pool_id = db.insert(
        "insert into pool (name, guid, size_bytes, txg) values (?, ?, ?, 4)",
        (pool.name, str(rng.getrandbits(63)), pool.size_bytes),
    )
    db.insert(
        "insert into dataset (name, pool, pool_name, type, guid, createtxg, created_at, local)"
        " values (?, ?, ?, 'FILESYSTEM', ?, 1, ?, ?)",
        (pool.name, pool_id, pool.name, str(rng.getrandbits(63)), int(now), orjson.dumps(ROOT_SETTINGS).decode()),
    )


def next_txg(db: Store, pool_id: int) -> int:
    """Begin a new transaction group of the pool; its number is larger than all before."""
    row = db.one("update pool set txg = txg + 1 where id = ? returning txg", (pool_id,))
    if row is None:
        raise LookupError(f"no pool {pool_id}")
    return int(row[0])
