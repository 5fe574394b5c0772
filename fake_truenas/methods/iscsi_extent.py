"""iscsi.extent.*: zvols and files that targets show as LUNs (TrueNAS API 25.10).

Extents vanish with their zvol, or with the file system that their file is in, together with their target-extent rows
and the targets that then show nothing. They do not follow a renamed zvol: the real server warns that renaming breaks
shares, and lets it happen.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fake_truenas import directories
from fake_truenas.block_sessions import ISCSI, has_session
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.documents import Problems, Rules, add_crud, load, remove
from fake_truenas.errors import CallError, invalid
from fake_truenas.files import find_file, make_file, remove_file
from fake_truenas.methods.iscsi_target import remove_orphan_target
from fake_truenas.registry import DatasetHooks, Namespace
from fake_truenas.schema import AnyOf, Bool, Enum, Field, Int, Nullable, Obj, Str
from fake_truenas.share_tables import (
    ISCSI_EXTENTS,
    ISCSI_TARGET_EXTENTS,
    ISCSI_TARGETS,
    NVMET_NAMESPACES,
    NVMET_SUBSYSTEMS,
)
from fake_truenas.store import Row
from fake_truenas.volumes import device_dataset, device_exists, device_path, mountpoint, pool_problem

_MAX_SERIAL = 20


class _Hooks(DatasetHooks):
    """Extents go with their zvol, or with the file system of their file."""

    def busy(self, ctx: Ctx, name: str) -> str | None:
        """A logged-in initiator keeps the zvol open."""
        for extent in ISCSI_EXTENTS.find(ctx.db, path=device_path(name)):
            for link in ISCSI_TARGET_EXTENTS.find(ctx.db, extent=extent["id"]):
                if has_session(ctx.db, ISCSI, link["target"]):
                    return f"iSCSI extent {extent['name']} is in use"
        return None

    def detach(self, ctx: Ctx, name: str) -> None:
        """Remove enabled extents on it, what links them to targets, and targets that this leaves empty."""
        on_it = ISCSI_EXTENTS.find(ctx.db, path=device_path(name))
        for extent in [*on_it, *ISCSI_EXTENTS.below(ctx.db, "path", mountpoint(name))]:
            if not extent["enabled"]:
                continue
            links = ISCSI_TARGET_EXTENTS.find(ctx.db, extent=extent["id"])
            for link in links:
                remove(ctx, "iscsi.targetextent", ISCSI_TARGET_EXTENTS, link["id"])
            remove(ctx, "iscsi.extent", ISCSI_EXTENTS, extent["id"])
            for link in links:
                remove_orphan_target(ctx, link["target"])


extent = Namespace("iscsi.extent", tables=ISCSI_EXTENTS.sql(), hooks=_Hooks())
namespaces = (extent,)


def _check_disk(ctx: Ctx, data: Entry, own: int | None, problems: Problems) -> str:
    disk: str = data["disk"] or ""
    if not disk:
        problems.add("disk", "This field is required")
    elif not disk.startswith("zvol/"):
        problems.add("disk", 'Disk name must start with "zvol/"')
    problems.check()
    name = device_dataset(disk)
    path = device_path(name)
    _check_namespaces(ctx, path, "disk", "Disk", problems)
    if not device_exists(ctx, name):
        problems.add("disk", f"Device '/dev/{disk}' for volume '{name}' does not exist")
    if "@" in name and not data["ro"]:
        problems.add("ro", "Must be set when disk is a ZFS Snapshot")
    for other in ISCSI_EXTENTS.find(ctx.db, path=path, but=own)[:1]:
        problems.add("disk", f"Disk currently in use by extent {other['name']}")
    return path


def _check_namespaces(ctx: Ctx, path: str, field: str, noun: str, problems: Problems) -> None:
    """Refuse at once what an NVMe-oF namespace shows."""
    for namespace in NVMET_NAMESPACES.find(ctx.db, device_path=path)[:1]:
        subsystem = NVMET_SUBSYSTEMS.get(ctx.db, namespace["subsys_id"])
        name = subsystem["name"] if subsystem else str(namespace["subsys_id"])
        problems.add(field, f"{noun} currently in use by NVMe-oF subsystem {name} NSID {namespace['nsid']}")
        problems.check()


def _check_file(ctx: Ctx, data: Entry, own: int | None, problems: Problems) -> str:
    path: str = data["path"] or ""
    if not path:
        problems.add("path", "This field is required")
        problems.check()
    problem = pool_problem(ctx, directories.normalized(path)) if path.startswith("/mnt/") else pool_problem(ctx, path)
    found = directories.find(ctx, path) if problem is None else None
    if found is not None and (not found.is_file or path.endswith("/")):
        problems.add("path", "You need to specify a filepath not a directory")
    if problem:
        problems.add("path", problem)
    if " " in path:
        problems.add("path", "Filepath may not contain space characters")
    _check_namespaces(ctx, path, "path", "File", problems)
    for other in ISCSI_EXTENTS.find(ctx.db, path=path, but=own)[:1]:
        problems.add("path", f"File currently in use by extent {other['name']}")
    size = int(data["filesize"])
    if size == 0 and (found is None or not found.is_file):
        problems.add("path", "The file must exist if the extent size is set to auto (0)")
    elif size % data["blocksize"]:
        problems.add("filesize", f"File size ({size}) must be a multiple of block size ({data['blocksize']})")
    return path


def _save_file(ctx: Ctx, data: Entry, old: Entry | None) -> None:
    """Make the file of an extent, or let it grow."""
    size = int(data["filesize"])
    before = int(old["filesize"]) if old else 0
    if size < before and find_file(ctx, data["path"]) is not None:
        # The real server names create's object even in an update.
        text = "Shrinking an extent is not allowed. This can lead to data loss."
        raise invalid("iscsi_extent_create.filesize", text)
    if old is None and find_file(ctx, data["path"]) is not None:
        return  # what is there is shown as it is
    make_file(ctx, data["path"], size)


def _check_names(ctx: Ctx, data: Entry, serial: str, own: int | None, problems: Problems) -> None:
    if '"' in data["name"]:
        problems.add("name", "Double quotes are not allowed")
    if ISCSI_EXTENTS.find(ctx.db, name=data["name"], but=own):
        problems.add("name", "Extent name must be unique")
    if '"' in serial:
        problems.add("serial", "Double quotes are not allowed")
    if len(serial) > _MAX_SERIAL:
        problems.add("serial", f"Extent serial can not exceed {_MAX_SERIAL} characters")
    if ISCSI_EXTENTS.find(ctx.db, serial=serial, but=own):
        problems.add("serial", "Serial number must be unique")


def _clean(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    own = old["id"] if old else None
    serial = data["serial"] or f"{ctx.rng.getrandbits(60):015x}"
    _check_names(ctx, data, serial, own, problems)
    filesize = data["filesize"]
    if isinstance(filesize, str) and not (filesize.isascii() and filesize.isdigit()):
        problems.add("filesize", "File size must be a number of bytes")
        problems.check()
    disk = data["type"] == "DISK"
    path = _check_disk(ctx, data, own, problems) if disk else _check_file(ctx, data, own, problems)
    problems.check()
    if not disk:
        _save_file(ctx, data, old)
    return {
        **data,
        "serial": serial,
        "path": path,
        "disk": path if disk else None,
        "naa": old["naa"] if old else f"0x6589cfc000000{ctx.rng.getrandbits(76):019x}",
        "vendor": "TrueNAS",
    }


def _entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:  # noqa: ARG001 - given shape
    return [{**load(row), "locked": False} for row in rows]


def _remove(ctx: Ctx, entry: Entry, with_file: bool = False, force: bool = False) -> None:
    links = ISCSI_TARGET_EXTENTS.find(ctx.db, extent=entry["id"])
    used = [link["target"] for link in links if has_session(ctx.db, ISCSI, link["target"])]
    if used and not force:
        targets = ISCSI_TARGETS.by_id(ctx.db, used)
        names = ",".join(targets[target_id]["name"] for target_id in used if target_id in targets)
        raise CallError(f"Associated target(s) {names} {'is' if len(used) == 1 else 'are'} in use.")
    if with_file and entry["type"] == "FILE":
        remove_file(ctx, entry["path"])
    for link in links:
        remove(ctx, "iscsi.targetextent", ISCSI_TARGET_EXTENTS, link["id"])


add_crud(
    extent,
    ISCSI_EXTENTS,
    Rules(
        type_name="iSCSITargetExtent",
        create=Obj(
            Field("name", Str(min_length=1, max_length=64)),
            Field("type", Enum("DISK", "FILE"), default="DISK"),
            Field("disk", Nullable(Str()), default=None),
            Field("serial", Nullable(Str()), default=None),
            Field("path", Nullable(Str()), default=None),
            Field("filesize", AnyOf(Str(max_length=20), Int(0)), default="0"),
            Field("blocksize", Enum(512, 1024, 2048, 4096), default=512),
            Field("pblocksize", Bool(), default=False),
            Field("avail_threshold", Nullable(Int(1, 99)), default=None),
            Field("comment", Str(), default=""),
            Field("insecure_tpc", Bool(), default=True),
            Field("xen", Bool(), default=False),
            Field("rpm", Enum("UNKNOWN", "SSD", "5400", "7200", "10000", "15000"), default="SSD"),
            Field("ro", Bool(), default=False),
            Field("enabled", Bool(), default=True),
            Field("product_id", Nullable(Str(min_length=1, max_length=16)), default=None),
        ),
        clean=_clean,
        argument="iscsi_extent",
        schema="iscsi_extent",
        entries=_entries,
        removed=_remove,
        delete_params=(Field("remove", Bool(), default=False), Field("force", Bool(), default=False)),
    ),
)
