"""The volumes of the demo: plain data."""

from csisim.co.plans import GIB, VolumePlan


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
