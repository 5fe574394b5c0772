"""What is written on volumes, put there and read around the driver and its faults, as a workload's data path is."""

import base64
import hashlib

from csisim.cluster.nas_inside import NasInside
from csisim.co.plans import VolumePlan

_CHUNK_BYTES = 4096
_FIRST_OFFSET = 1 << 20


class Content:
    """Marks that are written on volumes: on a block volume bytes, on a file system a directory of that name.

    Args:
        nas: of the volumes.
        root_dataset: they are below it.
    """

    def __init__(self, nas: NasInside, root_dataset: str) -> None:
        self._nas = nas
        self._root = root_dataset

    async def write(self, plan: VolumePlan, mark: int) -> None:
        """Leave a mark, numbered from 0."""
        if plan.protocol == "nfs":
            await self._nas.query("filesystem.mkdir", {"path": f"{self._path(plan)}/{_name(mark)}"})
        else:
            text = base64.b64encode(_bytes(mark)).decode()
            await self._nas.query("fake.block.write", f"{self._root}/{plan.name}", _offset(mark), text)

    async def marks(self, plan: VolumePlan, most: int = 4) -> list[int]:
        """The marks that are there, undamaged; of those below `most`."""
        if plan.protocol == "nfs":
            rows = await self._nas.query("filesystem.listdir", self._path(plan))
            names = {row["name"] for row in rows}
            return [mark for mark in range(most) if _name(mark) in names]
        found = []
        for mark in range(most):
            text = await self._nas.query("fake.block.read", f"{self._root}/{plan.name}", _offset(mark), _CHUNK_BYTES)
            if base64.b64decode(text) == _bytes(mark):
                found.append(mark)
        return found

    def _path(self, plan: VolumePlan) -> str:
        return f"/mnt/{self._root}/{plan.name}"


def _name(mark: int) -> str:
    return f"mark-{mark}"


def _offset(mark: int) -> int:
    return _FIRST_OFFSET * (mark + 1)


def _bytes(mark: int) -> bytes:
    return hashlib.shake_128(_name(mark).encode()).digest(_CHUNK_BYTES)
