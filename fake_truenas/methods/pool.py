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

pool = Namespace("pool")
namespaces = (pool,)

_NO_ERRORS = {"read_errors": 0, "write_errors": 0, "checksum_errors": 0}


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
        "topology": _topology(row, allocated),
    }


def _topology(row: Row, allocated: int) -> dict[str, Any]:
    size = row["size_bytes"]
    stats = {
        "timestamp": 0,
        **_NO_ERRORS,
        "ops": [0] * 7,
        "bytes": [0] * 7,
        "size": size,
        "allocated": allocated,
        "free": max(0, size - allocated),
        "fragmentation": 0,
        "self_healed": 0,
        "configured_ashift": 12,
        "logical_ashift": 9,
        "physical_ashift": 12,
    }
    vdev: dict[str, Any] = {
        "name": "mirror-0",
        "type": "MIRROR",
        "path": None,
        "guid": str(int(row["guid"]) ^ 1),
        "status": "ONLINE",
        "stats": stats,
        "children": [],
        "unavail_disk": None,
    }
    return {"data": [vdev], "log": [], "cache": [], "spare": [], "special": [], "dedup": []}


POOLS = Source(
    type_name="Pool",
    table="pool",
    columns={"id": Column("id", int), "name": Column("name")},
    entries=_entries,
)

add_queries(pool, POOLS, Int())
