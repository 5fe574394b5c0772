"""Directories inside file systems: which there are, who owns them and who may use them.

The only files are those that extents and namespaces show (`fake_truenas.files`): they have a size and no content.

A row belongs to a dataset, not to its name, so renaming costs nothing. `snapshot` 0 are the present directories; a
snapshot gets a copy of them, and clones, rollback and promotion start from that copy. The root of a file system has a
row only once it differs from what a new one is.
"""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from fake_truenas import acls
from fake_truenas.context import Ctx
from fake_truenas.dataset_entries import Builder
from fake_truenas.errors import CallError, Unexpected
from fake_truenas.plan import prefix_range
from fake_truenas.registry import DatasetHooks
from fake_truenas.store import Row
from fake_truenas.volumes import mountpoint

EINVAL = 22
MOUNTS = "/mnt"

_ENAMETOOLONG = 36
_LONGEST_COMPONENT = 255
_ROOT_INODE = 34
_FIRST_INODE = 128
_COLUMNS = "parent, name, inode, mode, uid, gid, acl, aclflags, atime, mtime, ctime, btime, size_bytes"

TABLES = """
create table directory (
    dataset integer not null,
    snapshot integer not null default 0,
    parent text not null,
    name text not null,
    inode integer not null,
    mode integer not null,
    uid integer not null,
    gid integer not null,
    acl text,
    aclflags text not null,
    atime real not null,
    mtime real not null,
    ctime real not null,
    btime real not null,
    size_bytes integer,
    primary key (dataset, snapshot, parent, name)
) without rowid;
create index directory_inode on directory (dataset, snapshot, inode);
"""

NO_FLAGS = {"autoinherit": False, "protected": False, "defaulted": False}


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory, or a file.

    Attributes:
        dataset: the row of its file system; None for the directory that the pools are mounted in.
        inside: path below the mount point, without a leading slash; empty for the root.
        inode: number within its file system.
        mode: permission bits.
        uid, gid: owners.
        acl: entries in full form, None where the bits say it all.
        aclflags: NFSv4.1 flags.
        atime, mtime, ctime, btime: seconds since the epoch.
        size_bytes: of a file; None for a directory.
    """

    dataset: Row | None
    inside: str
    inode: int
    mode: int
    uid: int
    gid: int
    acl: list[acls.Ace] | None
    aclflags: dict[str, bool]
    atime: float
    mtime: float
    ctime: float
    btime: float
    size_bytes: int | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is a file."""
        return self.size_bytes is not None

    @property
    def path(self) -> str:
        """Absolute path."""
        if self.dataset is None:
            return MOUNTS
        return mountpoint(self.dataset["name"]) + ("/" + self.inside if self.inside else "")

    @property
    def is_mountpoint(self) -> bool:
        """Whether it is the root of a file system."""
        return self.dataset is not None and not self.inside


def normalized(path: str) -> str:
    """An absolute path without empty and dot components.

    Raises:
        Unexpected: what the operating system refuses to look at.
    """
    if "\0" in path:
        raise Unexpected(ValueError("embedded null byte"))
    if any(len(part.encode()) > _LONGEST_COMPONENT for part in path.split("/")):
        raise Unexpected(OSError(_ENAMETOOLONG, "File name too long", path))
    return "/" + posixpath.normpath(path).lstrip("/")


def find(ctx: Ctx, path: str) -> Directory | None:
    """The directory or file at an absolute path, or None. Nothing outside of the pools exists.

    Raises:
        CallError: EINVAL, the path is not absolute.
    """
    if not path.startswith("/"):
        raise CallError(f"{path}: path must be absolute", EINVAL)
    path = normalized(path)
    if path == MOUNTS:
        started = ctx.nas.started_at
        return Directory(None, "", _ROOT_INODE, 0o755, 0, 0, None, NO_FLAGS, started, started, started, started)
    if not path.startswith(MOUNTS + "/"):
        return None
    name = path.removeprefix(MOUNTS + "/")
    dataset = _holding(ctx, name)
    if dataset is None:
        return None
    return at(ctx, dataset, name[len(dataset["name"]) + 1 :])


def is_in_the_way(ctx: Ctx, name: str, above: Sequence[Row]) -> bool:
    """Whether there is a directory or file at the mount point that a new dataset would have.

    Args:
        ctx: the call.
        name: of the dataset, valid and free.
        above: the datasets from the pool's root down to its nearest ancestor.
    """
    holding = next(row for row in reversed(above) if row["type"] == "FILESYSTEM")
    return at(ctx, holding, name[len(holding["name"]) + 1 :]) is not None


def _holding(ctx: Ctx, name: str) -> Row | None:
    parts = name.split("/")
    names = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    marks = ",".join("?" * len(names))
    return ctx.db.one(
        f"select * from dataset where name in ({marks}) and type = 'FILESYSTEM'"  # noqa: S608 - only marks are put in
        " order by length(name) desc limit 1",
        names,
    )


def at(ctx: Ctx, dataset: Row, inside: str) -> Directory | None:
    """The directory at a path below a file system's mount point, or None."""
    parent, _, name = inside.rpartition("/")
    row = ctx.db.one(
        f"select {_COLUMNS} from directory where dataset = ? and snapshot = 0 and parent = ? and name = ?",  # noqa: S608
        (dataset["pk"], parent, name),
    )
    if row is not None:
        return _load(dataset, row)
    if inside:
        return None
    made = float(dataset["created_at"])
    return Directory(dataset, "", _ROOT_INODE, 0o755, 0, 0, None, NO_FLAGS, made, made, made, made)


def _load(dataset: Row, row: Row) -> Directory:
    return Directory(
        dataset=dataset,
        inside=f"{row['parent']}/{row['name']}" if row["parent"] else row["name"],
        inode=row["inode"],
        mode=row["mode"],
        uid=row["uid"],
        gid=row["gid"],
        acl=None if row["acl"] is None else orjson.loads(row["acl"]),
        aclflags=orjson.loads(row["aclflags"]),
        atime=row["atime"],
        mtime=row["mtime"],
        ctime=row["ctime"],
        btime=row["btime"],
        size_bytes=row["size_bytes"],
    )


def save(ctx: Ctx, directory: Directory) -> None:
    """Write a directory, new or changed."""
    assert directory.dataset is not None  # noqa: S101 - callers refuse the directory of the pools
    parent, _, name = directory.inside.rpartition("/")
    ctx.db.run(
        f"insert or replace into directory (dataset, {_COLUMNS}) values ({', '.join('?' * 14)})",  # noqa: S608
        (
            directory.dataset["pk"], parent, name, directory.inode, directory.mode, directory.uid, directory.gid,
            None if directory.acl is None else orjson.dumps(directory.acl).decode(),
            orjson.dumps(directory.aclflags).decode(),
            directory.atime, directory.mtime, directory.ctime, directory.btime, directory.size_bytes,
        ),
    )  # fmt: skip


def make(
    ctx: Ctx, parent: Directory, name: str, mode: int, acl: list[acls.Ace] | None, size_bytes: int | None = None
) -> Directory:
    """Add a directory, or a file of a size, to a directory; owned by root."""
    assert parent.dataset is not None  # noqa: S101 - as above
    highest = ctx.db.value(
        "select max(inode) from directory where dataset = ? and snapshot = 0", (parent.dataset["pk"],)
    )
    inode, now = max(_FIRST_INODE, (highest or 0) + 1), ctx.now()
    inside = f"{parent.inside}/{name}" if parent.inside else name
    made = Directory(parent.dataset, inside, inode, mode, 0, 0, acl, NO_FLAGS, now, now, now, now, size_bytes)
    save(ctx, made)
    save(ctx, replace(parent, mtime=now, ctime=now))
    return made


def unlink(ctx: Ctx, file: Directory) -> None:
    """Take a file out of its directory."""
    assert file.dataset is not None  # noqa: S101 - files are in file systems
    parent, _, name = file.inside.rpartition("/")
    ctx.db.run(
        "delete from directory where dataset = ? and snapshot = 0 and parent = ? and name = ?",
        (file.dataset["pk"], parent, name),
    )


def children(ctx: Ctx, directory: Directory) -> list[Directory]:
    """What a directory lists, by name: directories and files in it, and file systems mounted on one."""
    found: dict[str, Directory] = {}
    dataset = directory.dataset
    if dataset is None:
        mounted = ctx.db.rows("select * from dataset where parent is null order by name")
    else:
        rows = ctx.db.rows(
            f"select {_COLUMNS} from directory where dataset = ? and snapshot = 0 and parent = ? and name <> ''",  # noqa: S608
            (dataset["pk"], directory.inside),
        )
        found = {row["name"]: _load(dataset, row) for row in rows}
        mounted = [] if directory.inside else _mounted(ctx, dataset)
    for row in mounted:
        root = at(ctx, row, "")
        assert root is not None  # noqa: S101 - every file system has a root
        found[row["name"].rpartition("/")[2]] = root
    return [found[name] for name in sorted(found)]


def _mounted(ctx: Ctx, dataset: Row) -> list[Row]:
    return ctx.db.rows("select * from dataset where parent = ? and type = 'FILESYSTEM' order by name", (dataset["pk"],))


def mounted_below(ctx: Ctx, dataset: Row) -> list[Row]:
    """The file systems mounted below another one's mount point, at any depth, by name."""
    condition, args = prefix_range("name", dataset["name"] + "/")
    return ctx.db.rows(f"select * from dataset where {condition} and type = 'FILESYSTEM' order by name", args)  # noqa: S608


def count_children(ctx: Ctx, directory: Directory) -> int:
    """How many a directory lists."""
    if directory.dataset is not None and directory.inside:
        sql = "select count(*) from directory where dataset = ? and snapshot = 0 and parent = ? and name <> ''"
        number: int = ctx.db.value(sql, (directory.dataset["pk"], directory.inside))
        return number
    return len(children(ctx, directory))


def below(ctx: Ctx, directory: Directory, *, traverse: bool) -> list[Directory]:
    """Everything below a directory; with `traverse` in the file systems mounted there too."""
    found: list[Directory] = []
    waiting = [directory]
    while waiting:
        for child in children(ctx, waiting.pop()):
            if traverse or not child.is_mountpoint:
                found.append(child)
                waiting.append(child)
    return found


def setting(ctx: Ctx, dataset: Row, key: str) -> str:
    """The value in force of an inheritable property, in ZFS's form."""
    value: str = Builder(ctx.db, {}).settings(dataset)[key]["rawvalue"]
    return value


def acl_type(ctx: Ctx, directory: Directory) -> str:
    """NFS4, POSIX1E or DISABLED."""
    if directory.dataset is None:
        return acls.DISABLED
    return acls.ACL_TYPES[setting(ctx, directory.dataset, "acltype")]


def acl_in_force(ctx: Ctx, directory: Directory) -> list[acls.Ace] | None:
    """The access list, unless the file system's acltype has been changed to one that does not see it."""
    if directory.acl is None:
        return None
    kind = acl_type(ctx, directory)
    fits = kind != acls.DISABLED and ("type" in directory.acl[0]) == (kind == acls.NFS4)
    return directory.acl if fits else None


def space_bytes(ctx: Ctx, dataset: Row) -> tuple[int, int]:
    """(used, available) of a file system."""
    return int(dataset["referenced"]), Builder(ctx.db, {}).available(dataset)


class DirectoryHooks(DatasetHooks):
    """Directories go, return and multiply with their datasets and snapshots."""

    def dataset_deleted(self, ctx: Ctx, pk: int, name: str) -> None:  # noqa: ARG002 - given shape
        """Forget its directories and those of its snapshots."""
        ctx.db.run("delete from directory where dataset = ?", (pk,))

    def snapshot_created(self, ctx: Ctx, dataset_pk: int, snapshot_pk: int, txg: int) -> None:  # noqa: ARG002
        """Keep the present directories."""
        _copy(ctx, (dataset_pk, 0), (dataset_pk, snapshot_pk))

    def snapshot_deleted(self, ctx: Ctx, dataset_pk: int, snapshot_pk: int) -> None:
        """Forget what it kept."""
        _forget(ctx, dataset_pk, snapshot_pk)

    def cloned(self, ctx: Ctx, snapshot_pk: int, dataset_pk: int) -> None:
        """Start with the snapshot's."""
        source = ctx.db.value("select dataset from snapshot where pk = ?", (snapshot_pk,))
        _copy(ctx, (source, snapshot_pk), (dataset_pk, 0))

    def rolled_back(self, ctx: Ctx, dataset_pk: int, snapshot_pk: int) -> None:
        """Return to the snapshot's."""
        _forget(ctx, dataset_pk, 0)
        _copy(ctx, (dataset_pk, snapshot_pk), (dataset_pk, 0))

    def received(self, ctx: Ctx, dataset_pk: int, snapshot_pk: int, base_pk: int | None) -> None:  # noqa: ARG002
        """Have the snapshot's."""
        source = ctx.db.value("select dataset from snapshot where pk = ?", (snapshot_pk,))
        _forget(ctx, dataset_pk, 0)
        _copy(ctx, (source, snapshot_pk), (dataset_pk, 0))

    def promoted(self, ctx: Ctx, clone_pk: int, origin_dataset_pk: int, snapshot_pks: Sequence[int]) -> None:
        """The snapshots are the clone's now."""
        ctx.db.run_many(
            "update directory set dataset = ? where dataset = ? and snapshot = ?",
            [(clone_pk, origin_dataset_pk, pk) for pk in snapshot_pks],
        )


_Place = tuple[Any, int]


def _copy(ctx: Ctx, source: _Place, target: _Place) -> None:
    ctx.db.run(
        f"insert into directory (dataset, snapshot, {_COLUMNS}) select ?, ?, {_COLUMNS} from directory"  # noqa: S608
        " where dataset = ? and snapshot = ?",
        (*target, *source),
    )


def _forget(ctx: Ctx, dataset_pk: int, snapshot_pk: int) -> None:
    ctx.db.run("delete from directory where dataset = ? and snapshot = ?", (dataset_pk, snapshot_pk))
