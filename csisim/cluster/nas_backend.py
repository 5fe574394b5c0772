"""What simulated hosts find behind the NAS's address: its exports and block devices as they are configured right now.

It stands for NFS, iSCSI and NVMe-oF, which a simulated host does not have. Mounts, logins and file systems are looked
up over the API; what pods read and write goes over the data path. All of it is in the dataset or zvol itself, so
snapshots and clones carry it, and a deleted one takes it along.
"""

import base64
import errno
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from csisim.cluster.data_path import DataPath
from csisim.concurrency import together
from csisim.errors import NasIndeterminate, NasRefused
from csisim.host import FsStats
from csisim.sim.backend import Area, BackingDevice, Superblock, os_error, unit_key
from csisim.truenas.client import NasClient
from csisim.truenas.storage import Storage, is_missing, is_out_of_space

# Where ext4 keeps its superblock too.
_SUPERBLOCK_OFFSET = 1024
_SUPERBLOCK_BYTES = 512
_MAGIC = b"csisim-fs "
_INODE_BYTES = 512
_MOUNT_ROOT = "/mnt/"

_EXTENT, _NAMESPACE = "iscsi.extent", "nvmet.namespace"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a host knows a device by: the serial that the NAS made up for the extent or namespace.

    Attributes:
        namespace: of the API.
        id: of the row there.
        serial: NAA or UUID, never given out twice.
        zvol: the dataset behind it.
    """

    namespace: str
    id: int
    serial: str
    zvol: str

    @classmethod
    def of(cls, namespace: str, row: Row) -> "_Unit":
        serial, path = ("naa", "disk") if namespace == _EXTENT else ("device_uuid", "device_path")
        return cls(namespace, row["id"], str(row[serial]), str(row[path]).removeprefix("zvol/"))

    @classmethod
    def parse(cls, identity: str) -> "_Unit":
        namespace, number, serial, zvol = identity.split("#")
        return cls(namespace, int(number), serial, zvol)

    def __str__(self) -> str:
        return f"{self.namespace}#{self.id}#{self.serial}#{self.zvol}"


def zvol_of(identity: str) -> str:
    """The dataset behind a device that `NasBackend.login` has given; "" where it is not one of ours."""
    return identity.rpartition("#")[2] if identity.count("#") == 3 else ""


class NasBackend:
    """Exports and devices of one NAS; see `csisim.sim.backend.Backend`.

    Args:
        nas: a client of it.
        address: under which nodes reach it; nobody listens on any other.
        data: carries what pods read and write; the client by default.
    """

    def __init__(self, nas: NasClient, address: str, data: DataPath | None = None) -> None:
        self._nas = nas
        self._data = data or DataPath(nas.query)
        self._storage = Storage(nas)
        self._address = address

    async def check_export(self, source: str, fs_type: str) -> None:
        """ENOENT: no enabled share of this path. ECONNREFUSED: not this NAS's address. ETIMEDOUT: it is away."""
        path = self._path(source)
        with _as_os_error(f"{source} ({fs_type})", missing=errno.ENOENT):
            shares = await self._nas.query("sharing.nfs.query", [["path", "=", path]], {})
        if not any(share.get("enabled", True) for share in shares):
            raise os_error(errno.ENOENT, source)

    async def fs_stats(self, source: str) -> FsStats:
        """Usage of an exported dataset. ESTALE: it is gone. ETIMEDOUT: the NAS is away."""
        dataset_id = self._path(source).removeprefix(_MOUNT_ROOT)
        with _as_os_error(source, missing=errno.ESTALE):
            dataset = await self._storage.dataset(dataset_id)
        if dataset is None:
            raise os_error(errno.ESTALE, source)
        total = dataset.size_bytes or dataset.used_bytes + dataset.available_bytes
        available = min(dataset.available_bytes, total)
        inodes, free = total // _INODE_BYTES, available // _INODE_BYTES
        return FsStats(total, total - available, available, inodes, inodes - free, free)

    async def login(self, transport: str, attributes: Mapping[str, str]) -> BackingDevice:
        """Reach one LUN or namespace. ECONNREFUSED, ENOENT, EACCES, ETIMEDOUT."""
        match unit_key(transport, attributes):
            case ("iscsi", portal, iqn, lun):
                with _as_os_error(iqn, missing=errno.ENOENT):
                    unit = await self._iscsi_unit(portal, iqn, lun, attributes)
            case (_, address, port, nqn, nsid):
                with _as_os_error(nqn, missing=errno.ENOENT):
                    unit = await self._nvme_unit(address, port, nqn, nsid)
            case key:
                raise os_error(errno.EPROTONOSUPPORT, str(key))
        with _as_os_error(unit.zvol, missing=errno.ENOENT):
            dataset = await self._storage.dataset(unit.zvol)
        if dataset is None:
            raise os_error(errno.ENOENT, unit.zvol)
        return BackingDevice(str(unit), dataset.size_bytes)

    async def capacity_bytes(self, identity: str) -> int:
        """The size of a zvol now. ENODEV: it is no longer offered, or another unit is in its place."""
        unit = _Unit.parse(identity)
        with _as_os_error(identity, missing=errno.ENODEV):
            rows, dataset = await together(
                self._nas.query(f"{unit.namespace}.query", [["id", "=", unit.id]], {}),
                self._storage.dataset(unit.zvol),
            )
        if dataset is None or unit not in [_Unit.of(unit.namespace, row) for row in rows]:
            raise os_error(errno.ENODEV, identity)
        return dataset.size_bytes

    async def superblock(self, identity: str) -> Superblock | None:
        """The file system on a zvol. ENODEV: it is gone."""
        await self.capacity_bytes(identity)
        zvol = _Unit.parse(identity).zvol
        with _as_os_error(identity, missing=errno.ENODEV):
            text = await self._nas.query("fake.block.read", zvol, _SUPERBLOCK_OFFSET, _SUPERBLOCK_BYTES)
        content = base64.b64decode(text)
        if not content.startswith(_MAGIC):
            return None
        try:
            row = json.loads(content.removeprefix(_MAGIC).rstrip(b"\0"))
            return Superblock(str(row["fs_type"]), str(row["fs_id"]), int(row["size_bytes"]))
        except (KeyError, TypeError, ValueError) as error:
            # Somebody's file system, if a damaged one: None would say that the device is blank and may be formatted.
            raise OSError(errno.EIO, "the superblock is damaged", identity) from error

    async def write_superblock(self, identity: str, superblock: Superblock) -> None:
        """Make or grow the file system. ENODEV: the zvol is gone."""
        await self.capacity_bytes(identity)
        zvol = _Unit.parse(identity).zvol
        row = {"fs_type": superblock.fs_type, "fs_id": superblock.fs_id, "size_bytes": superblock.size_bytes}
        content = (_MAGIC + json.dumps(row).encode()).ljust(_SUPERBLOCK_BYTES, b"\0")
        text = base64.b64encode(content).decode()
        with _as_os_error(identity, missing=errno.ENODEV):
            # Writing the same bytes again changes nothing, so a lost answer may be followed by a repeat.
            await self._nas.query("fake.block.write", zvol, _SUPERBLOCK_OFFSET, text)

    async def read(self, area: Area, offset: int, length: int) -> bytes:
        """Bytes of a dataset or zvol; see `Backend`. ESTALE: no enabled share of it any more."""
        volume, missing = await self._offered(area)
        with _as_os_error(area.name, missing=missing):
            return await self._data.read(volume, offset, length)

    async def write(self, area: Area, offset: int, content: bytes) -> None:
        """Put bytes into a dataset or zvol."""
        volume, missing = await self._offered(area)
        with _as_os_error(area.name, missing=missing):
            await self._data.write(volume, offset, content)

    def exclusive(self, area: Area) -> AbstractAsyncContextManager[Any]:
        """One at a time of all hosts that have the same data path."""
        return self._data.exclusive(area.name)

    async def discard(self, identity: str, size_bytes: int) -> None:
        """Free a zvol's blocks."""
        volume, missing = await self._offered(Area("device", identity))
        with _as_os_error(identity, missing=missing):
            await self._data.discard(volume, size_bytes)

    async def _offered(self, area: Area) -> tuple[str, int]:
        """The dataset or zvol of an area, and the errno of its absence. ESTALE, ENODEV: it is not offered any more."""
        if area.kind == "export":
            path, missing = self._path(area.name), errno.ESTALE
            with _as_os_error(area.name, missing=missing):
                shares = await self._data.ask("sharing.nfs.query", [["path", "=", path]])
            found, volume = any(share.get("enabled", True) for share in shares), path.removeprefix(_MOUNT_ROOT)
        else:
            unit, missing = _Unit.parse(area.name), errno.ENODEV
            with _as_os_error(area.name, missing=missing):
                rows = await self._data.ask(f"{unit.namespace}.query", [["id", "=", unit.id]])
            found, volume = unit in [_Unit.of(unit.namespace, row) for row in rows], unit.zvol
        if not found:
            raise os_error(missing, area.name)
        return volume, missing

    async def _iscsi_unit(self, portal: str, iqn: str, lun: str, attributes: Mapping[str, str]) -> "_Unit":
        basename, _, name = iqn.rpartition(":")
        config, targets = await together(
            self._nas.query("iscsi.global.config"),
            self._nas.query("iscsi.target.query", [["name", "=", name]], {"limit": 1}),
        )
        if portal != f"{self._address}:{config.get('listen_port') or 3260}":
            raise os_error(errno.ECONNREFUSED, portal)
        if not targets or basename != config["basename"]:
            raise os_error(errno.ENOENT, iqn)
        await self._check_chap(targets[0], attributes, iqn)
        of_lun = [["target", "=", targets[0]["id"]], ["lunid", "=", int(lun)]]
        pairs = await self._nas.query("iscsi.targetextent.query", of_lun, {"limit": 1})
        extents = await self._nas.query("iscsi.extent.query", [["id", "=", pairs[0]["extent"]]], {}) if pairs else []
        if not extents or not extents[0].get("enabled", True):
            raise os_error(errno.ENOENT, f"{iqn} lun {lun}")
        return _Unit.of(_EXTENT, extents[0])

    async def _check_chap(self, target: Row, attributes: Mapping[str, str], iqn: str) -> None:
        groups = target.get("groups", [])
        if not groups or any(group["authmethod"] == "NONE" for group in groups):
            return
        tags = [group["auth"] for group in groups]
        known = await self._nas.query("iscsi.auth.query", [["tag", "in", tags]], {})
        given = (attributes.get("node.session.auth.username"), attributes.get("node.session.auth.password"))
        if given not in [(row["user"], row["secret"]) for row in known]:
            raise os_error(errno.EACCES, iqn)

    async def _nvme_unit(self, address: str, port: str, nqn: str, nsid: str) -> "_Unit":
        subsystems = await self._nas.query("nvmet.subsys.query", [["subnqn", "=", nqn]], {"limit": 1})
        if address != self._address:
            raise os_error(errno.ECONNREFUSED, f"{address}:{port}")
        if not subsystems:
            raise os_error(errno.ENOENT, nqn)
        of_subsystem = ["subsys.id", "=", subsystems[0]["id"]]
        links, namespaces = await together(
            self._nas.query("nvmet.port_subsys.query", [of_subsystem], {}),
            self._nas.query("nvmet.namespace.query", [of_subsystem, ["nsid", "=", int(nsid)]], {"limit": 1}),
        )
        if not any(str(link["port"]["addr_trsvcid"]) == port for link in links):
            raise os_error(errno.ECONNREFUSED, f"{address}:{port}")
        if not namespaces or not namespaces[0].get("enabled", True):
            raise os_error(errno.ENOENT, f"{nqn} namespace {nsid}")
        return _Unit.of(_NAMESPACE, namespaces[0])

    def _path(self, source: str) -> str:
        host, _, path = source.partition(":/")
        if host.strip("[]") != self._address.strip("[]"):
            raise os_error(errno.ECONNREFUSED, source)
        return f"/{path}"


@contextmanager
def _as_os_error(what: str, *, missing: int) -> Iterator[None]:
    """What a kernel or an initiator would end with: it times out where the NAS is away."""
    try:
        yield
    except NasIndeterminate as error:
        raise os_error(errno.ETIMEDOUT, what) from error
    except NasRefused as error:
        raise os_error(_errno_of(error, missing), what) from error


def _errno_of(error: NasRefused, missing: int) -> int:
    if is_missing(error):
        return missing
    if is_out_of_space(error):
        return errno.ENOSPC
    return errno.EROFS if error.errno == errno.EROFS else errno.EIO
