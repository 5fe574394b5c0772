"""Making volumes while answers are lost, callers give up, and processes die half-way."""

import asyncio

import pytest

from csisim.co.callers import CallFailed
from csisim.pb import csi_pb2 as csi

GIB = 1 << 30


async def test_a_volume_that_nobody_waits_for_any_more_is_not_left_behind(cluster):
    """The NAS takes longer for a volume than the provisioner waits, and meanwhile the claim is deleted.

    Nobody knows the id of what is made in the end, unless the driver's answers keep the provisioner asking until it
    has one to delete.

    C01; kubernetes-csi/external-provisioner#131, #311, #312, ceph/ceph-csi#4280
    """
    cluster.co.create_claim("kept")
    await cluster.settled()
    slow = cluster.faults.add("nas.pool.dataset.create.apply: 1*hang")
    cluster.co.create_claim("data")
    await cluster.answered("CreateVolume", "DEADLINE_EXCEEDED")
    cluster.co.delete("PersistentVolumeClaim", "data")

    slow.remove()
    await cluster.settled()
    datasets = [each for each in await cluster.leftovers() if each.startswith("NAS: dataset")]
    assert datasets == [f"NAS: dataset tank/csi/{cluster.co.volume_of('kept').volume_handle}"]
    await cluster.teardown()
    await cluster.check()


async def test_two_provisioners_that_ask_at_the_same_time_get_one_volume(cluster):
    """Two provisioners are active, as after a failed election, and create the same name at the same time.

    Both look, both find nothing, and both create, unless the name is locked; here one is told to wait, and gets the
    same volume when it asks again.

    C04; ceph/ceph-csi#426, #748, kubevirt/hostpath-provisioner-operator#148
    """
    request = csi.CreateVolumeRequest(
        name="pvc-1",
        capacity_range=csi.CapacityRange(required_bytes=GIB),
        volume_capabilities=[
            csi.VolumeCapability(
                mount=csi.VolumeCapability.MountVolume(),
                access_mode=csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.SINGLE_NODE_WRITER),
            )
        ],
        parameters={"protocol": "nfs"},
    )
    slow = cluster.faults.add("nas.pool.dataset.create.apply: 1*hang")
    first = asyncio.create_task(cluster.call(request))
    await cluster.fired(slow)
    with pytest.raises(CallFailed, match="ABORTED"):
        await cluster.call(request)
    slow.remove()
    made = (await first).volume

    again = await cluster.call(request)
    assert again.volume == made
    await cluster.call(csi.DeleteVolumeRequest(volume_id=made.volume_id))
    await cluster.teardown()
    await cluster.check()


@pytest.mark.parametrize("lost", ["disconnect(rst)", "drop", "crash(nas)"])
async def test_a_volume_whose_answer_was_lost_is_found_again_and_not_made_twice(cluster, lost):
    """The NAS has created the dataset, and its answer is lost.

    A driver that repeats blindly is told that the name is taken, and fails for good; this one looks it up, and the
    claim gets the one volume that there is.

    C05; GizmoTickler/scale-csi@f4e65e1, kubernetes/kubernetes#32727
    """
    cluster.co.create_claim("first")
    await cluster.settled()
    faults = cluster.faults.add(f"nas.pool.dataset.create.reply: 1*{lost}")
    cluster.co.create_claim("data")
    await cluster.fired(faults)
    await cluster.settled()
    datasets = [each for each in await cluster.leftovers() if each.startswith("NAS: dataset")]
    assert len(datasets) == 2
    assert cluster.attempts("CreateVolume", "ALREADY_EXISTS") == []
    await cluster.teardown()
    await cluster.check()


@pytest.mark.parametrize("storage_class", ["nfs", "iscsi", "nvmeof"])
async def test_a_volume_that_was_made_by_half_is_completed_by_the_repeat(cluster, storage_class):
    """The driver dies when the dataset is there and its share is not.

    A repeat that takes the dataset for the volume answers OK, and no node can ever mount it; here the repeat makes
    what is missing, and a pod writes to it.

    C08; GizmoTickler/truenas-scale-csi@4a484de, fenio/tns-csi@283df2d, democratic-csi/democratic-csi#351
    """
    half = {"nfs": "sharing.nfs.create", "iscsi": "iscsi.targetextent.create", "nvmeof": "nvmet.namespace.create"}
    crash = cluster.faults.add(
        f"nas.{half[storage_class]}.apply: 1*crash(driver, {2 * cluster.times}s)->1*error(EBUSY)"
    )
    cluster.co.create_claim("data", storage_class=storage_class)
    cluster.co.create_pod("web", "data")
    await cluster.fired(crash)
    await cluster.settled()
    await cluster.write("web", "ledger", b"it works end to end")
    assert await cluster.read("web", "ledger") == b"it works end to end"
    await cluster.teardown()
    await cluster.check()


async def test_a_passing_fault_is_never_answered_as_if_nothing_were_going_on(cluster):
    """A clone is made, and the NAS fails in one way or another for a moment.

    INTERNAL tells a provisioner that nothing is running any more: it stops asking, and when the claim is deleted the
    clone stays. Here callers are told to ask again.

    C13; GizmoTickler/scale-csi@c533d00, external-provisioner checkError
    """
    cluster.co.create_claim("data")
    await cluster.settled()
    passing = cluster.faults.add(
        "nas.pool.snapshot.clone.reply: 1*disconnect(rst)->1*disconnect(1011)->1*drop->1*truncate(10)->1*crash(nas)"
    )
    for number in range(5):
        cluster.co.create_claim(f"copy-{number}", from_claim="data")
    await cluster.fired(passing, 5)
    cluster.co.delete("PersistentVolumeClaim", "copy-4")
    await cluster.settled()
    codes = {each.code.name for each in cluster.attempts("CreateVolume")}
    assert codes <= {"OK", "ABORTED", "UNAVAILABLE", "DEADLINE_EXCEEDED"}
    await cluster.teardown()
    await cluster.check()


async def test_a_half_made_volume_whose_other_half_is_refused_is_not_forgotten(cluster):
    """The answer for the dataset is lost, it is found again, and then the NAS refuses its share; the claim is deleted.

    The driver does not delete what may be older than its call, and so it must not say that there is nothing either: the
    provisioner would believe it, and the dataset would stay.

    C13, C08; external-provisioner checkError
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


@pytest.mark.parametrize("step", ["request", "apply", "reply"])
async def test_a_driver_that_died_while_it_cloned_goes_on_where_it_was(cluster, step):
    """The driver dies around the call that clones, before it could note anything down about the clone.

    After the restart it must know its own, or every repeat is refused because "already exists", for ever.

    C14; GizmoTickler/scale-csi@dec7de6, @33c5620
    """
    cluster.co.create_claim("data", storage_class="iscsi")
    cluster.co.create_pod("web", "data")
    await cluster.settled()
    await cluster.write("web", "ledger", b"all we have")

    crash = cluster.faults.add(f"nas.pool.snapshot.clone.{step}: 1*crash(driver, {2 * cluster.times}s)")
    cluster.co.create_claim("copy", storage_class="iscsi", from_claim="data")
    cluster.co.create_pod("reader", "copy")
    await cluster.fired(crash)
    await cluster.settled()
    assert await cluster.read("reader", "ledger") == b"all we have"
    await cluster.teardown()
    await cluster.check()


async def test_no_way_out_of_a_call_keeps_its_lock(cluster):
    """Calls end in unusual ways: time is up, the caller dies, the answer is garbage, the connection goes.

    If a volume's lock is kept then, every repeat is ABORTED until somebody restarts the driver.

    C18; democratic-csi/democratic-csi#126, #293, ceph/ceph-csi#1236, IBM/ibm-spectrum-scale-csi#659
    """
    stuck = cluster.faults.add("nas.pool.dataset.create.request: +1 1*hang")
    cluster.co.create_claim("time-is-up")
    await cluster.answered("CreateVolume", "DEADLINE_EXCEEDED")
    stuck.remove()

    stuck = cluster.faults.add("nas.sharing.nfs.create.request: 1*hang")
    cluster.co.create_claim("caller-dies")
    await cluster.fired(stuck)
    await cluster.co.restart("provisioner")
    stuck.remove()

    cluster.faults.add("nas.sharing.nfs.create.reply: 1*truncate(10)->1*disconnect(fin)")
    cluster.faults.add("nas.sharing.nfs.create.request: +2 1*error(EFAULT)")
    for name in ("garbage", "gone", "refused"):
        cluster.co.create_claim(name)
    await cluster.settled()
    assert cluster.held() == []
    await cluster.teardown()
    await cluster.check()
