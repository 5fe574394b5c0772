"""Making volumes while answers are lost, callers give up, and several ask at a time."""

import asyncio
from typing import Final

from csisim.co.callers import PROVISIONER, CallFailed
from csisim.co.plans import GIB
from csisim.pb import csi_pb2 as csi
from csisim.runs.script import Script
from csisim.scenarios.expect import expect, recovered
from csisim.scenarios.scenario import EXPECTATION, Scenario
from csisim.scenarios.wrong_controller import forgets, looks_first, rolls_back, unwinds

_SLOW: Final = "nas.pool.dataset.create.apply: 1*hang"


async def datasets(cluster: Script) -> list[str]:
    """Those on the NAS."""
    return [each.rpartition(" ")[2] for each in await cluster.leftovers() if each.startswith("NAS: dataset")]


def codes(cluster: Script, rpc: str) -> frozenset[str]:
    """Every answer that callers have had."""
    return frozenset(each.code.name for each in cluster.attempts(rpc))


async def _nobody_waits(cluster: Script, _variant: str) -> None:
    cluster.co.create_claim("kept")
    await cluster.settled()
    slow = cluster.faults.add(_SLOW)
    cluster.co.create_claim("data")
    await cluster.fired(slow)
    cluster.co.delete("PersistentVolumeClaim", "data")
    await cluster.until(lambda: len(cluster.attempts("CreateVolume")) > 1, "the call for the second claim has ended")

    slow.remove()
    await cluster.settled()
    kept = f"tank/csi/{cluster.co.volume_of('kept').volume_handle}"
    expect(await datasets(cluster) == [kept], "only the volume of the claim that is left is on the NAS")


async def _two_provisioners(cluster: Script, protocol: str) -> None:
    mode = csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.SINGLE_NODE_WRITER)
    request = csi.CreateVolumeRequest(
        name="pvc-1",
        capacity_range=csi.CapacityRange(required_bytes=GIB),
        volume_capabilities=[csi.VolumeCapability(mount=csi.VolumeCapability.MountVolume(), access_mode=mode)],
        parameters={"protocol": protocol},
    )
    slow = cluster.faults.add(_SLOW)
    first = asyncio.create_task(cluster.call(request))
    await cluster.fired(slow)
    second = "OK"
    try:
        await cluster.call(request)
    except CallFailed as error:
        second = error.code.name
    slow.remove()
    made = (await first).volume
    expect(second == "ABORTED", "whoever asks for the same name meanwhile is told to come again")

    again = await cluster.call(request)
    expect(again.volume == made, "who comes again gets the volume that there is")
    await cluster.call(csi.DeleteVolumeRequest(volume_id=made.volume_id))


async def _lost_answer(cluster: Script, how: str) -> None:
    cluster.co.create_claim("first")
    await cluster.settled()
    faults = cluster.faults.add(f"nas.pool.dataset.create.reply: {_LOST[how]}")
    cluster.co.create_claim("data")
    await cluster.fired(faults)
    await cluster.settled()
    expect(len(await datasets(cluster)) == 2, "there is one dataset for each claim")
    expect("ALREADY_EXISTS" not in codes(cluster, "CreateVolume"), "nobody is told that the name is taken")


async def _late_clone(cluster: Script, storage_class: str) -> None:
    cluster.co.create_claim("data", storage_class=storage_class)
    cluster.co.create_snapshot("monday", "data")
    await cluster.settled()
    source = await datasets(cluster)
    late_s = 1.5 * PROVISIONER.timeout_s * cluster.pace.co_times
    late = cluster.faults.add(f"nas.pool.snapshot.clone.apply: 1*delay({late_s:g}s)")
    cluster.co.create_claim("restored", storage_class=storage_class, from_snapshot="monday")
    await cluster.fired(late)
    await cluster.answered("CreateVolume", "DEADLINE_EXCEEDED")
    cluster.co.delete("PersistentVolumeClaim", "restored")
    await cluster.settled()
    await asyncio.sleep(late_s)
    expect(await datasets(cluster) == source, "nothing is left of the restored volume, nor comes back")


async def _passing_fault(cluster: Script, storage_class: str) -> None:
    cluster.co.create_claim("data", storage_class=storage_class)
    await cluster.settled()
    passing = cluster.faults.add(_PASSING)
    for number in range(5):
        cluster.co.create_claim(f"copy-{number}", storage_class=storage_class, from_claim="data")
    await cluster.fired(passing, 5)
    cluster.co.delete("PersistentVolumeClaim", "copy-4")
    await cluster.settled()
    told = codes(cluster, "CreateVolume")
    expect(told <= {"OK", "ABORTED", "UNAVAILABLE", "DEADLINE_EXCEEDED"}, "callers are told to ask again")


async def _ways_out(cluster: Script, _variant: str) -> None:
    stuck = cluster.faults.add(_STUCK[0])
    cluster.co.create_claim("time-is-up")
    await cluster.answered("CreateVolume", "DEADLINE_EXCEEDED")
    stuck.remove()

    stuck = cluster.faults.add(_STUCK[1])
    cluster.co.create_claim("caller-dies")
    await cluster.fired(stuck)
    await cluster.co.restart("provisioner")
    stuck.remove()

    cluster.faults.add("\n".join(_STUCK[2:]))
    for name in ("garbage", "gone", "refused"):
        cluster.co.create_claim(name)
    await recovered(cluster)
    expect(cluster.held() == [], "no lock is held when nothing goes on")


_LOST: Final = {"reset": "1*disconnect(rst)", "closed": "1*disconnect(1011)", "crashed": "1*crash(nas)"}
_PASSING: Final = (
    "nas.pool.snapshot.clone.reply: 1*disconnect(rst)->1*disconnect(1011)->1*drop->1*truncate(10)->1*crash(nas)"
)
_STUCK: Final = (
    "nas.pool.dataset.create.request: +1 1*hang",
    "nas.sharing.nfs.create.request: 1*hang",
    "nas.sharing.nfs.create.reply: 1*truncate(10)->1*disconnect(fin)",
    "nas.sharing.nfs.create.request: +2 1*error(EFAULT)",
)

SCENARIOS: Final = (
    Scenario(
        name="C01",
        title="A claim that is deleted while its volume is late",
        story=(
            "The NAS takes longer for a volume than the provisioner waits, and meanwhile the claim is deleted. Nobody"
            " knows the id of what is made in the end, unless the driver's answers keep the provisioner asking until it"
            " has one to delete."
        ),
        faults=(_SLOW,),
        expectation="When everybody has come to rest, the volume that came late is gone.",
        invariants=("I3", "I9"),
        source="kubernetes-csi/external-provisioner#131, #311, #312; ceph/ceph-csi#4280",
        body=_nobody_waits,
        wrong=rolls_back,
        wrong_idea="What was cleaned up after its time had run out is gone, so the call has failed for good.",
        caught_by=("I3", "I8", EXPECTATION),
    ),
    Scenario(
        name="C04",
        title="Two provisioners that ask for one name at a time",
        story=(
            "Two provisioners are active, as after an election that went wrong; both look, find nothing, and create."
            " Looking and creating must be one step."
        ),
        faults=(_SLOW,),
        expectation="The second one is told to come again, and then gets the volume of the first.",
        invariants=("I2", "I10"),
        source="ceph/ceph-csi#426, #748; kubevirt/hostpath-provisioner-operator#148",
        body=_two_provisioners,
        variants=("nfs", "iscsi"),
        wrong=looks_first,
        wrong_idea="What is to be locked is known when it is known which volume it will be.",
        caught_by=("I2", "I3", EXPECTATION),
    ),
    Scenario(
        name="C05",
        title="A dataset that is made, and an answer that is lost",
        story=(
            "The connection is cut between the effect and the answer. A driver that repeats blindly makes a second"
            " volume, or is told that the name is taken and fails for good."
        ),
        faults=tuple(f"nas.pool.dataset.create.reply: {each}" for each in _LOST.values()),
        expectation="It is looked up what has happened, and the claim gets the one volume that there is.",
        invariants=("I9", "I2", "I7"),
        source="GizmoTickler/scale-csi@f4e65e1; kubernetes/kubernetes#32727",
        body=_lost_answer,
        variants=tuple(_LOST),
        wrong="M-BLINDRETRY",
        wrong_idea="A call that was not answered was not carried out.",
        caught_by=("I9",),
    ),
    Scenario(
        name="C07",
        title="A clone that lands after everybody has given it up",
        story=(
            "The NAS clones for longer than the provisioner waits, and the claim is deleted meanwhile. A driver that"
            " forgets the clone with the call clones once more and deletes that one; then the first one arrives."
        ),
        faults=("nas.pool.snapshot.clone.apply: 1*delay(15s)",),
        expectation="Nothing that comes of the long work later is left.",
        invariants=("I3", "I9", "I11"),
        source="GizmoTickler/scale-csi@5df1000; kubernetes-csi/external-provisioner#1449",
        body=_late_clone,
        variants=("nfs", "iscsi"),
        wrong=forgets,
        wrong_idea="A call that was given up is over.",
        caught_by=("I11", EXPECTATION),
    ),
    Scenario(
        name="C13",
        title="A fault that passes while volumes are cloned",
        story=(
            "A clone is made, and the NAS fails in one way or another for a moment. INTERNAL tells a provisioner that"
            " nothing is running any more: it stops asking, and when the claim is deleted the clone stays."
        ),
        faults=(_PASSING,),
        expectation="Callers are told to ask again, and only that.",
        invariants=("I8", "I3"),
        source="GizmoTickler/scale-csi@c533d00; external-provisioner checkError",
        body=_passing_fault,
        variants=("nfs", "iscsi"),
        wrong="M-INTERNAL",
        wrong_idea="What goes wrong inside is an internal error.",
        caught_by=("I8", EXPECTATION),
    ),
    Scenario(
        name="C18",
        title="A call that ends in an unusual way",
        story=(
            "Time is up, the caller dies, the answer is garbage, the connection goes, the NAS refuses. If the lock of"
            " the volume is kept then, every repeat is ABORTED until somebody restarts the driver."
        ),
        faults=_STUCK,
        expectation="Every claim gets its volume in the end, and no lock is held.",
        invariants=("I10", "I11"),
        source="democratic-csi/democratic-csi#126, #293; ceph/ceph-csi#1236; IBM/ibm-spectrum-scale-csi#659",
        body=_ways_out,
        wrong=unwinds,
        wrong_idea="Whatever goes wrong is an Exception.",
        caught_by=("I3", "I11", EXPECTATION),
    ),
)
