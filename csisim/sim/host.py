"""One simulated machine: its disk, mount table, block devices and files, over a backend that all machines share."""

import json
from pathlib import Path

from csisim.sim.backend import Backend
from csisim.sim.contents import Contents
from csisim.sim.devices import SimDevices
from csisim.sim.disk import Disk, RealDisk
from csisim.sim.files import DirectoryStateFiles, MemoryStateFiles, replace_file
from csisim.sim.mount_table import MountTable
from csisim.sim.mounts import SimMounter


class SimHost:
    """The parts of one machine that a node service works with, and what its pods see.

    Args:
        backend: exports and devices that this machine reaches.
        state_dir: where records are kept; in memory without it.
        kernel_file: keeps mounts and sessions, so that they outlive this process as a kernel's do; without it they
            end with the object.
        appear_after_s: time from login to device node.
        latency_s: how long each operation on mounts and contents takes at least.
        disk: its directories and files; the real ones of this process's machine by default.

    Attributes:
        mounter, devices, files: what a node service works with.
        disk: as given; kubelet keeps its directories here.
        content: what pods read and write at published paths.

    Raises:
        ValueError: the kernel file is not one of ours.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        state_dir: Path | None = None,
        kernel_file: Path | None = None,
        appear_after_s: float = 0.0,
        latency_s: float = 0.0,
        disk: Disk | None = None,
    ) -> None:
        self._kernel_file = kernel_file
        self._table = MountTable()
        self.files = DirectoryStateFiles(state_dir) if state_dir else MemoryStateFiles()
        self.devices = SimDevices(backend, appear_after_s=appear_after_s, changed=self._save)
        self._load()
        self.devices.in_use = self._table.holds
        self.disk: Disk = disk or RealDisk()
        self.mounter = SimMounter(
            self._table, backend, self.devices, changed=self._save, latency_s=latency_s, disk=self.disk
        )
        self.content = Contents(self._table, self.disk, self.devices, latency_s=latency_s)

    def use(self, backend: Backend) -> None:
        """Reach exports and devices by another way from now on; what is mounted stays."""
        self.devices.backend = self.mounter.backend = backend

    def reboot(self) -> None:
        """Lose mounts and sessions; files on disk stay."""
        self._table.clear()
        self.devices.clear()
        self._save()

    async def detach(self, target: str) -> None:
        """Umount lazily: the path is free at once, the device behind it stays busy until `settle`. EINVAL."""
        await self.mounter.detach(target)

    def settle(self) -> None:
        """What was detached lets go of its device."""
        self._table.settle()

    def vanish(self, device: str) -> None:
        """Drop a device from below, as a dying link does."""
        self.devices.vanish(device)

    def connected(self) -> tuple[str, ...]:
        """The devices that this machine is logged in to, by path."""
        return tuple(str(row["device"]) for row in self.devices.rows())

    def other_device(self, device: str) -> str:
        """The path of some other device of this machine; one that is not there if it has no other."""
        return next((other for other in self.connected() if other != device), f"{device}-other")

    def _load(self) -> None:
        if self._kernel_file is None or not self._kernel_file.exists():
            return
        try:
            kept = json.loads(self._kernel_file.read_bytes())
            self._table = MountTable(kept["mounts"])
            self.devices.load(kept["sessions"])
        except (KeyError, TypeError, ValueError) as error:
            message = f"{self._kernel_file}: not a mount table ({error!r}); remove it, which stands for a reboot"
            raise ValueError(message) from error

    def _save(self) -> None:
        if self._kernel_file is not None:
            kept = {"mounts": self._table.rows(), "sessions": self.devices.rows()}
            self._kernel_file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._kernel_file, json.dumps(kept).encode(), durable=False)
