"""What is there by half: a dataset without its share, a record that was not stored, a clone that nobody has marked."""

from typing import Final

from csisim.pb import csi_pb2 as csi
from csisim.runs.script import Script
from csisim.scenarios.expect import allowed, expect, recovered, refused
from csisim.scenarios.ledger import LEDGER, kept, written
from csisim.scenarios.scenario import EXPECTATION, Scenario
from csisim.scenarios.wrong_storage import stamps_later

_LARGER_BYTES: Final = 2 << 30
_SECOND_HALF: Final = {
    "nfs": "sharing.nfs.create",
    "iscsi": "iscsi.targetextent.create",
    "nvmeof": "nvmet.namespace.create",
}


async def _no_share(cluster: Script, storage_class: str) -> None:
    crash = cluster.faults.add(
        f"nas.{_SECOND_HALF[storage_class]}.apply: 1*crash(driver, {2 * cluster.times}s)->1*error(EBUSY)"
    )
    cluster.co.create_claim("data", storage_class=storage_class)
    cluster.co.create_pod("web", "data")
    await cluster.fired(crash)
    await recovered(cluster)
    await cluster.write("web", "ledger", LEDGER)
    await kept(cluster, "web")


async def _not_stored(cluster: Script, storage_class: str) -> None:
    cluster.co.create_claim("data", storage_class=storage_class)
    await cluster.settled()
    failing = cluster.faults.add(_UPDATE)
    cluster.co.create_pod("web", "data", node="node-1")
    await cluster.running("web")
    expect(failing.fired, "the NAS has refused to store it once")
    volume = cluster.co.volume_of("data")
    seen = await allowed(cluster, csi.ControllerGetVolumeRequest(volume_id=volume.volume_handle))
    expect(list(seen.status.published_node_ids) == ["node-1"], "what is read back is what was stored")
    elsewhere = csi.ControllerPublishVolumeRequest(
        volume_id=volume.volume_handle,
        node_id="node-2",
        volume_capability=cluster.capability("data"),
        volume_context=volume.volume_attributes,
    )
    await refused(cluster, elsewhere, None, "FAILED_PRECONDITION")

    failing = cluster.faults.add(_UPDATE)
    cluster.co.expand("data", _LARGER_BYTES)
    await cluster.fired(failing)
    await recovered(cluster)
    expect(await cluster.size_bytes("web") == _LARGER_BYTES, "the pod has the room that was asked for")


async def _no_mark(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class)
    crashes = cluster.faults.add("\n".join(_CRASHES).replace("2s", f"{2 * cluster.times}s"))
    cluster.co.create_claim("copy", storage_class=storage_class, from_claim="data")
    cluster.co.create_pod("reader", "copy")
    await cluster.fired(crashes, len(_CRASHES))
    await recovered(cluster)
    await kept(cluster, "reader")


_CRASHES: Final = (
    "nas.pool.snapshot.clone.request: 1*crash(driver, 2s)",
    "nas.pool.snapshot.clone.apply: 1*crash(driver, 2s)",
    "nas.pool.snapshot.clone.reply: +1 1*crash(driver, 2s)",
)
_UPDATE: Final = "nas.pool.dataset.update.apply: 1*error(EIO)"

SCENARIOS: Final = (
    Scenario(
        name="C08",
        title="A dataset without its share",
        story=(
            "The driver dies when the dataset is there and its share, or what its protocol has, is not. A repeat that"
            " takes the dataset for the volume answers OK, and no node can ever mount it."
        ),
        faults=tuple(f"nas.{each}.apply: 1*crash(driver, 2s)->1*error(EBUSY)" for each in _SECOND_HALF.values()),
        expectation="The repeat makes what is missing, and a pod can write.",
        invariants=("I7", "I8", "I6"),
        source=("GizmoTickler/truenas-scale-csi@4a484de; fenio/tns-csi@283df2d; democratic-csi/democratic-csi#351"),
        body=_no_share,
        variants=tuple(_SECOND_HALF),
        wrong="M-HALFMADE",
        wrong_idea="Where the dataset is, the volume is.",
        caught_by=("I8", "I11", EXPECTATION),
    ),
    Scenario(
        name="C09",
        title="A property that could not be stored",
        story=(
            "What the driver has to remember of a volume is stored in properties of its dataset, and once that fails."
            " A driver that logs it and goes on does not know later where the volume is, or how large."
        ),
        faults=(_UPDATE, _UPDATE),
        expectation="The call is repeated until it is stored: what is read back is what was written.",
        invariants=("I7", "I3"),
        source=(
            "review OTHER-005, BUG-004; GizmoTickler/truenas-scale-csi@a7cfb23, @24c09a1;"
            " GizmoTickler/scale-csi@c533d00"
        ),
        body=_not_stored,
        variants=("nfs", "iscsi"),
        wrong="M-PROPLOG",
        wrong_idea="The volume is there, and a property that it lacks can be stored another time.",
        caught_by=("I12", "I11", EXPECTATION),
    ),
    Scenario(
        name="C14",
        title="A driver that dies between a clone and its mark",
        story=(
            "The driver dies around the call that clones, before it could note down anything about the clone. One"
            " that marks it in a second step meets a stranger after its restart: ALREADY_EXISTS, for ever."
        ),
        faults=_CRASHES,
        expectation="After each restart the repeat goes on where the driver was, and the copy has its files.",
        invariants=("I7", "I11", "I3", "I17"),
        source="GizmoTickler/scale-csi@dec7de6, @33c5620",
        body=_no_mark,
        variants=("nfs", "iscsi"),
        wrong=stamps_later,
        wrong_idea="What is there can be marked as ours, and before it is there it cannot.",
        caught_by=("I11", "linearizability", EXPECTATION),
    ),
)
