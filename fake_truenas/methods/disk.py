"""disk.*: the disks that the pools consist of (TrueNAS API 25.10). There are no others, and they never fail."""

from typing import Any

from fake_truenas.context import Ctx
from fake_truenas.errors import does_not_exist
from fake_truenas.query import QUERY_OPTIONS, QUERY_PARAMS, filter_list
from fake_truenas.registry import Namespace
from fake_truenas.schema import Field, Str
from fake_truenas.vdevs import Disk, disks_of

disk = Namespace("disk")
namespaces = (disk,)


@disk.method("query", *QUERY_PARAMS)
def query(ctx: Ctx, filters: list[Any], options: dict[str, Any]) -> Any:
    """The disks; `extra.pools` says which pool each one belongs to."""
    return filter_list(_entries(ctx, options["extra"]), filters, options)


@disk.method("get_instance", Field("id", Str()), Field("options", QUERY_OPTIONS, default={}))
def get_instance(ctx: Ctx, identifier: str, options: dict[str, Any]) -> dict[str, Any]:
    """Give the disk with this identifier."""
    for entry in _entries(ctx, options["extra"]):
        if entry["identifier"] == identifier:
            return entry
    raise does_not_exist("Disk", identifier)


def _entries(ctx: Ctx, extra: dict[str, Any]) -> list[dict[str, Any]]:
    pools = ctx.db.rows("select id, name, guid, size_bytes from pool order by id")
    return [_entry(ctx, found, with_pool=bool(extra.get("pools"))) for row in pools for found in disks_of(row)]


def _entry(ctx: Ctx, found: Disk, *, with_pool: bool) -> dict[str, Any]:
    watched = {"togglesmart": True, "smartoptions": "", "critical": None, "difference": None, "informational": None}
    return {
        "identifier": f"{{serial}}{found.serial}",
        "name": found.name,
        "subsystem": "scsi",
        "number": found.device_number,
        "serial": found.serial,
        "lunid": None,
        "size": found.size_bytes,
        "description": "",
        "transfermode": "Auto",
        "hddstandby": "ALWAYS ON",
        "advpowermgmt": "DISABLED",
        **({} if ctx.nas.persona.at_least("25.10") else watched),
        "expiretime": None,
        "model": "Virtual_Disk",
        "rotationrate": None,
        "type": "SSD",
        "zfs_guid": found.guid,
        "bus": "SCSI",
        "devname": found.name,
        "enclosure": None,
        "pool": found.pool if with_pool else None,
    }
