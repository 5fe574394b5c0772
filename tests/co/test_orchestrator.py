"""The orchestrator on the real driver, NAS and nodes in virtual time, and what it promises about itself."""

import asyncio
import random
from pathlib import Path

import pytest
from grpc import StatusCode

from csisim.cluster import Cluster, ClusterSettings, parse_endpoint
from csisim.cluster.inventory import host_leftovers, nas_leftovers
from csisim.cluster.nas_inside import NasInside
from csisim.cluster.simulated import SimulatedSurroundings
from csisim.co.manifests import load
from csisim.co.node_side import NodeSide
from csisim.co.objects import PersistentVolumeClaim, Pod
from csisim.co.orchestrator import NotConverged, Orchestrator
from csisim.co.timings import Timings
from csisim.events import History
from csisim.secrets import stripped
from csisim.sim.host_paths import HostPaths
from csisim.sim.run import simulate
from csisim.sim.strategies import RandomWalk
from tests.co.scripted import Driver, events, kubernetes, simulated

EXAMPLES = load([Path(__file__).parent.parent.parent / "examples" / "manifests"])
NODES = ("node-1", "node-2")


class Channels:
    def __init__(self, surroundings, cluster):
        self.surroundings, self.cluster = surroundings, cluster

    def channel(self, node_id):
        where = self.cluster.endpoint if node_id is None else self.cluster.node_endpoints[node_id]
        return self.surroundings.channel(where)


async def cluster_story(story):
    """Tell a story on a simulated cluster, have everything deleted, and look for what is left."""
    surroundings = SimulatedSurroundings()
    settings = ClusterSettings(node_ids=NODES, endpoint=parse_endpoint("unix:///simulated/csi.sock"))
    history = History(asyncio.get_running_loop().time, limit=None)
    history.describe = stripped
    async with Cluster(settings, rng=random.Random(1), surroundings=surroundings) as cluster:
        sides = {
            name: NodeSide(HostPaths(host), host.content, "/var/lib/kubelet") for name, host in cluster.hosts.items()
        }
        channels = Channels(surroundings, cluster)
        async with Orchestrator(channels, sides, rng=random.Random(2), history=history) as co:
            co.history = history
            await story(co)
            await co.everything_absent(3600)
            left = co.leftovers()
            wrong = co.ledger.wrong
        found = await nas_leftovers(NasInside(lambda: cluster.nas), "tank/csi") + await host_leftovers(cluster.hosts)
    assert (left, wrong, found) == ({}, [], [])
    return [event.to_json() for event in history.since()]


async def everything(co):
    """The examples, a drained node, crashes of everything, a change of size and class."""
    co.apply(EXAMPLES.objects)
    await co.settled(600)
    assert sorted({pod.node_name for pod in co.api.all_of(Pod)}) == list(NODES)
    for change in EXAMPLES.changes:
        co.apply(change)
    co.drain("node-1")
    await asyncio.sleep(0.01)
    for process in co.process_names():
        await co.restart(process)
    await co.settled(600)
    claim = co.get("PersistentVolumeClaim", "shared")
    assert (claim.capacity >> 30, claim.current_volume_attributes_class) == (4, "compressed")
    assert {pod.node_name for pod in co.api.all_of(Pod) if pod.owner} == {"node-2"}
    await asyncio.sleep(60)


def test_the_examples_come_true_and_go_again_whatever_crashes_and_equal_seeds_give_equal_runs():
    outcomes = [simulate(lambda: cluster_story(everything), seed=3, strategy=RandomWalk) for _ in range(2)]
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        assert outcome.leaked == ()
    assert outcomes[0].trace_hash == outcomes[1].trace_hash
    assert outcomes[0].result == outcomes[1].result
    intents = [event for event in outcomes[0].result if event["kind"] == "intent"]
    assert {event["call"] for event in intents if event["type"] == "invoke"} == {
        event["call"] for event in intents if event["type"] == "ok"
    }
    reads = [event for event in outcomes[0].result if event["kind"] == "data" and event["f"] == "read"]
    # Where a pod is ended while it reads, that is an info.
    assert {event["type"] for event in reads} - {"info"} == {"invoke", "ok"}
    assert len(reads) > 60


@simulated
async def test_what_does_not_come_true_is_named_with_its_reason():
    driver = Driver()
    driver.codes["CreateVolume"] = [StatusCode.INTERNAL] * 50
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a")
        with pytest.raises(NotConverged) as caught:
            await co.settled(30)
        text = str(caught.value)
        assert text.startswith("not as it is wanted after 30 s:\n")
        assert "PersistentVolumeClaim default/a (present): Pending" in text
        assert "Pod default/p (present): Pending on no node" in text
        assert "provisioner claim default/a" in text
        assert "INTERNAL: as told" in text


@simulated
async def test_wishes_are_in_the_history_and_end_when_they_have_come_true():
    async with kubernetes() as co:
        co.create_claim("a")
        await co.settled(10)
        co.expand("a", 2 << 30)
        co.create_pod("p", "a")
        await co.settled(10)
        await co.everything_absent(60)
        seen = [(each["type"], each["f"], each["value"]["object"], each["call"]) for each in events(co, "intent")]
        claim, pod = "PersistentVolumeClaim default/a", "Pod default/p"
        order = [(type_, f, about) for type_, f, about, _ in seen]
        assert order[:2] == [("invoke", "present", claim), ("ok", "present", claim)]
        assert order[2:4] == [("invoke", "present", claim), ("invoke", "present", pod)]
        assert sorted(order[4:6]) == [("ok", "present", claim), ("ok", "present", pod)]
        assert sorted(order[6:8]) == [("invoke", "absent", claim), ("invoke", "absent", pod)]
        assert order[-1] == ("ok", "absent", claim)
        assert events(co, "intent")[2]["value"]["storage"] == 2 << 30


@simulated
async def test_processes_crash_and_come_back_and_unknown_ones_are_refused():
    async with kubernetes() as co:
        assert co.process_names() == [
            "provisioner", "attacher", "resizer", "snapshotter", "volume-binder", "attach-detach", "workloads",
            "kubelet n1", "kubelet n2",
        ]  # fmt: skip
        await co.crash("attacher")
        with pytest.raises(KeyError, match="'attacher' does not run"):
            await co.crash("attacher")
        with pytest.raises(KeyError, match="'teapot' is not one of provisioner"):
            await co.restart("teapot")
        co.create_claim("a")
        co.create_pod("p", "a")
        with pytest.raises(NotConverged):
            await co.settled(100)
        await co.restart("attacher")
        await co.settled(10)
        assert [each["f"] for each in events(co, "world")] == ["crash", "restart"]


@simulated
async def test_an_error_of_the_program_ends_the_run():
    async def story():
        async with kubernetes() as co:
            co.sides["n1"].files.names = None
            co.create_claim("a")
            co.create_pod("p", "a", node="n1")
            await co.settled(10)
            await asyncio.sleep(1)

    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        await story()


@simulated
async def test_every_process_waits_until_the_driver_answers():
    driver = Driver(controller=())
    async with kubernetes(driver) as co:
        await co.crash("provisioner")
        co._shared.channels.exchange.release(co._shared.channels.exchange.server("unix:///controller.sock"))
        await co.restart("provisioner")
        with pytest.raises(NotConverged, match=r"provisioner: has not started: Probe\(driver\): UNAVAILABLE"):
            await co.settled(10)


@simulated
async def test_a_driver_that_is_still_starting_is_waited_for():
    driver = Driver()
    driver.not_ready = 2
    async with kubernetes(driver) as co:
        assert asyncio.get_running_loop().time() == 3
        co.create_claim("a")
        await co.settled(10)


@simulated
async def test_times_can_be_scaled_as_a_whole():
    driver = Driver()
    driver.codes["CreateVolume"] = [StatusCode.UNAVAILABLE] * 2
    async with kubernetes(driver, timings=Timings().scaled(0.01)) as co:
        co.create_claim("a")
        await co.settled(1)
        assert driver.times("CreateVolume") == [0, 0.01, 0.03]


@simulated
async def test_one_operation_of_a_volume_at_a_time_from_each_controller():
    driver = Driver()
    for method in ("CreateVolume", "ControllerPublishVolume", "NodeStageVolume", "NodePublishVolume"):
        driver.codes[method] = [StatusCode.ABORTED]
    async with kubernetes(driver) as co:
        for name in "abc":
            co.create_claim(name)
            co.create_pod(f"p{name}", name)
        await co.settled(60)
        await co.everything_absent(60)
        out: dict[tuple[str, str], str] = {}
        for event in events(co, "call"):
            if event["type"] != "invoke":
                out = {key: call for key, call in out.items() if call != event["call"]}
                continue
            value = event.get("value", {})
            volume = value.get("volume_id") or (value.get("name") if event["f"] == "CreateVolume" else "")
            if volume:
                assert (event["process"], volume) not in out
                out[event["process"], volume] = event["call"]
        assert len(co.api.all_of(PersistentVolumeClaim)) == 0


@simulated
async def test_a_pod_s_volume_is_found_where_kubelet_put_it():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_claim("b")
        with pytest.raises(KeyError, match="there is no PersistentVolumeClaim default/a with a volume"):
            co.volume_of("a")
        co.create_pod("p", "a", "b", node="n2")
        with pytest.raises(KeyError, match="there is no Pod default/p that runs"):
            co.mount_of("p", "a")
        await co.settled(10)
        node, mount = co.mount_of("p", "b")
        published = {each.volume_id: each.target_path for each in driver.requests("NodePublishVolume")}
        assert (node, mount.target) == ("n2", published[co.volume_of("b").volume_handle])
        staged = {each.volume_id: each.staging_target_path for each in driver.requests("NodeStageVolume")}
        assert co.staging_path("a", "n2") == staged[co.volume_of("a").volume_handle]
        with pytest.raises(KeyError, match="has the claims a, b: which one is ''"):
            co.mount_of("p")


@simulated
async def test_a_machine_that_loses_power_runs_its_pods_again_and_overlapping_restarts_leave_one_process():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a", node="n1")
        await co.settled(10)
        co.lose_power("n1")
        co.lose_power("n1")
        await asyncio.gather(co.restart("kubelet n1"), co.restart("kubelet n1"))
        await asyncio.sleep(1)
        await co.settled(10)
        assert co.get("Pod", "p").running
        assert co.runs("kubelet n1")
        before = len(driver.calls)
        co.delete("Pod", "p")
        await co.settled(10)
        ended = [method for _, method, _ in driver.calls[before:]]
        assert ended == ["NodeUnpublishVolume", "NodeUnstageVolume", "ControllerUnpublishVolume"]
