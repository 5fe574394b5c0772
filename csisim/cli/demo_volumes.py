"""The volumes of the demo and the requests that its callers send for them: plain data."""

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


def originals(nodes: tuple[str, str]) -> list[VolumePlan]:
    """Sixteen volumes of all kinds, spread over two nodes; every other nfs volume is used on both."""
    plans = [
        VolumePlan(f"pvc-nfs-{number}", "nfs", nodes if number % 2 else (nodes[number // 2 % 2],))
        for number in range(1, 7)
    ]
    plans += [
        VolumePlan(f"pvc-iscsi-{number}", "iscsi", (nodes[number % 2],), fs_type="xfs" if number == 4 else "ext4")
        for number in range(1, 5)
    ]
    plans += [
        VolumePlan(f"pvc-nvmeof-{number}", "nvmeof", (nodes[number % 2],), fs_type="ext4") for number in (1, 2, 3)
    ]
    plans += [
        VolumePlan("pvc-iscsi-block-1", "iscsi", (nodes[0],), block=True),
        VolumePlan("pvc-iscsi-block-2", "iscsi", (nodes[1],), block=True),
        VolumePlan("pvc-nvmeof-block-1", "nvmeof", (nodes[1],), block=True),
    ]
    return plans


def copies(nodes: tuple[str, str]) -> list[VolumePlan]:
    """Four more: restored and cloned after the originals have grown."""
    return [
        VolumePlan(
            "pvc-restored-block", "iscsi", (nodes[1],), block=True, size_bytes=2 * GIB, source_snapshot=BLOCK_SNAPSHOT
        ),
        VolumePlan("pvc-restored-nfs", "nfs", nodes, size_bytes=2 * GIB, source_snapshot=NFS_SNAPSHOT),
        VolumePlan("pvc-cloned-nfs", "nfs", (nodes[0],), size_bytes=2 * GIB, source_volume="pvc-nfs-2"),
        VolumePlan(
            "pvc-cloned-nvmeof", "nvmeof", (nodes[0],), fs_type="ext4", size_bytes=3 * GIB, source_volume="pvc-nvmeof-1"
        ),
    ]


BLOCK_VOLUME = "pvc-iscsi-block-1"
BLOCK_SNAPSHOT = "snapshot-block-1"
LATER_SNAPSHOT = "snapshot-block-2"
NFS_SNAPSHOT = "snapshot-nfs-1"
SNAPSHOTS = ((BLOCK_SNAPSHOT, BLOCK_VOLUME), (NFS_SNAPSHOT, "pvc-nfs-1"), ("snapshot-nvmeof-1", "pvc-nvmeof-2"))
GROUP_SNAPSHOT = "groupsnapshot-1"
GROUP_VOLUMES = ("pvc-iscsi-1", "pvc-nvmeof-3")
