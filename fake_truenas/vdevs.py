"""What pools consist of: a mirror of two disks each. Nothing is kept of it, for nothing can change it. Pure."""

from dataclasses import dataclass
from typing import Any

from fake_truenas.store import Row

_MIRRORED = 2
_FIRST_MAJOR, _MINORS = 8, 16  # of SCSI disks on Linux
_LETTERS = 26


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk of a pool.

    Attributes:
        number: counts all disks of the system from 0.
        pool: name of its pool.
        guid: of the vdev that it is.
        size_bytes: as large as the pool, for it has all of its data.
    """

    number: int
    pool: str
    guid: str
    size_bytes: int

    @property
    def name(self) -> str:
        """As the kernel names it: sda to sdz, then sdaa."""
        letters, rest = "", self.number + 1
        while rest:
            rest, letter = divmod(rest - 1, _LETTERS)
            letters = chr(ord("a") + letter) + letters
        return f"sd{letters}"

    @property
    def serial(self) -> str:
        """Made of the guid, so that it stays."""
        return f"{int(self.guid):016X}"[-12:]

    @property
    def device_number(self) -> int:
        """The kernel's number of the device: its major and its minor number."""
        return (_FIRST_MAJOR << 8) + _MINORS * self.number


def disks_of(row: Row) -> list[Disk]:
    """The disks of a pool, given as its row."""
    first, guid = _MIRRORED * (row["id"] - 1), int(row["guid"])
    return [
        Disk(first + place, row["name"], str(guid ^ (place + 2)), row["size_bytes"])  # the mirror has guid ^ 1
        for place in range(_MIRRORED)
    ]


def topology(row: Row, allocated: int) -> dict[str, Any]:
    """A pool's `topology`: its one mirror, with its disks. `allocated` is in bytes."""
    mirror = {
        "name": "mirror-0",
        "type": "MIRROR",
        "path": None,
        "guid": str(int(row["guid"]) ^ 1),
        "status": "ONLINE",
        "stats": _stats(row["size_bytes"], allocated),
        "children": [_leaf(disk) for disk in disks_of(row)],
        "unavail_disk": None,
    }
    return {"data": [mirror], "log": [], "cache": [], "spare": [], "special": [], "dedup": []}


def _leaf(disk: Disk) -> dict[str, Any]:
    return {
        "name": disk.guid,
        "type": "DISK",
        "path": f"/dev/{disk.name}1",
        "guid": disk.guid,
        "status": "ONLINE",
        "stats": _stats(0, 0),  # ZFS counts space by top-level vdevs
        "children": [],
        "device": f"{disk.name}1",
        "disk": disk.name,
        "unavail_disk": None,
    }


def _stats(size: int, allocated: int) -> dict[str, Any]:
    return {
        "timestamp": 0,
        "read_errors": 0,
        "write_errors": 0,
        "checksum_errors": 0,
        "ops": [0] * 7,
        "bytes": [0] * 7,
        "size": size,
        "allocated": allocated,
        "free": max(0, size - allocated),
        "fragmentation": 0,
        "self_healed": 0,
        "configured_ashift": 12,
        "logical_ashift": 9,
        "physical_ashift": 12,
    }
