"""Taking volumes away: not too early, and nobody else's."""

from typing import Final

from csisim.pb import csi_pb2 as csi
from csisim.runs.script import Script
from csisim.scenarios.expect import allowed, expect, refused
from csisim.scenarios.ledger import kept, written
from csisim.scenarios.scenario import EXPECTATION, Scenario
from csisim.scenarios.wrong_delete import collecting, possessive, thorough

_FOREIGN: Final = "tank/csi/theirs"
_THEIRS: Final = (f"NAS: dataset {_FOREIGN}", f"NAS: snapshot {_FOREIGN}@monday")
_CRASH: Final = "process.driver: 1*crash"


async def _too_early(cluster: Script, storage_class: str) -> None:
    volume_id = await written(cluster, storage_class)
    await refused(cluster, csi.DeleteVolumeRequest(volume_id=volume_id), None, "FAILED_PRECONDITION", "published on")
    await kept(cluster, "web")


async def _of_others(cluster: Script, _variant: str) -> None:
    cluster.co.create_claim("data")
    await cluster.settled()
    await cluster.foreign(_FOREIGN)
    await cluster.nas.call("pool.snapshot.create", {"dataset": _FOREIGN, "name": "monday"})
    for given in ("theirs", _FOREIGN, "../csi/theirs", "theirs/", "theirs@monday"):
        await allowed(cluster, csi.DeleteVolumeRequest(volume_id=given))
        await allowed(cluster, csi.DeleteSnapshotRequest(snapshot_id=given))
        more = csi.CapacityRange(required_bytes=1 << 31)
        await refused(
            cluster, csi.ControllerExpandVolumeRequest(volume_id=given, capacity_range=more), None, "NOT_FOUND"
        )
    left = await cluster.leftovers()
    expect(set(_THEIRS) <= set(left), "a dataset that is somebody else's is there as before, with its snapshot")


async def _unknown_to_the_driver(cluster: Script, _variant: str) -> None:
    volume_id = await written(cluster)
    cluster.co.delete("Pod", "web")
    await cluster.answered("ControllerUnpublishVolume")
    await cluster.settled()

    crash = cluster.faults.add(_CRASH)
    cluster.co.create_claim("next")
    await cluster.fired(crash)
    await cluster.settled()
    left = await cluster.leftovers()
    expect(any(volume_id in each for each in left), "a volume that nobody has asked to delete is there")
    cluster.co.create_pod("web-2", "data")
    await cluster.running("web-2")
    await kept(cluster, "web-2")


SCENARIOS: Final = (
    Scenario(
        name="D01",
        title="A delete while a node still has the volume",
        story=(
            "Somebody deletes a volume that a node still has. If the NAS lets go of it, the pod's files are gone, and"
            " the node can never unmount what is left."
        ),
        faults=("none: a DeleteVolume that comes too early is enough",),
        expectation="The delete is refused for as long as a node has the volume, and the pod goes on.",
        invariants=("I1", "I5", "I11"),
        source="kubernetes/kubernetes#94108, #84226; kubernetes-csi/external-provisioner#176, #438",
        body=_too_early,
        variants=("nfs", "nvmeof"),
        wrong=thorough,
        wrong_idea="Who deletes a volume wants it off all nodes, too.",
        caught_by=("I1", "I5", EXPECTATION),
    ),
    Scenario(
        name="D07",
        title="A delete by an id that leads to somebody else's dataset",
        story=(
            "A stale or forged id leads to a dataset that somebody else has made below the driver's own. A driver that"
            " goes by the name alone deletes it, with its snapshots."
        ),
        faults=("none: an id that leads elsewhere is enough",),
        expectation="The answer is as for a volume that is gone, and the dataset is there as before.",
        invariants=("I1", "I17"),
        source="fenio/tns-csi@02ea041; GizmoTickler/scale-csi@178d841",
        body=_of_others,
        left=_THEIRS,
        wrong=possessive,
        wrong_idea="What is below the driver's dataset is the driver's.",
        caught_by=("I17", EXPECTATION),
    ),
    Scenario(
        name="D08",
        title="A driver that knows of no volume after its restart",
        story=(
            "The driver restarts, and knows of no volume at first. A driver that takes whatever it does not know for"
            " left behind deletes volumes that are in use by claims, only by no pod at that moment."
        ),
        faults=(_CRASH,),
        expectation="Nothing is deleted that nobody has asked to delete, whatever the driver knows of it.",
        invariants=("I1", "I17"),
        source="GizmoTickler/scale-csi@b712487, @178d841, @33c5620; kubernetes-csi/csi-test#223",
        body=_unknown_to_the_driver,
        wrong=collecting,
        wrong_idea="A volume that is published nowhere, and that nobody has named since the start, was left behind.",
        caught_by=("I1", EXPECTATION),
    ),
)
