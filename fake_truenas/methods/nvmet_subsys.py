"""nvmet.subsys.* and nvmet.namespace.*: what hosts connect to, and the devices in it (TrueNAS API 25.10).

Namespaces vanish with their zvol, or with the file system of their file; the subsystem stays. They do not follow a
renamed one, as on the real server.
"""

from collections.abc import Mapping, Sequence
from sqlite3 import IntegrityError
from typing import Any

from fake_truenas import directories
from fake_truenas.block_sessions import NVMET, drop_sessions, has_session
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.documents import Problems, Rules, add_crud, load, remove
from fake_truenas.errors import Unexpected
from fake_truenas.files import find_file, is_directory, make_file, remove_file
from fake_truenas.methods.nvmet_global import nvmet_config
from fake_truenas.nqn import MAX_LENGTH, NQN
from fake_truenas.registry import DatasetHooks, Namespace
from fake_truenas.schema import Bool, Enum, Field, Int, Nullable, Obj, Str
from fake_truenas.services import running
from fake_truenas.share_tables import (
    ISCSI_EXTENTS,
    NVMET_HOST_SUBSYSTEMS,
    NVMET_NAMESPACES,
    NVMET_PORT_SUBSYSTEMS,
    NVMET_SUBSYSTEMS,
)
from fake_truenas.store import Row
from fake_truenas.volumes import device_dataset, device_exists, device_path, mountpoint, pool_problem


class _Hooks(DatasetHooks):
    """Namespaces go with their zvol."""

    def busy(self, ctx: Ctx, name: str) -> str | None:
        """A connected host keeps the zvol open."""
        for found in NVMET_NAMESPACES.find(ctx.db, device_path=device_path(name)):
            if has_session(ctx.db, NVMET, found["subsys_id"]):
                return f"NVMe-oF namespace {found['nsid']} is in use"
        return None

    def detach(self, ctx: Ctx, name: str) -> None:
        """Remove enabled namespaces on it."""
        for found in [
            *NVMET_NAMESPACES.find(ctx.db, device_path=device_path(name)),
            *NVMET_NAMESPACES.below(ctx.db, "device_path", mountpoint(name)),
        ]:
            if found["enabled"]:
                remove(ctx, "nvmet.namespace", NVMET_NAMESPACES, found["id"])


subsys = Namespace("nvmet.subsys", since="25.10", tables=NVMET_SUBSYSTEMS.sql())
namespace = Namespace("nvmet.namespace", since="25.10", tables=NVMET_NAMESPACES.sql(), hooks=_Hooks())
namespaces = (subsys, namespace)


def _clean_subsys(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    own = old["id"] if old else None
    if NVMET_SUBSYSTEMS.find(ctx.db, name=data["name"], but=own):
        problems.add("name", "Object with this name already exists")
    subnqn = data["subnqn"] or f"{nvmet_config(ctx)['basenqn']}:{data['name']}"[:MAX_LENGTH]
    if data["ana"] is not None:
        problems.add("ana", "This platform does not support Asymmetric Namespace Access(ANA).")
    problems.check()
    if NVMET_SUBSYSTEMS.find(ctx.db, subnqn=subnqn, but=own):  # the real server leaves this to its database
        column = "services_nvmet_subsys.nvmet_subsys_subnqn"
        raise Unexpected(IntegrityError(f"(sqlite3.IntegrityError) UNIQUE constraint failed: {column}"))
    return {**data, "subnqn": subnqn, "serial": old["serial"] if old else f"{ctx.rng.getrandbits(80):020x}"}


def _subsys_entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:
    entries = [load(row) for row in rows]
    if extra.get("verbose"):
        for entry in entries:
            own = entry["id"]
            entry["hosts"] = [link["host_id"] for link in NVMET_HOST_SUBSYSTEMS.find(ctx.db, subsys_id=own)]
            entry["namespaces"] = [found["id"] for found in NVMET_NAMESPACES.find(ctx.db, subsys_id=own)]
            entry["ports"] = [link["port_id"] for link in NVMET_PORT_SUBSYSTEMS.find(ctx.db, subsys_id=own)]
    return entries


def _remove_subsys(ctx: Ctx, entry: Entry, options: Mapping[str, Any]) -> None:
    own, name = entry["id"], entry["name"]
    contained = NVMET_NAMESPACES.find(ctx.db, subsys_id=own)
    shown = NVMET_PORT_SUBSYSTEMS.find(ctx.db, subsys_id=own)
    if not options["force"]:
        problems = Problems("nvmet_subsys_delete")
        if contained:
            numbers = sorted(found["nsid"] for found in contained)
            some = ",".join(map(str, numbers[:3])) + (",..." if len(numbers) > 3 else "")
            count = "1 namespace" if len(numbers) == 1 else f"{len(numbers)} namespaces"
            problems.add("id", f"Subsystem {name} contains {count}: {some}")
        if shown:
            problems.add("id", f"Subsystem {name} visible on {len(shown)} {'port' if len(shown) == 1 else 'ports'}")
        problems.check()
    for found in contained:
        remove(ctx, "nvmet.namespace", NVMET_NAMESPACES, found["id"])
    for link in shown:
        remove(ctx, "nvmet.port_subsys", NVMET_PORT_SUBSYSTEMS, link["id"])
    for link in NVMET_HOST_SUBSYSTEMS.find(ctx.db, subsys_id=own):
        remove(ctx, "nvmet.host_subsys", NVMET_HOST_SUBSYSTEMS, link["id"])
    drop_sessions(ctx.db, NVMET, own)


add_crud(
    subsys,
    NVMET_SUBSYSTEMS,
    Rules(
        type_name="NVMetSubsys",
        create=Obj(
            Field("name", Str(min_length=1)),
            Field("subnqn", Nullable(NQN), default=None),
            Field("allow_any_host", Bool(), default=False),
            Field("pi_enable", Nullable(Bool()), default=None),
            Field("qid_max", Nullable(Int()), default=None),
            Field("ieee_oui", Nullable(Str()), default=None),
            Field("ana", Nullable(Bool()), default=None),
        ),
        clean=_clean_subsys,
        argument="nvmet_subsys",
        schema="nvmet_subsys",
        entries=_subsys_entries,
        removed=_remove_subsys,
        delete_params=(Field("options", Obj(Field("force", Bool(), default=False)), default={}),),
    ),
)


def _free_nsid(ctx: Ctx, subsys_id: int) -> int:
    used = {found["nsid"] for found in NVMET_NAMESPACES.find(ctx.db, subsys_id=subsys_id)}
    return next(nsid for nsid in range(1, len(used) + 2) if nsid not in used)


def _check_device(ctx: Ctx, data: Entry, problems: Problems) -> None:
    device: str = data["device_path"]
    if data["device_type"] == "FILE":
        found = directories.find(ctx, device) if device.startswith("/mnt/") else None
        inside = found.dataset is not None if found else is_directory(ctx, device.rpartition("/")[0] or "/")
        if not device.startswith("/mnt/") or not inside or pool_problem(ctx, device):
            text = "FILE device_path must reside in an existing directory within volume mount point: "
            problems.add("device_path", f"{text}{device:.300}")
        elif found is not None and not found.is_file:
            problems.add("device_path", f"FILE device_path must not be a directory: {device:.300}")
    elif not device.startswith("zvol/"):
        problems.add("device_path", f'ZVOL device_path must start with "zvol/": {device:.300}')
    elif not device_exists(ctx, device_dataset(device)):
        problems.add("device_path", f"ZVOL device_path must be a block device: {device:.300}")


def _save_file(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> None:
    """Make the file of a namespace, or let it grow."""
    size, before = data["filesize"], (old["filesize"] or 0) if old else 0
    if find_file(ctx, data["device_path"]) is None:
        if not size:
            problems.add("filesize", "Must supply filesize if device_path FILE does not exist.")
            problems.check()
        make_file(ctx, data["device_path"], size)
    elif old is not None and size:
        if size < before:
            problems.add("filesize", "Shrinking an namespace file is not allowed. This can lead to data loss.")
            problems.check()
        make_file(ctx, data["device_path"], size)


def _clean_namespace(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    own = old["id"] if old else None
    subsys_id, nsid = data["subsys_id"], data["nsid"]
    if NVMET_SUBSYSTEMS.get(ctx.db, subsys_id) is None:
        problems.add("subsys_id", f"No subsystem with ID {subsys_id}")
    if nsid is None:
        nsid = _free_nsid(ctx, subsys_id)
    elif NVMET_NAMESPACES.find(ctx.db, subsys_id=subsys_id, nsid=nsid, but=own):
        problems.add("nsid", f"This record already exists (Subsystem ID: {subsys_id}/NSID: {nsid})")
    _check_device(ctx, data, problems)
    device = data["device_path"]
    if data["device_type"] == "ZVOL":
        device = device_path(device_dataset(device))
    for found in NVMET_NAMESPACES.find(ctx.db, device_path=device, but=own)[:1]:
        other = NVMET_SUBSYSTEMS.get(ctx.db, found["subsys_id"])
        name = other["name"] if other else found["subsys_id"]
        problems.add("device_path", f"This device_path already used by subsystem: {name}")
    for extent in ISCSI_EXTENTS.find(ctx.db, path=device)[:1]:
        problems.add("device_path", f"This device_path already used by iSCSI extent: {extent['name']}")
    if old and old["enabled"] and running(ctx.db, "nvmet"):
        before = {**old, "subsys_id": old["subsys"]["id"]}
        for key in ("nsid", "subsys_id", "device_type", "device_path"):
            if data[key] != before[key]:
                problems.add("", f"Cannot change {key} on an active namespace.  Disable first to allow change.")
    problems.check()
    if data["device_type"] == "FILE":
        _save_file(ctx, data, old, problems)
    return {
        **data,
        "nsid": nsid,
        "device_path": device,
        "device_uuid": old["device_uuid"] if old else ctx.nas.new_uuid(),
        "device_nguid": old["device_nguid"] if old else ctx.nas.new_uuid(),
    }


def _remove_namespace(ctx: Ctx, entry: Entry, options: Mapping[str, Any]) -> None:
    if options["remove"] and entry["device_type"] == "FILE":
        remove_file(ctx, entry["device_path"])


def _namespace_entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:  # noqa: ARG001 - given shape
    docs = [load(row) for row in rows]
    subsystems = NVMET_SUBSYSTEMS.by_id(ctx.db, (doc["subsys_id"] for doc in docs))
    for doc in docs:
        doc["subsys"] = subsystems[doc.pop("subsys_id")]
        doc["locked"] = False
    return docs


add_crud(
    namespace,
    NVMET_NAMESPACES,
    Rules(
        type_name="NVMetNamespace",
        create=Obj(
            Field("nsid", Nullable(Int(1, 0xFFFFFFFE)), default=None),
            Field("device_type", Enum("ZVOL", "FILE")),
            Field("device_path", Str()),
            Field("filesize", Nullable(Int()), default=None),
            Field("enabled", Bool(), default=True),
            Field("subsys_id", Int()),
        ),
        clean=_clean_namespace,
        argument="nvmet_namespace",
        schema="nvmet_namespace",
        entries=_namespace_entries,
        aliases={"subsys.id": "subsys_id"},
        removed=_remove_namespace,
        delete_params=(Field("options", Obj(Field("remove", Bool(), default=False)), default={}),),
    ),
)
