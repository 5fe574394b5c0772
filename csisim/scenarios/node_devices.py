"""Network disks on nodes: which device is whose, when one is blank, and what a logout ends."""

from typing import Final

from csisim.runs.script import Script
from csisim.scenarios.expect import expect
from csisim.scenarios.ledger import LEDGER, kept, written
from csisim.scenarios.scenario import EXPECTATION, Scenario
from csisim.scenarios.wrong_devices import by_kernel_name, forgiving, formatting, only_what_is_seen, per_portal

_OTHER: Final = b"the other volume's"


async def _late_device(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class)
    cluster.co.delete("Pod", "web")
    await cluster.settled()

    late = cluster.faults.add("\n".join(_LATE))
    cluster.co.create_pod("web-2", "data", node="node-2")
    await cluster.fired(late, 2)
    await cluster.settled()
    await kept(cluster, "web-2")


async def _reused_name(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class, block=True)
    host = cluster.nodes["node-1"].host
    host.vanish(host.connected()[0])
    await written(cluster, storage_class, pod="db", claim="other", block=True, content=_OTHER)

    await cluster.co.restart("kubelet node-1")
    cluster.co.create_pod("web-2", "data", node="node-1")
    await cluster.settled()
    await kept(cluster, "web-2")
    await cluster.write("web-2", "ledger", LEDGER)
    await kept(cluster, "db", _OTHER)


async def _failed_logout(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class)
    failing = cluster.faults.add("device.disconnect{node=node-1}: 1*error(EIO)")
    cluster.co.delete("Pod", "web")
    await cluster.fired(failing)
    await cluster.settled()
    expect(not cluster.nodes["node-1"].host.connected(), "a node has no session once Unstage has been answered OK")


async def _unseen_device(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class)
    gone = cluster.faults.add("device.present{node=node-1}: ready(1h)")
    cluster.co.delete("Pod", "web")
    await cluster.settled()
    gone.remove()
    expect(not cluster.nodes["node-1"].host.connected(), "the session is closed though its device was not to be seen")


async def _one_of_two(cluster: Script, storage_class: str) -> None:
    await written(cluster, storage_class)
    await written(cluster, storage_class, pod="db", claim="other", content=_OTHER)
    cluster.co.delete("Pod", "web")
    await cluster.settled()
    await cluster.write("db", "more", _OTHER)
    await kept(cluster, "db", _OTHER)


_LATE: Final = ("device.present{node=node-2}: 1*ready(3)", "device.format_of{node=node-2}: 2*error(ENODEV)")

SCENARIOS: Final = (
    Scenario(
        name="N18",
        title="A device with data on it that cannot be probed just then",
        story=(
            "A volume with data comes to another node, where its device drops out just when it is probed. Nothing found"
            " is not the same as nothing there: a driver that formats now has deleted everything."
        ),
        faults=_LATE,
        expectation="The volume is staged once its device can be probed, with the files that were on it.",
        invariants=("I1",),
        source=(
            "hetznercloud/csi-driver#1346; NetApp/trident#418; embercsi/ember-csi#22; kubernetes/kubernetes#95183;"
            " ydb-platform/nbs#7207; democratic-csi/democratic-csi#215; metal-stack/csi-driver-lvm#140"
        ),
        body=_late_device,
        variants=("iscsi", "nvmeof"),
        wrong=formatting,
        wrong_idea="Where the probe finds no file system there is none, and mkfs needs its -F to ask no questions.",
        caught_by=("I1", EXPECTATION),
    ),
    Scenario(
        name="N20",
        title="A device's name that has passed to another volume",
        story=(
            "A raw volume's session ends behind the driver's back, and the kernel gives the free name to the next"
            " volume's device. A driver that knows its devices by such names hands one volume's pod the other volume."
        ),
        faults=("the session of the first volume ends from below", "kubelet restarts"),
        expectation="A pod that comes later sees the volume that it asked for, and writes to no other.",
        invariants=("I1", "I4", "I6"),
        source="kubernetes/kubernetes#33760",
        body=_reused_name,
        variants=("iscsi", "nvmeof"),
        wrong=by_kernel_name,
        wrong_idea="A disk keeps the name that the kernel has given it, so that is what to write down.",
        caught_by=("I1", "I6", EXPECTATION),
    ),
    Scenario(
        name="N21",
        title="A logout that fails after the unmount",
        story=(
            "The logout of an unmounted volume fails. A driver that waits a second, and calls the volume unstaged,"
            " leaves a session behind, which whatever comes to this address next gets in place of its own."
        ),
        faults=("device.disconnect{node=node-1}: 1*error(EIO)",),
        expectation="Unstage fails, is repeated, and has closed the session when it is answered OK.",
        invariants=("I1", "I3", "I6"),
        source="fenio/tns-csi#204, #206",
        body=_failed_logout,
        variants=("nvmeof", "iscsi"),
        wrong=forgiving,
        wrong_idea="The volume is unmounted, and a logout that fails will sort itself out within a second.",
        caught_by=("I3", EXPECTATION),
    ),
    Scenario(
        name="N23",
        title="A logout when the device is not to be seen any more",
        story=(
            "A volume is unstaged while its device node is not to be seen, though the session holds. A driver that"
            " knows a session by its device skips the logout: sessions pile up, and log in again for ever."
        ),
        faults=("device.present{node=node-1}: ready(1h)",),
        expectation="The session is closed by its address, whatever is to be seen of the device.",
        invariants=("I3", "I18"),
        source=("fenio/tns-csi#209, #212; democratic-csi/democratic-csi#536, #569; openebs/openebs#185"),
        body=_unseen_device,
        variants=("iscsi", "nvmeof"),
        wrong=only_what_is_seen,
        wrong_idea="Where there is no device, there is no session to be closed.",
        caught_by=("I3", EXPECTATION),
    ),
    Scenario(
        name="N24",
        title="Two volumes of one server, and the logout of one",
        story=(
            "Two volumes of one server are in use on a node, and the first one is unstaged. A driver that logs out of"
            " the server, and not of the one target, ends the session that the second one is used through."
        ),
        faults=("none: two volumes of one server on a node are enough",),
        expectation="The second volume is read and written as before.",
        invariants=("I1", "I6"),
        source="hpe-storage/csi-driver#269; kubernetes/kubernetes#73181",
        body=_one_of_two,
        variants=("iscsi", "nvmeof"),
        wrong=per_portal,
        wrong_idea="One logs in to a server, so one logs out of it.",
        caught_by=(EXPECTATION,),
    ),
)
