"""pool.* (TrueNAS API 25.10)."""

from collections.abc import Mapping, Sequence
from typing import Any

from fake_truenas import zfs
from fake_truenas.context import Ctx
from fake_truenas.crud import Source, add_queries
from fake_truenas.plan import Column
from fake_truenas.registry import Namespace
from fake_truenas.schema import Int
from fake_truenas.store import Row
from fake_truenas.vdevs import topology

pool = Namespace("pool")
namespaces = (pool,)


def _entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG001 - as for all sources
    return [_entry(row) for row in rows]


def _entry(row: Row) -> dict[str, Any]:
    # Blocks only: what reservations hold back is not allocated.
    size, allocated = row["size_bytes"], row["allocated"]
    free = max(0, size - allocated)
    return {
        "id": row["id"],
        "name": row["name"],
        "guid": row["guid"],
        "path": f"/mnt/{row['name']}",
        "status": "ONLINE",
        "status_code": "OK",
        "status_detail": None,
        "healthy": True,
        "warning": False,
        "expand": None,
        "scan": None,
        "is_upgraded": True,
        "size": size,
        "allocated": allocated,
        "free": free,
        "freeing": 0,
        "dedup_table_size": 0,
        "dedup_table_quota": "auto",
        "fragmentation": "0",
        "size_str": zfs.human_size(size),
        "allocated_str": zfs.human_size(allocated),
        "free_str": zfs.human_size(free),
        "freeing_str": "0",
        "autotrim": {"parsed": "off", "rawvalue": "off", "source": "DEFAULT", "value": "off"},
        "topology": topology(row, allocated),
    }


POOLS = Source(
    type_name="Pool",
    table="pool",
    columns={"id": Column("id", int), "name": Column("name")},
    entries=_entries,
)

add_queries(pool, POOLS, Int())
