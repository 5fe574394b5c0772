"""Snapshots: cut while nobody listens, deleted while they are needed."""

import pytest

from csisim.co.callers import CallFailed
from csisim.pb import csi_pb2 as csi

GARBAGE = ("@", "a@", "@b", "a@b@c", "nothing", "tank/csi/a@b", "../a@b", "\u202ea@b", "a" * 128)


async def test_an_id_that_is_no_snapshots_is_answered_and_breaks_nothing(cluster):
    """Ids come from outside: cut in half, from another driver, or made up.

    A driver that splits them at the "@" and takes the second part dies of the first one that has none. Here nothing of
    that name is deleted, nothing is listed, and nothing can be made of it.

    S01; review BUG-002
    """
    cluster.co.create_claim("data")
    await cluster.settled()
    for snapshot_id in GARBAGE:
        await cluster.call(csi.DeleteSnapshotRequest(snapshot_id=snapshot_id))
        assert not (await cluster.call(csi.ListSnapshotsRequest(snapshot_id=snapshot_id))).entries
        source = csi.VolumeContentSource.SnapshotSource(snapshot_id=snapshot_id)
        with pytest.raises(CallFailed, match="NOT_FOUND"):
            await cluster.call(
                csi.CreateVolumeRequest(
                    name="restored",
                    volume_capabilities=[cluster.capability("data")],
                    volume_content_source=csi.VolumeContentSource(snapshot=source),
                )
            )
    await cluster.teardown()
    await cluster.check()


async def test_a_snapshot_that_nobody_waits_for_any_more_is_not_left_behind(cluster):
    """Cutting a snapshot takes longer than the snapshotter waits, and the VolumeSnapshot is deleted.

    The NAS cuts it all the same; it must be found and deleted, or it keeps its space, and its volume, for ever.

    S02; kubernetes-csi/external-snapshotter#134, #1388, #1392
    """
    cluster.co.create_claim("data")
    await cluster.settled()
    slow = cluster.faults.add("rpc.CreateSnapshot.after: 2*error(DEADLINE_EXCEEDED)")
    cluster.co.create_snapshot("monday", "data")
    await cluster.answered("CreateSnapshot", "DEADLINE_EXCEEDED")
    cluster.co.delete("VolumeSnapshot", "monday")
    await cluster.fired(slow, 2)
    await cluster.settled()
    assert [each for each in await cluster.leftovers() if "snapshot" in each] == []
    await cluster.teardown()
    await cluster.check()


@pytest.mark.parametrize("storage_class", ["nfs", "iscsi"])
async def test_a_snapshot_that_is_deleted_during_a_restore_is_not_torn_from_under_it(cluster, storage_class):
    """A claim is restored from a snapshot, which is deleted while the NAS still clones.

    The restored volume has the files of that moment, and the snapshot goes when nothing depends on it any more.

    S03; kubernetes-csi/external-snapshotter#1366, #1394
    """
    cluster.co.create_claim("data", storage_class=storage_class)
    cluster.co.create_pod("web", "data")
    await cluster.settled()
    await cluster.write("web", "ledger", b"as of monday")
    cluster.co.create_snapshot("monday", "data")
    await cluster.settled()
    await cluster.write("web", "ledger", b"as of tuesday")

    slow = cluster.faults.add("nas.pool.snapshot.clone.apply: 1*hang")
    cluster.co.create_claim("restored", storage_class=storage_class, from_snapshot="monday")
    cluster.co.create_pod("reader", "restored")
    await cluster.fired(slow)
    cluster.co.delete("VolumeSnapshot", "monday")
    slow.remove()
    await cluster.running("reader")
    assert await cluster.read("reader", "ledger") == b"as of monday"

    cluster.co.delete("Pod", "reader")
    cluster.co.delete("PersistentVolumeClaim", "restored")
    await cluster.teardown()
    await cluster.check()


async def test_a_snapshot_that_a_volume_depends_on_is_not_said_to_be_deleted(cluster):
    """ZFS refuses to destroy a snapshot that a restored volume depends on.

    A driver that drops the error answers OK, and the snapshot stays for ever; here the snapshotter is told, and goes
    on until the volume is gone.

    S05; truenas/truenas-csi#69, democratic-csi/democratic-csi#456
    """
    cluster.co.create_claim("data")
    cluster.co.create_snapshot("monday", "data")
    await cluster.settled()
    cluster.co.create_claim("restored", from_snapshot="monday")
    await cluster.settled()

    cluster.co.delete("VolumeSnapshot", "monday")
    await cluster.answered("DeleteSnapshot", "FAILED_PRECONDITION", times=2)
    assert cluster.attempts("DeleteSnapshot", "OK") == []
    cluster.co.delete("PersistentVolumeClaim", "restored")
    await cluster.settled()
    assert [each for each in await cluster.leftovers() if "snapshot" in each] == []
    await cluster.teardown()
    await cluster.check()


@pytest.mark.parametrize("step", ["apply", "reply"])
async def test_a_restore_that_takes_longer_than_its_caller_waits_leaves_nothing(cluster, step):
    """The NAS clones for longer than the provisioner waits, and the claim is deleted meanwhile.

    What comes of the long job later is neither kept as a volume that nobody knows, nor does it keep the snapshot.

    C07; GizmoTickler/scale-csi@5df1000, kubernetes-csi/external-provisioner#1449
    """
    cluster.co.create_claim("data")
    cluster.co.create_snapshot("monday", "data")
    await cluster.settled()
    slow = cluster.faults.add(f"nas.pool.snapshot.clone.{step}: 1*hang")
    cluster.co.create_claim("restored", from_snapshot="monday")
    await cluster.answered("CreateVolume", "DEADLINE_EXCEEDED")
    cluster.co.delete("PersistentVolumeClaim", "restored")
    slow.remove()
    await cluster.settled()
    datasets = [each for each in await cluster.leftovers() if each.startswith("NAS: dataset")]
    assert len(datasets) == 1
    await cluster.teardown()
    await cluster.check()
