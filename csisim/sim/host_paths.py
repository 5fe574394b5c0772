"""The directories of one simulated machine as its other programs see them: through its mount table."""

import errno

from csisim.sim.backend import os_error
from csisim.sim.host import SimHost


class HostPaths:
    """What a kubelet works with: one system call's worth of work each. OSError as Linux would.

    Args:
        host: the machine.
    """

    def __init__(self, host: SimHost) -> None:
        self._host = host

    def make_dir(self, path: str) -> None:
        """Create a directory and its parents; an existing one is fine."""
        self._host.disk.make_dir(path)

    def make_file(self, path: str) -> None:
        """Create an empty file and its parents; an existing one is fine."""
        self._host.disk.make_file(path)

    def remove(self, path: str) -> None:
        """Remove an empty directory or file; missing is fine. EBUSY: something is mounted here. ENOTEMPTY."""
        where = self._host.disk.resolve_parent(path).rstrip("/")
        if any(point.path == where for point in self._host.mounter.all_mounts()):
            raise os_error(errno.EBUSY, path)
        self._host.disk.remove(path)

    def exists(self, path: str) -> bool:
        """Whether anything is here."""
        return self._host.disk.exists(path)

    def is_directory(self, path: str) -> bool:
        """Whether a directory is here. ENOENT."""
        return self._host.disk.is_directory(path)

    def listing(self, path: str) -> list[str]:
        """All paths below, sorted."""
        return self._host.disk.listing(path)
