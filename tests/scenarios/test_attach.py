"""One volume, several nodes."""

import pytest

from csisim.co.callers import CallFailed
from csisim.pb import csi_pb2 as csi


@pytest.mark.parametrize("storage_class", ["nfs", "iscsi"])
async def test_a_volume_for_one_node_is_not_published_on_a_second_one(cluster, storage_class):
    """A volume for one node is in use, and is to be published on another node too.

    Two nodes that write to one file system destroy it; here the second one is refused, and told who has the volume.

    A01; democratic-csi/democratic-csi#307, nutanix/csi-plugin#46, rook/rook#1507
    """
    cluster.co.create_claim("data", storage_class=storage_class)
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.settled()
    request = csi.ControllerPublishVolumeRequest(
        volume_id=cluster.co.volume_of("data").volume_handle,
        node_id="node-2",
        volume_capability=cluster.capability("data"),
    )
    with pytest.raises(CallFailed, match=r"FAILED_PRECONDITION.*published on node-1"):
        await cluster.call(request)

    cluster.co.delete("Pod", "web")
    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.settled()
    assert cluster.mounted("data") == ["node-2"]
    await cluster.teardown()
    await cluster.check()


@pytest.mark.csisim(mode="sim")
async def test_a_node_that_was_given_up_is_cleaned_up_when_it_comes_back(cluster):
    """A node is silent and cannot unmount: after minutes its volume is detached by force, and moves on.

    When the node comes back, the old mount is taken off there, and the pod on the other node is left alone.

    Simulated: Kubernetes waits for 40 s, and then for 6 min.

    D03; kubernetes/kubernetes#106902, #120328, longhorn/longhorn#11377
    """
    cluster.co.create_claim("data", storage_class="iscsi")
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.settled()
    await cluster.write("web", "ledger", b"all we have")

    cluster.faults.add("mount.umount{node=node-1}: error(EBUSY)")
    cluster.co.delete("Pod", "web")
    await cluster.answered("NodeUnpublishVolume", "ABORTED")
    await cluster.co.crash("kubelet node-1")
    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.running("web-2")
    forced = [each for each in cluster.co.describe() if each.reason == "ForceDetach"]
    assert [each.message for each in forced] == ["node node-1 is not ready; detaching by force"]
    assert await cluster.read("web-2", "ledger") == b"all we have"

    await cluster.heal()
    await cluster.co.restart("kubelet node-1")
    await cluster.settled()
    assert cluster.mounted("data") == ["node-2"]
    await cluster.teardown()
    await cluster.check()
