"""M-UNLINK: a record that is replaced or removed between its opening and its reading reads as empty."""

import asyncio
from dataclasses import replace

from csisim.host import NodeHost, StateFiles
from csisim.mutants.mutant import Mutant
from csisim.sim.host import SimHost

_DISK_S = 0.01  # a disk that has to seek


class OpenedFiles:
    """Opens a record by its name, and reads what is behind it then."""

    def __init__(self, files: StateFiles) -> None:
        self._files = files
        self._inodes: dict[str, int] = {}

    async def read(self, name: str) -> bytes | None:
        """See the module."""
        opened = self._inodes.get(name, 0)
        content = await self._files.read(name)
        await asyncio.sleep(_DISK_S)
        return content if self._inodes.get(name, 0) == opened else b""

    async def write(self, name: str, content: bytes) -> None:
        """The name stands for another file now."""
        await self._files.write(name, content)
        self._inodes[name] = self._inodes.get(name, 0) + 1

    async def remove(self, name: str) -> None:
        """The name stands for nothing now."""
        await self._files.remove(name)
        self._inodes[name] = self._inodes.get(name, 0) + 1

    async def names(self) -> tuple[str, ...]:
        """All record names."""
        return await self._files.names()


def _opened(_node_id: str, host: NodeHost, _machine: SimHost) -> NodeHost:
    return replace(host, files=OpenedFiles(host.files))


MUTANT = Mutant(
    name="M-UNLINK",
    origin="a file system in user space: a file opened while it was unlinked read as empty, with inode 0",
    idea="What could be opened can be read.",
    oracle=("I8",),
    plan={"faults": ("none",), "nodes": 1, "clients": 8, "operations": 10, "volumes": 1},
    race=True,
    seed=26,
    change=lambda parts: replace(parts, host=_opened),
)
