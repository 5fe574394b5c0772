"""Chaos scripts over the `cluster` fixture, as a user of the plugin writes them: failures that the library has not got."""

import pytest

from csisim.co.callers import CallFailed
from csisim.driver.config import DriverConfig


async def test_a_volume_that_is_busy_for_a_moment_keeps_its_files(cluster):
    """The container runtime has not let go of a file when its pod's volume is unmounted, and does so a moment later.

    N16; GoogleCloudPlatform/gcs-fuse-csi-driver#1469
    """
    cluster.co.create_claim("data")
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.settled()
    await cluster.write("web", "ledger", b"all we have")

    busy = cluster.faults.add("mount.umount: 2*error(EBUSY)")
    cluster.co.delete("Pod", "web")
    await cluster.fired(busy, 2)

    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.settled()
    assert cluster.mounted("data") == ["node-2"]
    assert await cluster.read("web-2", "ledger") == b"all we have"
    await cluster.teardown()
    await cluster.check()


async def test_a_kubelet_that_dies_between_unpublish_and_unstage_goes_on_where_it_was(cluster):
    """Kubelet has unpublished the volume, and its process ends before it has unstaged it.

    N07; kubernetes/kubernetes#85476, #104493
    """
    cluster.co.create_claim("data", storage_class="iscsi")
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.settled()
    held = cluster.faults.add("rpc.NodeUnstageVolume.before: 1*drop")
    cluster.co.delete("Pod", "web")
    await cluster.fired(held)
    await cluster.co.crash("kubelet node-1")
    held.remove()
    assert cluster.mounted("data") == ["node-1"]
    await cluster.co.restart("kubelet node-1")
    await cluster.settled()
    assert cluster.mounted("data") == []
    await cluster.teardown()
    await cluster.check()


@pytest.mark.csisim(driver=DriverConfig(max_volumes_per_node=2))
async def test_no_node_gets_more_volumes_than_it_may_have(cluster):
    """Somebody publishes a third volume on a node that may have two.

    A05; kubernetes-csi/csi-driver-host-path#269, KEP-4876
    """
    for name in ("one", "two", "three"):
        cluster.co.create_claim(name)
    cluster.co.create_pod("web", "one", "two", node="node-1")
    await cluster.settled()
    with pytest.raises(CallFailed, match="RESOURCE_EXHAUSTED"):
        await cluster.call(attach_request(cluster, "three", "node-1"))
    await cluster.teardown()
    await cluster.check()


def attach_request(cluster, claim, node):
    """What the attacher would send."""
    from csisim.pb import csi_pb2 as csi

    volume = cluster.co.volume_of(claim)
    return csi.ControllerPublishVolumeRequest(
        volume_id=volume.volume_handle, node_id=node, volume_capability=cluster.capability(claim)
    )


@pytest.mark.csisim(faults="rpc.CreateVolume.after: 1*hang", protocols=("nvmeof",))
async def test_a_provisioner_that_dies_before_it_hears_of_its_volume_makes_one_all_the_same(cluster):
    """The volume is made, and the provisioner ends before the answer comes.

    C02; kubernetes-csi/external-provisioner#486
    """
    cluster.co.create_claim("data")
    await cluster.until(lambda: cluster.faults.fired, "the driver is about to answer")
    await cluster.co.crash("provisioner")
    await cluster.co.restart("provisioner")
    await cluster.settled()
    assert len(await cluster.nas.call("pool.dataset.query", [["id", "^", "tank/csi/"]])) == 1
    await cluster.teardown()
    await cluster.check()


async def test_a_clock_that_jumps_takes_nothing_away(cluster):
    """The NAS's clock is an hour ahead, then a day behind, while volumes and snapshots are made.

    B05; GizmoTickler/scale-csi@ffe5446, @2da4e38, @33c5620
    """
    cluster.co.create_claim("data")
    cluster.co.create_pod("web", "data")
    await cluster.settled()
    await cluster.write("web", "ledger", b"all we have")
    cluster.nas.skew(3600)
    cluster.co.create_snapshot("first", "data")
    await cluster.settled()
    cluster.nas.skew(-86400)
    cluster.co.create_snapshot("second", "data")
    await cluster.settled()
    assert cluster.co.get("VolumeSnapshot", "second").ready_to_use
    assert await cluster.read("web", "ledger") == b"all we have"
    await cluster.teardown()
    await cluster.check()


async def test_a_half_made_volume_whose_other_half_is_refused_is_not_forgotten(cluster):
    """The answer for the dataset is lost, it is found again, and then the NAS refuses its share; the claim is deleted.

    The driver does not delete what may be older than its call, and so it must not say that there is nothing either: the
    provisioner would believe it, and the dataset would stay.

    C13; external-provisioner checkError
    """
    cluster.co.create_claim("first")
    await cluster.settled()
    cluster.faults.add(
        "nas.pool.dataset.create.reply: 1*disconnect(rst)\nnas.sharing.nfs.create.request: 1*error(EFAULT)"
    )
    cluster.co.create_claim("data")
    await cluster.answered("CreateVolume", "UNAVAILABLE")
    cluster.co.delete("PersistentVolumeClaim", "data")
    await cluster.teardown()
    await cluster.check()
