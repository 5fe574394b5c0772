"""filesystem.*: directories, the files of extents and namespaces, and their permissions (TrueNAS API 25.10).

`setacl`, `setperm` and `chown` are jobs of one lock; what they refuse is the job's failure.
"""

import stat as modes
from typing import Any

from fake_truenas import acls, directories, permissions
from fake_truenas.checked import UNIX_MODE
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.directories import MOUNTS, Directory, DirectoryHooks
from fake_truenas.errors import CallError, Unexpected
from fake_truenas.filesystem_params import CHOWN, SETACL, SETPERM
from fake_truenas.jobs import JobRun
from fake_truenas.query import QUERY_OPTIONS, filter_list
from fake_truenas.registry import Job, Namespace
from fake_truenas.schema import Bool, Field, Json, List, Obj, Str
from fake_truenas.unix_ids import group_name, user_name

EPERM, ENOENT, EEXIST, ENOTDIR, EINVAL, EROFS = 1, 2, 17, 20, 22, 30

_ALLOCATED_BYTES = 512
_FIRST_DEVICE = 40
_FIRST_MOUNT = 100

filesystem = Namespace("filesystem", tables=directories.TABLES, hooks=DirectoryHooks())
namespaces = (filesystem,)

_PATH = Str(min_length=1)


def _require(ctx: Ctx, path: str, text: str) -> Directory:
    found = directories.find(ctx, path)
    if found is None:
        raise CallError(text, ENOENT)
    return found


def _common(ctx: Ctx, directory: Directory) -> Entry:
    pk = 0 if directory.dataset is None else directory.dataset["pk"]
    return {
        "realpath": directory.path,
        "type": "FILE" if directory.is_file else "DIRECTORY",
        "size": 2 + directories.count_children(ctx, directory)
        if directory.size_bytes is None
        else directory.size_bytes,
        "allocation_size": _ALLOCATED_BYTES,
        "mode": (modes.S_IFREG if directory.is_file else modes.S_IFDIR) | directory.mode,
        "mount_id": _FIRST_MOUNT + pk,
        "acl": directories.acl_in_force(ctx, directory) is not None,
        "uid": directory.uid,
        "gid": directory.gid,
        "is_mountpoint": directory.is_mountpoint,
        "is_ctldir": False,
        "attributes": ["MOUNT_ROOT"] if directory.is_mountpoint else [],
    }


def _listed(ctx: Ctx, directory: Directory) -> Entry:
    name = directory.path.rpartition("/")[2]
    own = {"name": name, "path": directory.path, "xattrs": [], "zfs_attrs": ["ARCHIVE"]}
    return own | _common(ctx, directory)


@filesystem.method("stat", Field("path", _PATH))
def stat(ctx: Ctx, path: str) -> Entry:
    """What statx says of a path.

    Raises:
        CallError: ENOENT, or EINVAL for a path that is not absolute.
    """
    found = _require(ctx, path, f"Path {path} not found")
    pk = 0 if found.dataset is None else found.dataset["pk"]
    entry = _common(ctx, found)
    times = {"atime": found.atime, "mtime": found.mtime, "ctime": found.ctime, "btime": found.btime}
    numbers = {"dev": _FIRST_DEVICE + pk, "inode": found.inode, "nlink": 1 if found.is_file else entry["size"]}
    return entry | times | numbers | {"user": user_name(found.uid), "group": group_name(found.gid)}


@filesystem.method("statfs", Field("path", _PATH))
def statfs(ctx: Ctx, path: str) -> Entry:
    """The file system of a path and its space.

    Raises:
        CallError: ENOENT.
    """
    found = directories.find(ctx, path) if path.startswith("/") else None
    if found is None or found.dataset is None:
        raise CallError("Path not found.", ENOENT)
    dataset = found.dataset
    used, available = directories.space_bytes(ctx, dataset)
    block = int(directories.setting(ctx, dataset, "recordsize"))
    total, free = (used + available) // block, available // block
    files = available // _ALLOCATED_BYTES
    entry: Entry = {
        "flags": _mount_flags(ctx, found),
        "fstype": "zfs",
        "source": dataset["name"],
        "dest": MOUNTS + "/" + dataset["name"],
        "blocksize": block,
        "files": files + 1,
        "free_files": files,
        "name_max": 255,
        "fsid": str(int(dataset["guid"]) & 0xFFFFFFFF),
    }
    counts = {"total": total, "free": free, "avail": free}
    sizes = {f"{word}_blocks": number for word, number in counts.items()}
    sizes |= {f"{word}_bytes": number * block for word, number in counts.items()}
    return entry | sizes | {f"{key}_str": str(number) for key, number in sizes.items()}


def _mount_flags(ctx: Ctx, found: Directory) -> list[str]:
    assert found.dataset is not None  # noqa: S101 - asked for datasets only

    def on(key: str, word: str) -> bool:
        assert found.dataset is not None  # noqa: S101 - as above
        return directories.setting(ctx, found.dataset, key) == word

    access = {acls.NFS4: "NFS4ACL", acls.POSIX1E: "POSIXACL", acls.DISABLED: "NOACL"}
    return [
        "RO" if on("readonly", "on") else "RW",
        *(["NOATIME"] if on("atime", "off") else []),
        *(["NOEXEC"] if on("exec", "off") else []),
        "XATTR",
        access[directories.acl_type(ctx, found)],
        "CASEINSENSITIVE" if on("casesensitivity", "insensitive") else "CASESENSITIVE",
    ]


@filesystem.method(
    "listdir",
    Field("path", _PATH),
    Field("query-filters", List(Json()), default=()),
    Field("query-options", QUERY_OPTIONS, default={}),
)
def listdir(ctx: Ctx, path: str, filters: list[Any], options: dict[str, Any]) -> Any:
    """What a directory holds, as a query.

    Raises:
        CallError: ENOENT, ENOTDIR, or EFAULT for the directory of the pools where ZFS attributes are wanted.
    """
    found = directories.find(ctx, path) if path.startswith("/") else None
    if found is None:
        raise CallError(f"Directory {path} does not exist", ENOENT)
    if found.is_file:
        raise CallError(f"Path {path} is not a directory", ENOTDIR)
    wanted = [item if isinstance(item, str) else item[:1] for item in options["select"]]
    if found.dataset is None and not options["count"] and (not wanted or "zfs_attrs" in wanted):
        raise CallError(f"{path}: ZFS attributes are not supported.")
    entries = [_listed(ctx, child) for child in directories.children(ctx, found)]
    return filter_list(entries, filters, options)


_MKDIR_OPTIONS = Obj(Field("mode", UNIX_MODE, default="755"), Field("raise_chmod_error", Bool(), default=True))


@filesystem.method(
    "mkdir", Field("filesystem_mkdir", Obj(Field("path", _PATH), Field("options", _MKDIR_OPTIONS, default={})))
)
def mkdir(ctx: Ctx, data: Entry) -> Entry:
    """Make a directory, owned by root; gives its listing.

    Raises:
        CallError: EINVAL, not absolute; EEXIST; EPERM, not below /mnt; EINVAL with the system's text when its
            parent is missing, the file system is read-only or a restricted access list forbids the mode.
    """
    path, options = data["path"], data["options"]
    if not path.startswith("/"):
        raise CallError(f"{path}: not an absolute path.", EINVAL)
    if directories.find(ctx, path) is not None:
        raise CallError(f"{path}: path already exists.", EEXIST)
    plain = directories.normalized(path)
    if not plain.startswith(MOUNTS + "/"):
        raise CallError(f"{path}: path not permitted", EPERM)
    above, _, name = plain.rpartition("/")
    parent = directories.find(ctx, above)
    if parent is None:
        raise Unexpected(OSError(ENOENT, "No such file or directory", path))
    if parent.is_file:
        raise Unexpected(OSError(ENOTDIR, "Not a directory", path))
    if parent.dataset is None or directories.setting(ctx, parent.dataset, "readonly") == "on":
        raise Unexpected(OSError(EROFS, "Read-only file system", path))
    mode, acl = _new_permissions(ctx, parent, path, options)
    return {**_listed(ctx, directories.make(ctx, parent, name, mode, acl)), "path": path}


def _new_permissions(ctx: Ctx, parent: Directory, path: str, options: Entry) -> tuple[int, list[acls.Ace] | None]:
    kind, mode = directories.acl_type(ctx, parent), int(options["mode"], 8)
    acl = acls.inherited(kind, directories.acl_in_force(ctx, parent))
    if acl is None or parent.dataset is None:
        return mode, None
    aclmode = directories.setting(ctx, parent.dataset, "aclmode")
    if kind == acls.NFS4 and acls.mode_of(kind, acl) != mode:
        if aclmode == "restricted" and options["raise_chmod_error"]:
            raise Unexpected(OSError(EPERM, "Operation not permitted", path))
        if aclmode == "restricted":
            return acls.mode_of(kind, acl), acl
        if aclmode == "discard":
            return mode, None
    return mode, acls.chmod(kind, acl, mode)


@filesystem.method(
    "getacl",
    Field("path", _PATH),
    Field("simplified", Bool(), default=True),
    Field("resolve_ids", Bool(), default=False),
)
def getacl(ctx: Ctx, path: str, simplified: bool, resolve_ids: bool) -> Entry:
    """The access list of a directory, in the form of its file system's acltype.

    Raises:
        CallError: ENOENT.
    """
    found = directories.find(ctx, path) if path.startswith("/") else None
    if found is None:
        raise CallError("Path not found.", ENOENT)
    kind = directories.acl_type(ctx, found)
    stored = directories.acl_in_force(ctx, found)
    entries = None
    if kind != acls.DISABLED:
        entries = stored if stored is not None else acls.trivial(kind, found.mode)
        if kind == acls.NFS4 and simplified:
            entries = [acls.simplified(ace) for ace in entries]
        if resolve_ids:
            entries = [{**ace, "who": _who(found, ace)} for ace in entries]
    return {
        "path": path,
        "user": user_name(found.uid) if resolve_ids else None,
        "group": group_name(found.gid) if resolve_ids else None,
        "uid": found.uid,
        "gid": found.gid,
        "acltype": kind,
        "acl": entries,
        "trivial": stored is None,
        **({"aclflags": found.aclflags} if kind == acls.NFS4 else {}),
    }


def _who(found: Directory, ace: acls.Ace) -> str | None:
    match ace["tag"]:
        case "USER":
            return user_name(ace["id"])
        case "GROUP":
            return group_name(ace["id"])
        case "owner@" | "USER_OBJ":
            return user_name(found.uid)
        case "group@" | "GROUP_OBJ":
            return group_name(found.gid)
    return None


_JOB = Job(lock=lambda data: "perm_change")  # noqa: ARG005 - one lock for all paths


@filesystem.method("setacl", Field("filesystem_acl", SETACL), job=_JOB)
async def setacl(ctx: Ctx, job: JobRun, data: Entry) -> Entry:
    """Give a directory an access list, or take it away; a job whose result is the new list.

    Raises:
        ValidationErrors: an entry, an account or the path does not fit.
        CallError: ENOENT; EOPNOTSUPP, the file system has no access lists.
    """
    job.progress(0, "Preparing to set acl.")
    with ctx.transaction():
        permissions.set_acl(ctx, data)
        return getacl(ctx, data["path"], simplified=True, resolve_ids=False)


@filesystem.method("setperm", Field("filesystem_setperm", SETPERM), job=_JOB)
async def setperm(ctx: Ctx, job: JobRun, data: Entry) -> None:
    """Set the permission bits, taking an access list away; a job.

    Raises:
        ValidationErrors: there is an access list and `stripacl` is off, or the mode, an account or the path does not
            fit.
        CallError: ENOENT.
    """
    job.progress(0, "Preparing to set permissions.")
    with ctx.transaction():
        permissions.set_mode(ctx, data)


@filesystem.method("chown", Field("filesystem_chown", CHOWN), job=_JOB)
async def chown(ctx: Ctx, job: JobRun, data: Entry) -> None:
    """Give a directory another owner or group; a job.

    Raises:
        ValidationErrors: an account or the path does not fit.
        CallError: ENOENT.
    """
    job.progress(0, "Preparing to change owner.")
    with ctx.transaction():
        permissions.set_owner(ctx, data)
