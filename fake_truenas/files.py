"""Files that extents and namespaces show: names and sizes, made sparse, so that they take no space."""

from dataclasses import replace

from fake_truenas import acls, directories
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError

EEXIST, ENOTDIR, EROFS = 17, 20, 30

_WORDS = {EEXIST: "File exists", ENOTDIR: "Not a directory", EROFS: "Read-only file system"}


def find_file(ctx: Ctx, path: str) -> directories.Directory | None:
    """The file at an absolute path, or None if there is none, or a directory."""
    found = directories.find(ctx, path)
    return found if found is not None and found.is_file else None


def is_directory(ctx: Ctx, path: str) -> bool:
    """Whether a directory is at the absolute path."""
    found = directories.find(ctx, path)
    return found is not None and not found.is_file


def make_file(ctx: Ctx, path: str, size_bytes: int) -> None:
    """Make a file with the directories above it, or let one grow; it never shrinks.

    On a read-only file system whose directories are there nothing is made, and nobody is told, as on the real server.

    Raises:
        CallError: a directory above it cannot be made.
    """
    path = directories.normalized(path)
    above, _, name = path.rpartition("/")
    parent = _make_directories(ctx, above)
    if parent.dataset is None or directories.setting(ctx, parent.dataset, "readonly") == "on":
        return
    found = directories.find(ctx, path)
    if found is None:
        acl = acls.inherited(directories.acl_type(ctx, parent), directories.acl_in_force(ctx, parent), by_file=True)
        directories.make(ctx, parent, name, 0o644, acl, size_bytes)
    elif found.size_bytes is not None and size_bytes > found.size_bytes:
        directories.save(ctx, replace(found, size_bytes=size_bytes, mtime=ctx.now(), ctime=ctx.now()))


def _make_directories(ctx: Ctx, path: str) -> directories.Directory:
    found = directories.find(ctx, path)
    if found is not None:
        if found.is_file:
            raise _cannot_make(path, EEXIST)
        return found
    above, _, name = path.rpartition("/")
    parent = _make_directories(ctx, above or "/mnt")
    if parent.dataset is None or directories.setting(ctx, parent.dataset, "readonly") == "on":
        raise _cannot_make(path, EROFS)
    kind = directories.acl_type(ctx, parent)
    return directories.make(ctx, parent, name, 0o755, acls.inherited(kind, directories.acl_in_force(ctx, parent)))


def _cannot_make(path: str, errno: int) -> CallError:
    return CallError(f"Failed to create {path} with error: [Errno {errno}] {_WORDS[errno]}: {path!r}")


def remove_file(ctx: Ctx, path: str) -> None:
    """Take a file away; one that is not there is no error."""
    file = find_file(ctx, path)
    if file is not None:
        directories.unlink(ctx, file)
