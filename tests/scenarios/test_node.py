"""Mounting and unmounting when the machine refuses, hangs, reboots, or when kubelet asks for the wrong thing."""

import pytest

from csisim.co.callers import CallFailed
from csisim.pb import csi_pb2 as csi


def stage_request(cluster, claim, node):
    """What kubelet would send to stage a claim's volume."""
    volume = cluster.co.volume_of(claim)
    return csi.NodeStageVolumeRequest(
        volume_id=volume.volume_handle,
        staging_target_path=cluster.co.staging_path(claim, node),
        volume_capability=cluster.capability(claim),
        volume_context=volume.volume_attributes,
    )


def publish_request(cluster, claim, node):
    """What kubelet would send to publish a claim's volume for one more pod, whatever it has staged."""
    volume = cluster.co.volume_of(claim)
    return csi.NodePublishVolumeRequest(
        volume_id=volume.volume_handle,
        staging_target_path=cluster.co.staging_path(claim, node),
        target_path=f"{cluster.nodes[node].directory}/pods/another/mount",
        volume_capability=cluster.capability(claim),
        volume_context=volume.volume_attributes,
    )


async def test_a_volume_that_will_not_unmount_keeps_its_files(cluster):
    """The unmount of a deleted pod's volume fails, and goes on failing.

    A driver that then removes the directory with everything in it deletes the files through the live mount; here they
    are all there on the next node.

    N01; review BUG-003, kubernetes/kubernetes#12155, #7317, #37698, #72257
    """
    cluster.co.create_claim("data")
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.settled()
    await cluster.write("web", "ledger", b"all we have")

    busy = cluster.faults.add("mount.umount: 3*error(EBUSY)->error(EIO)")
    cluster.co.delete("Pod", "web")
    await cluster.fired(busy, 6)
    assert cluster.mounted("data") == ["node-1"]

    await cluster.heal()
    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.settled()
    assert await cluster.read("web-2", "ledger") == b"all we have"
    await cluster.teardown()
    await cluster.check()


async def test_a_volume_that_was_unstaged_unheard_is_staged_again_before_it_is_published(cluster):
    """Unstage has its effect, but its caller never hears of it: time is always up before the answer.

    Whoever takes the volume for staged and publishes it is refused, instead of given an empty directory; the next pod
    gets its files.

    N03; kubernetes/kubernetes#86360, #106729, #120455
    """
    cluster.co.create_claim("data")
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.settled()
    await cluster.write("web", "ledger", b"all we have")

    cluster.faults.add("rpc.NodeUnstageVolume.after: error(DEADLINE_EXCEEDED)")
    cluster.co.delete("Pod", "web")
    await cluster.answered("NodeUnstageVolume", "DEADLINE_EXCEEDED")
    assert cluster.mounted("data") == []
    with pytest.raises(CallFailed, match="FAILED_PRECONDITION"):
        await cluster.call(publish_request(cluster, "data", "node-1"), "node-1")

    cluster.co.create_pod("web-2", "data", node="node-1")
    await cluster.answered("NodePublishVolume", times=2)
    await cluster.settled()
    assert await cluster.read("web-2", "ledger") == b"all we have"
    await cluster.teardown()
    await cluster.check()


async def test_a_stage_is_refused_while_an_unstage_of_the_volume_runs(cluster):
    """An unstage hangs before it unmounts, and somebody stages the volume on the same node.

    If that is let through, the old unmount takes the new mount away when it comes; here it is refused until the
    unstage is over.

    N04; kubernetes/kubernetes#102486, #121357
    """
    cluster.co.create_claim("data", storage_class="iscsi")
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.settled()
    await cluster.write("web", "ledger", b"all we have")

    stuck = cluster.faults.add("mount.umount{phase=unstage}: 1*hang")
    cluster.co.delete("Pod", "web")
    await cluster.fired(stuck)
    cluster.co.create_pod("web-2", "data", node="node-1")
    with pytest.raises(CallFailed, match="ABORTED"):
        await cluster.call(stage_request(cluster, "data", "node-1"), "node-1")

    stuck.remove()
    await cluster.settled()
    assert await cluster.read("web-2", "ledger") == b"all we have"
    await cluster.teardown()
    await cluster.check()


@pytest.mark.parametrize("storage_class", ["nfs", "nvmeof"])
async def test_a_volume_that_two_pods_use_is_not_unstaged_under_one_of_them(cluster, storage_class):
    """Of two pods with one volume the first one goes, and somebody asks to unstage it.

    A driver that knows of "published" as a yes or no has forgotten the second pod; here it says where the volume is
    still in use.

    N05; kubernetes/kubernetes#112601, #101911, kubernetes-csi/csi-driver-host-path#292
    """
    cluster.co.create_claim("data", storage_class=storage_class)
    cluster.co.create_pod("web", "data", node="node-1")
    cluster.co.create_pod("backup", "data", node="node-1")
    await cluster.settled()
    cluster.co.delete("Pod", "web")
    await cluster.settled()

    staged = cluster.co.staging_path("data", "node-1")
    volume_id = cluster.co.volume_of("data").volume_handle
    with pytest.raises(CallFailed, match=r"FAILED_PRECONDITION.*still published at"):
        await cluster.call(csi.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=staged), "node-1")
    await cluster.write("backup", "ledger", b"still in use")
    assert await cluster.read("backup", "ledger") == b"still in use"
    await cluster.teardown()
    await cluster.check()


async def test_after_a_reboot_no_pod_writes_to_the_disk_below(cluster):
    """A reboot clears the mounts, and a caller that still believes in them publishes without staging.

    A driver that binds the empty staging directory has the pod write to the node's own disk; here the call is
    refused.

    N06; kubernetes/kubernetes#120853, #126634, ceph/ceph-csi#4762, democratic-csi/democratic-csi#344
    """
    cluster.co.create_claim("data", access_modes=("ReadWriteMany",))
    cluster.co.create_pod("web", "data", node="node-1")
    cluster.co.create_pod("other", "data", node="node-2")
    await cluster.settled()
    await cluster.write("other", "ledger", b"all we have")
    await cluster.co.crash("kubelet node-1")
    await cluster.nodes["node-1"].reboot()
    with pytest.raises(CallFailed, match="FAILED_PRECONDITION"):
        await cluster.call(publish_request(cluster, "data", "node-1"), "node-1")
    await cluster.co.restart("kubelet node-1")
    await cluster.settled()
    assert await cluster.read("web", "ledger") == b"all we have"
    await cluster.teardown()
    await cluster.check()


async def test_a_mount_whose_pod_has_gone_unheard_is_taken_off_again(cluster):
    """Publish mounts the volume, its caller never hears of it, and its pod is deleted before the next try.

    The mount belongs to nobody, and keeps the volume from every other node, unless kubelet and driver undo it.

    N09; kubernetes/kubernetes#82917, #127229
    """
    cluster.co.create_claim("data", storage_class="nvmeof")
    cluster.faults.add("rpc.NodePublishVolume.after{node=node-1}: error(DEADLINE_EXCEEDED)")
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.answered("NodePublishVolume", "DEADLINE_EXCEEDED")
    assert cluster.mounted("data") == ["node-1"]

    cluster.co.delete("Pod", "web")
    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.settled()
    assert cluster.mounted("data") == ["node-2"]
    await cluster.teardown()
    await cluster.check()


async def test_a_volume_with_an_open_file_stays_until_it_is_closed(cluster):
    """A process of a deleted pod still has a file open, so the unmount is refused.

    A lazy unmount would let go of the path, and detach the volume, while that process writes on; here no other node
    gets it before the file is closed.

    N15; kubernetes/kubernetes#53049, GoogleCloudPlatform/gcs-fuse-csi-driver#1469, seaweedfs/seaweedfs-csi-driver#307
    """
    cluster.co.create_claim("data", storage_class="iscsi")
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.settled()
    with cluster.open_file("web"):
        cluster.co.delete("Pod", "web")
        cluster.co.create_pod("web-2", "data", node="node-2")
        await cluster.answered("NodeUnpublishVolume", "ABORTED")
        assert cluster.mounted("data") == ["node-1"]
        assert cluster.attempts("ControllerUnpublishVolume") == []

    await cluster.settled()
    assert cluster.mounted("data") == ["node-2"]
    await cluster.teardown()
    await cluster.check()


@pytest.mark.parametrize("storage_class", ["iscsi", "nvmeof"])
async def test_a_disk_that_is_slow_to_appear_is_not_formatted_again(cluster, storage_class):
    """A volume with data comes to another node, where its device drops out just when it is probed.

    Nothing found is not the same as nothing there: a driver that formats now has deleted everything.

    N18; hetznercloud/csi-driver#1346, NetApp/trident#418, kubernetes/kubernetes#95183,
    democratic-csi/democratic-csi#215
    """
    cluster.co.create_claim("data", storage_class=storage_class)
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.settled()
    await cluster.write("web", "ledger", b"all we have")
    cluster.co.delete("Pod", "web")
    await cluster.settled()

    late = cluster.faults.add(
        "device.present{node=node-2}: 1*ready(3)\n"
        "device.format_of{node=node-2}: 2*error(ENODEV)\n"
    )  # fmt: skip
    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.fired(late, 2)
    await cluster.settled()
    assert await cluster.read("web-2", "ledger") == b"all we have"
    await cluster.teardown()
    await cluster.check()
