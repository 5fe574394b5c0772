"""Growing volumes."""

from typing import Final

from csisim.runs.script import Script
from csisim.scenarios.expect import expect
from csisim.scenarios.ledger import kept, written
from csisim.scenarios.scenario import EXPECTATION, Scenario
from csisim.scenarios.wrong_expand import forgetful

_GIB: Final = 1 << 30
_LOST: Final = "rpc.ControllerExpandVolume.after: 1*error(UNAVAILABLE)"


async def _answer_lost(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class)
    lost = cluster.faults.add(_LOST)
    cluster.co.expand("data", 2 * _GIB)
    await cluster.fired(lost)
    await cluster.settled()
    expect(cluster.co.get("PersistentVolumeClaim", "data").capacity == 2 * _GIB, "the claim has grown")
    expect(await cluster.size_bytes("web") == 2 * _GIB, "the pod's file system has grown with the disk")
    await kept(cluster, "web")


SCENARIOS: Final = (
    Scenario(
        name="E02",
        title="A repeat of an expansion whose answer was lost",
        story=(
            "A disk has grown on the NAS, and the answer is lost. A repeat that finds nothing left to do, and says that"
            " the node has nothing to do either, leaves a small file system on a large disk for ever."
        ),
        faults=(_LOST,),
        expectation="The repeat asks for the node's part too, and the file system grows with its disk.",
        invariants=("I7", "I12"),
        source="openebs/lvm-localpv#481",
        body=_answer_lost,
        variants=("iscsi", "nvmeof"),
        wrong=forgetful,
        wrong_idea="A volume that is large enough needs nothing.",
        caught_by=(EXPECTATION,),
    ),
)
