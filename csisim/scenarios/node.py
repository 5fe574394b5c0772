"""Mounting and unmounting: what will not unmount, what was not heard of, and what is taken for mounted and is not."""

from typing import Final

from csisim.pb import csi_pb2 as csi
from csisim.runs.script import Script
from csisim.scenarios import wrong_node as wrong
from csisim.scenarios.expect import expect, refused
from csisim.scenarios.ledger import LEDGER, kept, written
from csisim.scenarios.scenario import EXPECTATION, Scenario


def _stage_request(cluster: Script, claim: str, node: str) -> csi.NodeStageVolumeRequest:
    """What kubelet would send to stage a claim's volume."""
    volume = cluster.co.volume_of(claim)
    return csi.NodeStageVolumeRequest(
        volume_id=volume.volume_handle,
        staging_target_path=cluster.co.staging_path(claim, node),
        volume_capability=cluster.capability(claim),
        volume_context=volume.volume_attributes,
    )


def _publish_request(cluster: Script, claim: str, node: str) -> csi.NodePublishVolumeRequest:
    """What kubelet would send to publish a claim's volume for one more pod, whatever it has staged."""
    volume = cluster.co.volume_of(claim)
    return csi.NodePublishVolumeRequest(
        volume_id=volume.volume_handle,
        staging_target_path=cluster.co.staging_path(claim, node),
        target_path=f"{cluster.nodes[node].directory}/pods/another/mount",
        volume_capability=cluster.capability(claim),
        volume_context=volume.volume_attributes,
    )


async def _n01(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class)
    busy = cluster.faults.add(
        "mount.umount{phase=unpublish}: 2*error(EBUSY)->off\n"
        "mount.umount{phase=unstage}: error(EBUSY)\n"
    )  # fmt: skip
    cluster.co.delete("Pod", "web")
    await cluster.answered("NodeUnstageVolume", "ABORTED")
    busy.remove()
    broken = cluster.faults.add("mount.umount{phase=unstage}: error(EIO)")
    await cluster.fired(broken, 2)
    expect(cluster.mounted("data") == ["node-1"], "the volume is still mounted on its node, and on no other one")

    await cluster.heal()
    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.settled()
    await kept(cluster, "web-2")


N01: Final = Scenario(
    name="N01",
    title="A volume that will not unmount",
    story=(
        "The unmount of a deleted pod's volume fails, and goes on failing. A driver that then removes the directory "
        "with everything in it deletes the files through the live mount."
    ),
    faults=(
        "mount.umount{phase=unpublish}: 2*error(EBUSY)->off",
        "mount.umount{phase=unstage}: error(EBUSY)",
        "mount.umount{phase=unstage}: error(EIO)",
    ),
    expectation="The volume stays mounted while it cannot be unmounted, and its files are all there on the next node.",
    invariants=("I1", "I6"),
    source="review BUG-003; kubernetes/kubernetes#12155, #7317, #37698, #72257",
    body=_n01,
    variants=("nfs", "iscsi"),
    wrong="M-RMMOUNTED",
    wrong_idea="What cannot be unmounted is not mounted, so its directory can be removed.",
    caught_by=("I1", EXPECTATION),
)


async def _n03(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class)
    cluster.faults.add("rpc.NodeUnstageVolume.after: error(DEADLINE_EXCEEDED)")
    cluster.co.delete("Pod", "web")
    await cluster.answered("NodeUnstageVolume", "DEADLINE_EXCEEDED")
    expect(cluster.mounted("data") == [], "the unstage that nobody has heard of had its effect")
    await refused(cluster, _publish_request(cluster, "data", "node-1"), "node-1", "FAILED_PRECONDITION")

    cluster.co.create_pod("web-2", "data", node="node-1")
    await cluster.answered("NodePublishVolume", times=2)
    await cluster.settled()
    await kept(cluster, "web-2")


N03: Final = Scenario(
    name="N03",
    title="An unstage that was not heard of, and a publish without a stage",
    story=(
        "Unstage has its effect, but time is always up before its caller hears of it, and whoever takes the volume for "
        "staged publishes it. A driver that binds what is at the staging path gives the pod an empty directory of the "
        "node's own disk."
    ),
    faults=("rpc.NodeUnstageVolume.after: error(DEADLINE_EXCEEDED)",),
    expectation="That publish is refused with FAILED_PRECONDITION, and the next pod gets the volume's files.",
    invariants=("I5", "I6"),
    source="kubernetes/kubernetes#86360, #106729, #120455",
    body=_n03,
    variants=("nfs", "iscsi"),
    wrong=wrong.trusting,
    wrong_idea="Kubelet publishes only what it has staged, so what is at the staging path is the volume.",
    caught_by=("I5", "I6", EXPECTATION),
)


async def _n04(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class)
    stuck = cluster.faults.add("mount.umount{phase=unstage}: 1*hang")
    cluster.co.delete("Pod", "web")
    await cluster.fired(stuck)
    cluster.co.create_pod("web-2", "data", node="node-1")
    await refused(cluster, _stage_request(cluster, "data", "node-1"), "node-1", "ABORTED")

    stuck.remove()
    await cluster.settled()
    await kept(cluster, "web-2")


N04: Final = Scenario(
    name="N04",
    title="A stage while an unstage of the same volume still runs",
    story=(
        "An unstage hangs before it unmounts, and somebody stages the volume on the same node. If that is let "
        "through, the old unmount takes the volume away under the new pod when it comes."
    ),
    faults=("mount.umount{phase=unstage}: 1*hang",),
    expectation="The stage is refused with ABORTED until the unstage is over; the next pod gets the volume's files.",
    invariants=("I5", "I6", "I10"),
    source="kubernetes/kubernetes#102486, #121357",
    body=_n04,
    variants=("nfs", "iscsi"),
    wrong=wrong.without_lock,
    wrong_idea="Kubelet works on a volume with one call at a time, so a node needs no locks.",
    caught_by=("races", EXPECTATION),
)


async def _n05(cluster: Script, storage_class: str) -> None:
    cluster.co.create_claim("data", storage_class=storage_class)
    cluster.co.create_pod("web", "data", node="node-1")
    cluster.co.create_pod("backup", "data", node="node-1")
    await cluster.settled()
    cluster.co.delete("Pod", "web")
    await cluster.settled()

    request = csi.NodeUnstageVolumeRequest(
        volume_id=cluster.co.volume_of("data").volume_handle,
        staging_target_path=cluster.co.staging_path("data", "node-1"),
    )
    await refused(cluster, request, "node-1", "FAILED_PRECONDITION", saying="still published at")
    await cluster.write("backup", "ledger", LEDGER)
    await kept(cluster, "backup")


N05: Final = Scenario(
    name="N05",
    title="An unstage while one of two pods still uses the volume",
    story=(
        "Of two pods with one volume the first one goes, and somebody asks to unstage it. A driver that knows of "
        '"published" as a yes or no has forgotten the second pod, and takes the volume from below it.'
    ),
    faults=("somebody sends NodeUnstageVolume before the last NodeUnpublishVolume",),
    expectation="The unstage is refused, and says where the volume is still in use; the second pod goes on.",
    invariants=("I5", "I6", "I1"),
    source="kubernetes/kubernetes#112601, #101911, kubernetes-csi/csi-driver-host-path#292",
    body=_n05,
    variants=("nfs",),
    wrong=wrong.yes_or_no,
    wrong_idea="A volume is published or it is not, and after an unpublish it is not.",
    caught_by=("I5", EXPECTATION),
)


async def _n06(cluster: Script, _variant: str) -> None:
    cluster.co.create_claim("data", access_modes=("ReadWriteMany",))
    cluster.co.create_pod("web", "data", node="node-1")
    cluster.co.create_pod("other", "data", node="node-2")
    await cluster.settled()
    await cluster.write("other", "ledger", LEDGER)
    await cluster.co.crash("kubelet node-1")
    await cluster.nodes["node-1"].reboot()
    await refused(cluster, _publish_request(cluster, "data", "node-1"), "node-1", "FAILED_PRECONDITION")
    await cluster.co.restart("kubelet node-1")
    await cluster.settled()
    await kept(cluster, "web")


N06: Final = Scenario(
    name="N06",
    title="A reboot, and a caller that still believes in the mounts",
    story=(
        "A reboot clears the mounts, and a caller that takes the volume for staged publishes it. A driver that binds "
        "the empty staging directory has the pod write to the node's own disk."
    ),
    faults=("node-1 reboots",),
    expectation="That publish is refused with FAILED_PRECONDITION; a pod of the node later gets the volume's files.",
    invariants=("I6", "I1"),
    source=(
        "kubernetes/kubernetes#120853, #126634; ceph/ceph-csi#4762; democratic-csi/democratic-csi#344; "
        "harvester/docs#519; openebs/mayastor-control-plane#1178"
    ),
    body=_n06,
    wrong=wrong.trusting,
    wrong_idea="What was staged before a reboot is staged after it.",
    caught_by=("I6", EXPECTATION),
)


async def _n09(cluster: Script, storage_class: str) -> None:
    cluster.co.create_claim("data", storage_class=storage_class)
    late = cluster.faults.add("mount.bind.after{node=node-1}: 1*hang")
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.fired(late)
    await cluster.answered("NodePublishVolume", "DEADLINE_EXCEEDED")
    expect(cluster.mounted("data") == ["node-1"], "the publish that nobody has heard of had its effect")

    cluster.co.delete("Pod", "web")
    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.settled()
    expect(cluster.mounted("data") == ["node-2"], "the volume is mounted where its pod is, and nowhere else")


N09: Final = Scenario(
    name="N09",
    title="A publish that was not heard of, and a pod that is deleted",
    story=(
        "Publish mounts the volume, hangs until its caller gives up, and its pod is deleted before the next try. A "
        "driver that notes a mount when it is made knows nothing of this one, which then belongs to nobody, and keeps "
        "the volume from every other node."
    ),
    faults=("mount.bind.after{node=node-1}: 1*hang",),
    expectation="The mount is taken off again, and a pod on another node gets the volume.",
    invariants=("I3", "I9", "I4"),
    source="kubernetes/kubernetes#82917, #127229",
    body=_n09,
    variants=("nvmeof", "iscsi"),
    wrong=wrong.noted_later,
    wrong_idea="A volume is published once the call has come to its end, so that is when it is noted.",
    caught_by=("I6", EXPECTATION),
)

SCENARIOS: Final = (N01, N03, N04, N05, N06, N09)
