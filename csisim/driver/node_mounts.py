"""Putting mounts on paths and taking them off, so that every step can be repeated and nothing under a mount is touched.

Directories go by `rmdir` alone, and only after the mount table has said that the path is no mount point; where the
table cannot be read, the path stays.
"""

import asyncio
import errno

from csisim import deadline
from csisim.driver.device_wait import unless_busy
from csisim.driver.node_errors import csi_error, system_call
from csisim.driver.node_state import Staged
from csisim.driver.parameters import Protocol
from csisim.errors import FailedPrecondition
from csisim.host import Mounter, MountPoint

_MOST_STACKED = 64
# A server that does not answer must not hold up what only needs the local mount.
_PROBE_S = 1.0
# A path that the file system cannot have was never made: a publish there failed, and its record must not stay for ever.
_CANNOT_BE_THERE = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)


async def stack_at(mounter: Mounter, path: str) -> tuple[MountPoint, ...]:
    """The mounts at a path, oldest first."""
    with system_call("read the mount table at", path):
        return await mounter.mounts(path)


async def shows(mounter: Mounter, path: str, source: str) -> bool:
    """Whether this source is what one sees at the path."""
    stack = await stack_at(mounter, path)
    return bool(stack) and bool(source) and stack[-1].source == source


async def own_mount(mounter: Mounter, path: str, source: str) -> MountPoint | None:
    """The volume's mount at a path, None where nothing is mounted. FailedPrecondition: something else is."""
    stack = await stack_at(mounter, path)
    if not stack:
        return None
    if not source or stack[-1].source != source:
        raise FailedPrecondition(f"{path}: {stack[-1].source} is mounted there; unmount it or use another path")
    return stack[-1]


async def take_off(mounter: Mounter, path: str, source: str) -> None:
    """Unmount the volume from a path, however often it is stacked there; other file systems stay.

    Raises:
        FailedPrecondition: another file system is mounted over it.
        Aborted: it is in use, and still mounted.
    """
    for _ in range(_MOST_STACKED):
        stack = await stack_at(mounter, path)
        if not any(each.source == source for each in stack):
            return
        if stack[-1].source != source:
            raise FailedPrecondition(f"{path}: {stack[-1].source} is mounted over the volume; unmount that first")
        await unless_busy(lambda: _umount(mounter, path, source), "unmount", path)
    raise FailedPrecondition(f"{path}: still mounted after {_MOST_STACKED} unmounts; unmount it by hand")


async def _umount(mounter: Mounter, path: str, source: str) -> None:
    """Take the topmost mount off, unless an earlier try that was told "busy" has done so."""
    try:
        await mounter.umount(path)
    except OSError as error:
        if error.errno != errno.EINVAL or await shows(mounter, path, source):
            raise


async def remove(mounter: Mounter, path: str) -> None:
    """Remove a path that is not mounted any more; one that is missing is fine.

    Raises:
        FailedPrecondition: it is a mount point, or has files in it; they were left alone.
    """
    stack = await stack_at(mounter, path)
    if stack:
        raise FailedPrecondition(
            f"{path}: {stack[-1].source} is mounted there, so it was not removed; unmount it first"
        )
    try:
        await mounter.remove_path(path)
    except OSError as error:
        if error.errno not in _CANNOT_BE_THERE:
            raise csi_error(error, "remove", path) from error


async def is_stale(mounter: Mounter, record: Staged, path: str) -> bool:
    """Whether an NFS mount lost its export and must be made anew. A server that does not answer is no proof of it."""
    if record.attachment.protocol is not Protocol.NFS:
        return False
    try:
        async with asyncio.timeout(deadline.remaining_s(_PROBE_S)):
            await mounter.statfs(path)
    except OSError as error:  # TimeoutError is one, without an errno
        return error.errno == errno.ESTALE
    return False
