"""What shares or exports a dataset, for the methods that show it."""

from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.documents import load
from fake_truenas.plan import prefix_range
from fake_truenas.share_tables import ISCSI_EXTENTS, NFS_SHARES, NVMET_NAMESPACES
from fake_truenas.volumes import device_path, mountpoint


def nfs_shares(ctx: Ctx, name: str) -> list[Entry]:
    """NFS shares at a dataset's mount point and below, by id."""
    return _at_or_under(ctx, NFS_SHARES.table, "path", mountpoint(name))


def smb_shares(ctx: Ctx, name: str) -> list[Entry]:
    """SMB shares at a dataset's mount point and below, by id."""
    return _at_or_under(ctx, "smb_share", "path", mountpoint(name))


def _at_or_under(ctx: Ctx, table: str, column: str, path: str) -> list[Entry]:
    below, args = prefix_range(column, path + "/")
    rows = ctx.db.rows(
        f"select id, doc from {table} where {column} = ?"  # noqa: S608 - built from constants
        f" union all select id, doc from {table} where {below} order by id",
        (path, *args),
    )
    return [load(row) for row in rows]


def extents(ctx: Ctx, name: str) -> list[Entry]:
    """Extents (iSCSI) on zvols at a dataset's name and below, by id."""
    return _at_or_under(ctx, ISCSI_EXTENTS.table, "path", device_path(name))


def nvme_namespaces(ctx: Ctx, name: str) -> list[Entry]:
    """Namespaces (NVMe-oF) on zvols at a dataset's name and below, by id."""
    return _at_or_under(ctx, NVMET_NAMESPACES.table, "device_path", device_path(name))


def attachments(ctx: Ctx, name: str) -> list[Entry]:
    """What depends on a dataset and is enabled: `{type, service, attachments: [name, ...]}` for each kind."""
    found = (
        ("NFS Share", "nfs", [share["path"] for share in nfs_shares(ctx, name) if share["enabled"]]),
        ("SMB Share", "cifs", [share["name"] for share in smb_shares(ctx, name) if share["enabled"]]),
        ("iSCSI Extent", "iscsitarget", [one["name"] for one in extents(ctx, name) if one["enabled"]]),
        (
            "NVMe-oF Namespace", "nvmet",
            [one["device_path"] for one in nvme_namespaces(ctx, name) if one["enabled"]],
        ),
    )  # fmt: skip
    return [{"type": kind, "service": service, "attachments": names} for kind, service, names in found if names]
