"""One volume, several nodes."""

from typing import Final

from csisim.pb import csi_pb2 as csi
from csisim.runs.script import Script
from csisim.scenarios.expect import expect, refused
from csisim.scenarios.ledger import kept, written
from csisim.scenarios.scenario import EXPECTATION, Scenario
from csisim.scenarios.wrong_attach import trusting
from csisim.scenarios.wrong_unmount import absent_where_unpublished

_BUSY: Final = "mount.umount{node=node-1}: error(EBUSY)"


async def _on_a_second_node(cluster: Script, storage_class: str) -> None:
    request = csi.ControllerPublishVolumeRequest(
        volume_id=await written(cluster, storage_class),
        node_id="node-2",
        volume_capability=cluster.capability("data"),
    )
    await refused(cluster, request, None, "FAILED_PRECONDITION", "published on node-1")

    cluster.co.delete("Pod", "web")
    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.settled()
    expect(cluster.mounted("data") == ["node-2"], "the volume moves to the other node once it is off the first one")
    await kept(cluster, "web-2")


async def _given_up(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class)
    cluster.faults.add(_BUSY)
    cluster.co.delete("Pod", "web")
    await cluster.answered("NodeUnpublishVolume", "ABORTED")
    await cluster.co.crash("kubelet node-1")
    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.running("web-2")
    forced = [each.message for each in cluster.co.describe() if each.reason == "ForceDetach"]
    expect(forced == ["node node-1 is not ready; detaching by force"], "the volume is detached by force")
    await kept(cluster, "web-2")

    await cluster.heal()
    await cluster.co.restart("kubelet node-1")
    await cluster.settled()
    expect(cluster.mounted("data") == ["node-2"], "the old mount is taken off when the node comes back, and no other")
    await kept(cluster, "web-2")


SCENARIOS: Final = (
    Scenario(
        name="A01",
        title="A second node for a volume that is for one",
        story=(
            "A volume for one node is in use, and is to be published on another node too. Two nodes that write to one"
            " file system destroy it, and a driver that leaves it to its callers to use one node at a time lets them."
        ),
        faults=("none: a second ControllerPublishVolume is enough",),
        expectation="The second node is refused, and told which one has the volume.",
        invariants=("I4",),
        source="democratic-csi/democratic-csi#307; nutanix/csi-plugin#46; rook/rook#1507",
        body=_on_a_second_node,
        variants=("nfs", "iscsi"),
        wrong=trusting,
        wrong_idea="Kubernetes sees to it that a volume for one node is on one node.",
        caught_by=("I4", EXPECTATION),
    ),
    Scenario(
        name="D03",
        title="A node that is given up, and comes back with the volume mounted",
        story=(
            "A node cannot unmount, then falls silent: after minutes its volume is detached by force, and moves on."
            " When the node comes back it still has the volume mounted for writing, and a driver that asks the NAS"
            " whether there is anything to unmount leaves it so."
        ),
        faults=(_BUSY, "kubelet of node-1 crashes, and is started again once the volume is on node-2"),
        expectation="The old mount is taken off when its node is back, and the pod on the other node is left alone.",
        invariants=("I1", "I4", "I5", "I6"),
        source="kubernetes/kubernetes#106902, #112601, #120328; longhorn/longhorn#11377",
        body=_given_up,
        variants=("iscsi",),
        real=False,
        wrong=absent_where_unpublished,
        wrong_idea="A volume that is not published on a node is not mounted there.",
        caught_by=("I6", EXPECTATION),
    ),
)
