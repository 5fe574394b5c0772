"""Taking volumes away: not too early, not by force, and nobody else's."""

import pytest

from csisim.co.callers import CallFailed
from csisim.pb import csi_pb2 as csi

FOREIGN = "tank/csi/theirs"


@pytest.mark.parametrize("storage_class", ["nfs", "nvmeof"])
async def test_a_volume_that_is_still_used_is_not_deleted(cluster, storage_class):
    """Somebody deletes a volume that is still staged.

    If the NAS lets go of it, the node can never unmount what is left; here the delete is refused for as long as a
    node has the volume, and the pod goes on.

    D01; kubernetes/kubernetes#94108, #84226, kubernetes-csi/external-provisioner#176, #438
    """
    cluster.co.create_claim("data", storage_class=storage_class)
    cluster.co.create_pod("web", "data")
    await cluster.settled()
    await cluster.write("web", "ledger", b"all we have")

    volume_id = cluster.co.volume_of("data").volume_handle
    with pytest.raises(CallFailed, match="FAILED_PRECONDITION"):
        await cluster.call(csi.DeleteVolumeRequest(volume_id=volume_id))
    assert await cluster.read("web", "ledger") == b"all we have"
    await cluster.teardown()
    await cluster.check()


async def test_a_volume_of_somebody_else_is_left_alone(cluster):
    """A stale or forged id points to a dataset that the driver did not make.

    It answers as for a volume that is gone, and the dataset is there as before, with its snapshots.

    D07; fenio/tns-csi@02ea041, GizmoTickler/scale-csi@178d841
    """
    cluster.co.create_claim("data")
    await cluster.settled()
    await cluster.foreign(FOREIGN)
    await cluster.nas.call("pool.snapshot.create", {"dataset": FOREIGN, "name": "monday"})
    for volume_id in ("theirs", FOREIGN, "../csi/theirs", "theirs/", "theirs@monday"):
        await cluster.call(csi.DeleteVolumeRequest(volume_id=volume_id))
        await cluster.call(csi.DeleteSnapshotRequest(snapshot_id=volume_id))
        with pytest.raises(CallFailed, match="NOT_FOUND"):
            await cluster.call(
                csi.ControllerExpandVolumeRequest(
                    volume_id=volume_id, capacity_range=csi.CapacityRange(required_bytes=1 << 31)
                )
            )
    theirs = [f"NAS: dataset {FOREIGN}", f"NAS: snapshot {FOREIGN}@monday"]
    assert set(theirs) <= set(await cluster.leftovers())
    await cluster.teardown()
    await cluster.check(expected=theirs)
