"""A volume to be, and the requests that its callers send for it: plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

from csisim.pb import csi_pb2 as csi

GIB = 1 << 30
_Mode = csi.VolumeCapability.AccessMode


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """One volume to be.

    Attributes:
        name: as the provisioner makes it up.
        protocol: nfs, iscsi or nvmeof.
        nodes: node ids that use it, all at once where there are several.
        fs_type: file system of a mounted block volume; "" for nfs and for raw devices.
        block: handed out as a raw device.
        size_bytes: at first.
        source_snapshot: name of a snapshot to restore.
        source_volume: name of a volume to clone.
    """

    name: str
    protocol: str
    nodes: tuple[str, ...]
    fs_type: str = ""
    block: bool = False
    size_bytes: int = GIB
    source_snapshot: str = ""
    source_volume: str = ""

    @property
    def grown_bytes(self) -> int:
        """The size after expansion."""
        return self.size_bytes * 2

    def capability(self) -> csi.VolumeCapability:
        """How the workload wants to use it."""
        mode = _Mode.MULTI_NODE_MULTI_WRITER if len(self.nodes) > 1 else _Mode.SINGLE_NODE_WRITER
        access = _Mode(mode=mode)
        if self.block:
            return csi.VolumeCapability(block=csi.VolumeCapability.BlockVolume(), access_mode=access)
        mount = csi.VolumeCapability.MountVolume(fs_type=self.fs_type)
        return csi.VolumeCapability(mount=mount, access_mode=access)

    def source_id(self, volumes: Mapping[str, csi.Volume], snapshots: Mapping[str, csi.Snapshot]) -> str:
        """The id of what it starts from, found by name; "" where it starts empty."""
        if self.source_snapshot:
            return str(snapshots[self.source_snapshot].snapshot_id)
        return str(volumes[self.source_volume].volume_id) if self.source_volume else ""

    def publish_request(self, volume: csi.Volume, node_id: str) -> csi.ControllerPublishVolumeRequest:
        """What the attacher sends for the volume as it was created."""
        return csi.ControllerPublishVolumeRequest(
            volume_id=volume.volume_id,
            node_id=node_id,
            volume_capability=self.capability(),
            volume_context=volume.volume_context,
        )

    def create_request(self, source_id: str = "") -> csi.CreateVolumeRequest:
        """What the provisioner sends; `source_id` is the id of the snapshot or volume it starts from."""
        request = csi.CreateVolumeRequest(
            name=self.name,
            capacity_range=csi.CapacityRange(required_bytes=self.size_bytes),
            volume_capabilities=[self.capability()],
            parameters={"protocol": self.protocol},
        )
        if self.source_snapshot:
            request.volume_content_source.snapshot.snapshot_id = source_id
        elif self.source_volume:
            request.volume_content_source.volume.volume_id = source_id
        return request
