"""What a node has beside the driver's socket: its directories, and what survives kubelet and even a reboot.

Paths are those that kubelet chooses; see pkg/volume/csi and pkg/volume/util in Kubernetes.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from csisim.co.objects import PersistentVolume

KUBELETS_OWN: Final = ("plugins", "plugins/kubernetes.io", "plugins/kubernetes.io/csi", "pods")
"""What every kubelet has in its directory."""


class Paths(Protocol):
    """Kubelet's own directories: one system call's worth of work each. OSError as Linux would."""

    def make_dir(self, path: str) -> None:
        """With parents; an existing one is fine."""

    def make_file(self, path: str) -> None:
        """An empty file, with parents; an existing one is fine."""

    def remove(self, path: str) -> None:
        """An empty directory or file; missing is fine. ENOTEMPTY."""

    def exists(self, path: str) -> bool:
        """Whether anything is here."""

    def is_directory(self, path: str) -> bool:
        """Whether a directory is here. ENOENT."""

    def listing(self, path: str) -> list[str]:
        """All paths below, sorted."""


class PodFiles(Protocol):
    """A pod's view of its volumes. OSError: ENOENT, ESTALE, EROFS, EIO, ENOTCONN as Linux would."""

    async def write(self, target: str, name: str, content: bytes) -> None:
        """Replace a file's content."""

    async def read(self, target: str, name: str) -> bytes | None:
        """The content, None if there is no such file."""

    async def names(self, target: str) -> list[str]:
        """The files there are."""


@dataclass(frozen=True, slots=True)
class NodeSide:
    """One node.

    Attributes:
        paths: of its disk.
        files: what its pods see.
        directory: stands for /var/lib/kubelet.
    """

    paths: Paths
    files: PodFiles
    directory: str


@dataclass(slots=True)
class VolumeData:
    """What kubelet wrote down before it did anything with a volume (vol_data.json).

    It is enough to take the volume off the node without the API.

    Attributes:
        staging_path: "" if it is not staged by itself.
        targets: target path by uid of the pod.
    """

    pv_name: str
    handle: str
    staging_path: str = ""
    targets: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class NodeDisk:
    """The part of a node's disk that kubelet keeps its records on, with the paths that it chooses."""

    side: NodeSide
    driver: str
    volumes: dict[str, VolumeData] = field(default_factory=dict)

    def data(self, pv: PersistentVolume) -> VolumeData:
        """The record of a volume, a new one if there is none."""
        return self.volumes.setdefault(pv.name, VolumeData(pv.name, pv.volume_handle))

    def staging_path(self, pv: PersistentVolume) -> str:
        """Where a volume is staged."""
        below = f"{self.side.directory}/plugins/kubernetes.io/csi"
        if pv.volume_mode == "Block":
            return f"{below}/volumeDevices/staging/{pv.name}"
        return f"{below}/{self.driver}/{hashlib.sha256(pv.volume_handle.encode()).hexdigest()}/globalmount"

    def target_path(self, pv: PersistentVolume, pod_uid: str) -> str:
        """Where a pod finds it."""
        if pv.volume_mode == "Block":
            return f"{self.side.directory}/plugins/kubernetes.io/csi/volumeDevices/publish/{pv.name}/{pod_uid}"
        return f"{self.side.directory}/pods/{pod_uid}/volumes/kubernetes.io~csi/{pv.name}/mount"

    def make_parent(self, path: str) -> None:
        """The target itself is the driver's to make."""
        self.side.paths.make_dir(path.rpartition("/")[0])

    def clear(self, path: str) -> None:
        """Remove a path and the directories above it as far as they are empty and kubelet's own."""
        keep = [f"{self.side.directory}/{name}" for name in KUBELETS_OWN]
        while path.startswith(f"{self.side.directory}/") and path not in keep:
            # What is not empty stays, and is found in the end.
            with suppress(OSError):
                self.side.paths.remove(path)
            if self.side.paths.exists(path):
                return
            path = path.rpartition("/")[0]

    def prepare(self) -> None:
        """Make the directories that every kubelet has."""
        for name in KUBELETS_OWN:
            self.side.paths.make_dir(f"{self.side.directory}/{name}")

    def leftovers(self) -> list[str]:
        """Every path below the directory but those of `prepare`, as seen from there."""
        below = f"{self.side.directory}/"
        found = (path.removeprefix(below) for path in self.side.paths.listing(self.side.directory))
        return [path for path in found if path not in KUBELETS_OWN]


Nodes = Mapping[str, NodeSide]
