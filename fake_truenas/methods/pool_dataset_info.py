"""pool.dataset.*: choices, details, and what uses or locks a dataset (TrueNAS API 25.10).

Nothing is encrypted here, so nothing can be locked, and unlocking finds nothing to do.
"""

from collections.abc import Callable
from typing import Any

from fake_truenas import dataset_attachments
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.dataset_entries import dataset_entries
from fake_truenas.errors import CallError, MatchNotFound
from fake_truenas.jobs import JobRun
from fake_truenas.methods.pool_dataset import datasets, require
from fake_truenas.properties import CHECKSUMS, COMPRESSIONS, ENCRYPTIONS, RECORD_SIZES
from fake_truenas.registry import Job
from fake_truenas.schema import ABSENT, Bool, Field, List, Nullable, Obj, Str
from fake_truenas.share_tables import ISCSI_EXTENTS, ISCSI_TARGET_EXTENTS, ISCSI_TARGETS
from fake_truenas.steps import complete
from fake_truenas.volumes import device_path, mountpoint

namespaces = ()

_DETAILS = [
    "used", "available", "usedbysnapshots", "usedbydataset", "usedbychildren", "refquota", "quota", "refreservation",
    "reservation", "mountpoint", "encryption", "atime", "casesensitivity", "readonly",
]  # fmt: skip


@datasets.method("checksum_choices")
def checksum_choices(ctx: Ctx) -> dict[str, str]:  # noqa: ARG001 - given shape
    """What `checksum` can be set to, by itself."""
    return {name: name for name in CHECKSUMS if name != "OFF"}


@datasets.method("compression_choices")
def compression_choices(ctx: Ctx) -> dict[str, str]:  # noqa: ARG001 - given shape
    """What `compression` can be set to, by itself."""
    return {name: name for name in COMPRESSIONS}


@datasets.method("encryption_algorithm_choices")
def encryption_algorithm_choices(ctx: Ctx) -> dict[str, str]:  # noqa: ARG001 - given shape
    """Algorithms, by themselves; the server offers no encryption."""
    return {name: name for name in ENCRYPTIONS}


@datasets.method("recordsize_choices", Field("pool_name", Nullable(Str()), default=None))
def recordsize_choices(ctx: Ctx, pool_name: str | None) -> list[str]:  # noqa: ARG001 - given shape
    """What `recordsize` can be set to; the same for all pools, as none is a dRAID."""
    return list(RECORD_SIZES)


@datasets.method("recommended_zvol_blocksize", Field("pool", Str()))
def recommended_zvol_blocksize(ctx: Ctx, pool: str) -> str:
    """The volblocksize that suits a pool: that of a mirror.

    Raises:
        MatchNotFound: there is no such pool.
    """
    if ctx.db.value("select 1 from pool where name = ?", (pool,)) is None:
        raise MatchNotFound
    return "16K"


@datasets.method("attachments", Field("id", Str()))
def attachments(ctx: Ctx, name: str) -> list[Entry]:
    """What shares or exports a dataset and what is below it: what a delete would remove.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
    """
    return dataset_attachments.attachments(ctx, require(ctx, name)["name"])


@datasets.method("processes", Field("id", Str()))
def processes(ctx: Ctx, name: str) -> list[Entry]:
    """Processes with open files in a dataset: there are none here.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
    """
    require(ctx, name)
    return []


@datasets.method("details")
def details(ctx: Ctx) -> list[Entry]:
    """The pools' root datasets with all below them in `children`, each with what uses it."""
    rows = ctx.db.rows("select * from dataset where parent is null order by name")
    roots = dataset_entries(ctx, rows, {"flat": False, "properties": _DETAILS, "snapshots_count": True})
    tasks = _task_counts(ctx)
    waiting = list(roots)
    while waiting:
        entry = waiting.pop()
        waiting += entry["children"]
        _add_details(ctx, entry, tasks)
    return roots


def _task_counts(ctx: Ctx) -> Callable[[str], int]:
    """How many periodic snapshot tasks a dataset has."""
    method = ctx.nas.registry.methods.get("pool.snapshottask.query")
    found = [] if method is None else complete(method.handler(ctx, *method.validate([[], {"select": ["dataset"]}])))
    names = [task["dataset"] for task in found]
    return names.count


def _add_details(ctx: Ctx, entry: Entry, tasks: Callable[[str], int]) -> None:
    name = entry["id"]
    path = mountpoint(name)
    thick = any(entry[key]["value"] for key in ("reservation", "refreservation"))
    inside = path + "/"

    def own(shared: str) -> bool:
        """Whether a path is in this file system and not in one below."""
        below = [child["mountpoint"] for child in entry["children"] if child["mountpoint"]]
        return shared == path or (
            shared.startswith(inside) and not any(shared == one or shared.startswith(one + "/") for one in below)
        )

    nfs = [share for share in dataset_attachments.nfs_shares(ctx, name) if own(share["path"])]
    smb = [share for share in dataset_attachments.smb_shares(ctx, name) if own(share["path"])]
    entry |= {
        "thick_provisioned": thick,
        "atime": entry["atime"]["parsed"] if "atime" in entry else True,
        "casesensitive": entry.pop("casesensitivity", {"parsed": "sensitive"})["parsed"] == "sensitive",
        "nfs_shares": [{"enabled": share["enabled"], "path": share["path"]} for share in nfs],
        "smb_shares": [
            {"enabled": share["enabled"], "path": share["path"], "share_name": share["name"]} for share in smb
        ],
        "iscsi_shares": _iscsi_shares(ctx, name, thick=thick),
        "vms": [],
        "apps": [],
        "replication_tasks_count": 0,
        "snapshot_tasks_count": tasks(name),
        "cloudsync_tasks_count": 0,
        "rsync_tasks_count": 0,
    }


def _iscsi_shares(ctx: Ctx, name: str, *, thick: bool) -> list[Entry]:
    """Extents on a zvol that a target with groups shows."""
    found = []
    for extent in ISCSI_EXTENTS.find(ctx.db, path=device_path(name)):
        links = ISCSI_TARGET_EXTENTS.find(ctx.db, extent=extent["id"])
        targets = [ISCSI_TARGETS.get(ctx.db, link["target"]) for link in links]
        shown = {"enabled": extent["enabled"], "type": "DISK", "path": f"/dev/{extent['path']}"}
        found += [{**shown, "thick_provisioned": thick} for target in targets if target and target["groups"]]
    return found


_KEY = Str(min_length=64, max_length=64, secret=True)
_UNLOCKED = Obj(
    Field("force", Bool(), default=False),
    Field("name", Str(min_length=1)),
    Field("key", _KEY, ABSENT),
    Field("passphrase", Str(min_length=1, secret=True), ABSENT),
    Field("recursive", Bool(), default=False),
)


@datasets.method(
    "lock",
    Field("id", Str()),
    Field("options", Obj(Field("force_umount", Bool(), default=False)), default={}),
    job=Job(lock=lambda *_: "dataset_lock"),
)
async def lock(ctx: Ctx, job: JobRun, name: str, options: dict[str, Any]) -> bool:  # noqa: ARG001 - given shape
    """Forget an encrypted dataset's key.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
        CallError: it is not encrypted.
    """
    require(ctx, name)
    raise CallError(f"{name} is not encrypted")


@datasets.method(
    "unlock",
    Field("id", Str()),
    Field(
        "options",
        Obj(
            Field("force", Bool(), default=False),
            Field("key_file", Bool(), default=False),
            Field("recursive", Bool(), default=False),
            Field("toggle_attachments", Bool(), default=True),
            Field("datasets", List(_UNLOCKED), default=()),
        ),
        default={},
    ),
    job=Job(lock=lambda name, _: f"dataset_unlock_{name}"),
)
async def unlock(ctx: Ctx, job: JobRun, name: str, options: dict[str, Any]) -> Entry:  # noqa: ARG001 - given shape
    """Load the keys of locked datasets: of none, as none is encrypted.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
    """
    require(ctx, name)
    return {"unlocked": [], "failed": {}}
