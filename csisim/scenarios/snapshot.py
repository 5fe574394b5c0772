"""Snapshots: ids that are none, a cut that nobody waits for, and deletion while they are needed."""

from typing import Final

from csisim.pb import csi_pb2 as csi
from csisim.runs.script import Script
from csisim.scenarios.expect import allowed, expect, refused
from csisim.scenarios.ledger import kept, written
from csisim.scenarios.scenario import EXPECTATION, Scenario
from csisim.scenarios.wrong_snapshots import drops_refusals, reads_unlocked

_GARBAGE: Final = ("@", "a@", "@b", "a@b@c", "nothing", "tank/csi/a@b", "../a@b", "\u202ea@b", "a" * 128)
_NO_ID: Final = ("", "a" * 4096)
_MONDAY: Final = b"as of monday"
_CUT: Final = "nas.pool.snapshot.create.apply: hang"
_CLONE: Final = "nas.pool.snapshot.clone.apply: 1*hang"


async def _no_snapshot(cluster: Script, _variant: str) -> None:
    cluster.co.create_claim("data")
    await cluster.settled()
    for snapshot_id in _GARBAGE:
        await allowed(cluster, csi.DeleteSnapshotRequest(snapshot_id=snapshot_id))
        listed = await allowed(cluster, csi.ListSnapshotsRequest(snapshot_id=snapshot_id))
        expect(not listed.entries, f"there is no snapshot {snapshot_id!r} to list")
        await refused(cluster, _restore(cluster, snapshot_id), None, "NOT_FOUND")
    for snapshot_id in _NO_ID:
        await refused(cluster, csi.DeleteSnapshotRequest(snapshot_id=snapshot_id), None, "INVALID_ARGUMENT")


def _restore(cluster: Script, snapshot_id: str) -> csi.CreateVolumeRequest:
    source = csi.VolumeContentSource.SnapshotSource(snapshot_id=snapshot_id)
    return csi.CreateVolumeRequest(
        name="restored",
        volume_capabilities=[cluster.capability("data")],
        volume_content_source=csi.VolumeContentSource(snapshot=source),
    )


async def _late_cut(cluster: Script, storage_class: str) -> None:
    cluster.co.create_claim("data", storage_class=storage_class)
    await cluster.settled()
    slow = cluster.faults.add(_CUT)
    cluster.co.create_snapshot("monday", "data")
    await cluster.fired(slow)
    cluster.co.delete("VolumeSnapshot", "monday")
    await cluster.until(lambda: cluster.attempts("CreateSnapshot"), "the call for the snapshot has ended")

    slow.remove()
    await cluster.settled()
    expect(await _snapshots(cluster) == [], "no snapshot is left on the NAS")


async def _snapshots(cluster: Script) -> list[str]:
    return [each for each in await cluster.leftovers() if "snapshot" in each]


async def _torn(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class, content=_MONDAY)
    cluster.co.create_snapshot("monday", "data")
    await cluster.settled()
    await cluster.write("web", "ledger", b"as of tuesday")
    listed = await allowed(cluster, csi.ListSnapshotsRequest())

    slow = cluster.faults.add(_CLONE)
    cluster.co.create_claim("restored", storage_class=storage_class, from_snapshot="monday")
    cluster.co.create_pod("reader", "restored")
    await cluster.fired(slow)
    delete = csi.DeleteSnapshotRequest(snapshot_id=listed.entries[0].snapshot.snapshot_id)
    await refused(cluster, delete, None, "ABORTED")
    cluster.co.delete("VolumeSnapshot", "monday")
    slow.remove()
    await cluster.running("reader")
    await kept(cluster, "reader", _MONDAY)

    cluster.co.delete("Pod", "reader")
    cluster.co.delete("PersistentVolumeClaim", "restored")
    await cluster.settled()
    expect(await _snapshots(cluster) == [], "the snapshot goes with the last that needs it")


async def _needed(cluster: Script, storage_class: str) -> None:
    cluster.co.create_claim("data", storage_class=storage_class)
    cluster.co.create_snapshot("monday", "data")
    await cluster.settled()
    cluster.co.create_claim("restored", storage_class=storage_class, from_snapshot="monday")
    await cluster.settled()

    cluster.co.delete("VolumeSnapshot", "monday")
    await cluster.until(lambda: cluster.attempts("DeleteSnapshot"), "somebody has tried to delete the snapshot")
    expect(not cluster.attempts("DeleteSnapshot", "OK"), "nobody is told that the snapshot is gone")
    await cluster.answered("DeleteSnapshot", "FAILED_PRECONDITION", times=2)
    cluster.co.delete("PersistentVolumeClaim", "restored")
    await cluster.settled()
    expect(await _snapshots(cluster) == [], "the snapshot goes when nothing depends on it any more")


SCENARIOS: Final = (
    Scenario(
        name="S01",
        title="An id that is no snapshot's",
        story=(
            'Ids come from outside: cut in half, from another driver, or made up. A driver that splits them at the "@"'
            " and takes the second part dies of the first one that has none."
        ),
        faults=("ids such as '@', 'a@', 'a@b@c', without '@', with other alphabets, and of 4 KiB",),
        expectation="Nothing of that name is deleted or listed, and nothing can be made of it; the answers say so.",
        invariants=("I8", "I16"),
        source="review BUG-002",
        body=_no_snapshot,
        wrong="M-SNAPID",
        wrong_idea="Callers give back the ids that they were given.",
        caught_by=("I8", EXPECTATION),
    ),
    Scenario(
        name="S02",
        title="A snapshot that is cut when nobody waits for it any more",
        story=(
            "Cutting takes longer than the snapshotter waits, and the VolumeSnapshot is deleted. The NAS cuts all the"
            " same; unless the answers keep the snapshotter asking, nobody deletes what comes of it."
        ),
        faults=(_CUT,),
        expectation="When everybody has come to rest, there is no snapshot.",
        invariants=("I3", "I9"),
        source="kubernetes-csi/external-snapshotter#134, #1388, #1392",
        body=_late_cut,
        variants=("nfs", "iscsi"),
        wrong="M-INTERNAL",
        wrong_idea="What goes wrong inside is an internal error, and time that runs out goes wrong.",
        caught_by=("I8", "I11", EXPECTATION),
    ),
    Scenario(
        name="S03",
        title="A snapshot that is deleted during its restore",
        story=(
            "A claim is restored from a snapshot, which somebody deletes while the NAS still clones. Unless the restore"
            " holds it, the snapshot is gone when its turn comes, and the claim stays without a volume."
        ),
        faults=(_CLONE,),
        expectation="The restored volume has the files of that moment; then the snapshot goes.",
        invariants=("I13", "I11"),
        source="kubernetes-csi/external-snapshotter#1366, #1394",
        body=_torn,
        variants=("nfs", "iscsi"),
        wrong=reads_unlocked,
        wrong_idea="What is only read needs no lock.",
        caught_by=("I11", EXPECTATION),
    ),
    Scenario(
        name="S05",
        title="A snapshot that the NAS refuses to delete",
        story=(
            "ZFS does not destroy a snapshot that a restored volume depends on. A driver that drops the error answers"
            " OK, and the snapshot stays for ever."
        ),
        faults=("a volume was restored from the snapshot",),
        expectation="The snapshotter is told that it is in use, and goes on until the volume is gone.",
        invariants=("I3", "I8"),
        source="truenas/truenas-csi#69; democratic-csi/democratic-csi#456",
        body=_needed,
        variants=("nfs", "iscsi"),
        wrong=drops_refusals,
        wrong_idea="The NAS keeps what it still needs, and whoever deletes need not know.",
        caught_by=("I11", "linearizability", EXPECTATION),
    ),
)
