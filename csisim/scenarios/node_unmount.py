"""Unmounts that never return, and unmounts of what is still in use."""

from typing import Final

from csisim.runs.script import Script
from csisim.scenarios.expect import expect
from csisim.scenarios.ledger import kept, written
from csisim.scenarios.scenario import EXPECTATION, Scenario
from csisim.scenarios.wrong_unmount import lazy, to_the_end

_STUCK: Final = "mount.umount{node=node-1}: 1*hang"


async def _stuck(cluster: Script, _variant: str) -> None:
    await written(cluster)
    stuck = cluster.faults.add(_STUCK)
    cluster.co.delete("Pod", "web")
    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.fired(stuck)
    await cluster.answered("NodeUnpublishVolume", "DEADLINE_EXCEEDED")
    await cluster.settled(600)
    expect(cluster.mounted("data") == ["node-2"], "the volume leaves the node without anybody's help")
    await kept(cluster, "web-2")


async def _open_file(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class)
    with cluster.open_file("web"):
        cluster.co.delete("Pod", "web")
        cluster.co.create_pod("web-2", "data", node="node-2")
        await cluster.until(lambda: cluster.attempts("NodeUnpublishVolume"), "NodeUnpublishVolume was answered")
        codes = {each.code.name for each in cluster.attempts("NodeUnpublishVolume")}
        expect(codes == {"ABORTED"}, "NodeUnpublishVolume is answered ABORTED while a file is open")
        expect(cluster.mounted("data") == ["node-1"], "the volume is on the node while a file is open there")
        expect(not cluster.attempts("ControllerUnpublishVolume"), "it is not detached while a file is open")
    await cluster.settled()
    await kept(cluster, "web-2")


SCENARIOS: Final = (
    Scenario(
        name="N12",
        title="An unmount that never returns",
        story=(
            "The server of a hard mount falls silent just when it is unmounted, and that system call never returns. A"
            " driver that waits for it with the volume's lock in its hands answers every repeat with ABORTED, until"
            " somebody restarts it."
        ),
        faults=(_STUCK,),
        expectation="The call ends with its caller's patience, its lock with it, and a repeat unmounts the volume.",
        invariants=("I10", "I11"),
        source="kubernetes-sigs/aws-fsx-csi-driver#495; kubernetes-csi/csi-driver-nfs#569",
        body=_stuck,
        real=False,
        wrong=to_the_end,
        wrong_idea="What the kernel has begun cannot be called off, so it is waited for.",
        caught_by=("I10", EXPECTATION),
    ),
    Scenario(
        name="N15",
        title="A file that is still open when its volume is unmounted",
        story=(
            "A process of a deleted pod still has a file open, so the unmount is refused. A lazy unmount lets go of the"
            " path alone: the volume is detached, and another node mounts it, while that process writes on."
        ),
        faults=("a process on node-1 keeps a file open",),
        expectation="Unpublish is answered ABORTED, and nothing is detached, until the file is closed.",
        invariants=("I1", "I4", "I6"),
        source=(
            "kubernetes/kubernetes#53049; GoogleCloudPlatform/gcs-fuse-csi-driver#1469;"
            " seaweedfs/seaweedfs-csi-driver#307"
        ),
        body=_open_file,
        variants=("nfs", "iscsi"),
        wrong=lazy,
        wrong_idea="A path that is free is all that anybody asks for.",
        caught_by=(EXPECTATION,),
    ),
)
