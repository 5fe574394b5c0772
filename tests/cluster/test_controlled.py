"""A real driver over a real NAS, controlled over HTTP; what a rule does is seen by a caller at the far end of gRPC."""

import asyncio
import random
from contextlib import asynccontextmanager

import grpc
import httpx
import pytest

from csisim.cluster import Cluster, ClusterSettings
from csisim.cluster.controlled import ControlledCluster
from csisim.control.client import AsyncFaultClient, ControlFailed, RuleRefused
from csisim.control.options import ControlOptions
from csisim.control.server import ControlServer
from csisim.faults.settings import FaultSettings
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc

MODE = csi.VolumeCapability(
    access_mode=csi.VolumeCapability.AccessMode(mode="SINGLE_NODE_WRITER"), mount=csi.VolumeCapability.MountVolume()
)


class Site:
    """A controlled driver and a caller of it."""

    def __init__(self, cluster, server, faults, channel):
        self.cluster, self.server, self.faults = cluster, server, faults
        self._controller = csi_pb2_grpc.ControllerStub(channel)

    async def create(self, name="pvc-1", timeout_s=10.0):
        """The code of a CreateVolume."""
        request = csi.CreateVolumeRequest(name=name, volume_capabilities=[MODE], parameters={"protocol": "nfs"})
        try:
            await self._controller.CreateVolume(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    def http(self):
        return httpx.AsyncClient(base_url=self.server.url, trust_env=False)


@asynccontextmanager
async def controlled(**changes):
    settings = ClusterSettings(grace_period_s=1.0, **changes)
    async with (
        Cluster(settings, rng=random.Random(1), faults=FaultSettings(seed=3)) as cluster,
        ControlServer(ControlledCluster(cluster, random.Random(2)), ControlOptions()) as server,
        AsyncFaultClient(server.url) as faults,
        grpc.aio.insecure_channel(cluster.endpoint.target) as channel,
    ):
        yield Site(cluster, server, faults, channel)


@pytest.fixture
async def site():
    async with controlled() as made:
        yield made


def test_a_cluster_without_faults_cannot_be_controlled():
    with pytest.raises(ValueError, match="without faults"):
        ControlledCluster(Cluster(ClusterSettings(), rng=random.Random(1)), random.Random(1))


async def test_a_rule_set_over_http_fails_a_real_call_and_its_event_names_the_call(site):
    async with site.faults.fault("rpc.CreateVolume.after{vol=pvc-*}: error(UNAVAILABLE)", name="lost"):
        assert await site.create() == "UNAVAILABLE"
    assert await site.create() == "OK"

    events = (await site.faults.events(kinds=["fault", "rpc"])).events
    (fault,) = [event for event in events if event["kind"] == "fault"]
    (first, *_) = [event for event in events if event["kind"] == "rpc"]
    assert (fault["f"], fault["value"]["rule"], fault["parent"]) == ("rpc.CreateVolume.after", "lost", first["call"])
    assert "dataset tank/csi/pvc-1" in await site.faults.leftovers()


async def test_status_names_driver_endpoints_and_link(site):
    status = await site.faults.status()

    assert (status.driver, status.seed, status.links) == ("csi.csisim.dev", 3, ("nas",))
    assert status.endpoints == (str(site.cluster.endpoint),)


@pytest.mark.parametrize("rule", ["rpc.CreateVolume.before: hang", "nas.pool.dataset.create.reply: hang(gate)"])
async def test_reset_lets_a_call_that_hangs_go_on(site, rule):
    await site.faults.add(rule)
    call = asyncio.create_task(site.create())
    while not await site.faults.barriers():
        await asyncio.sleep(0.005)
    assert not call.done()

    await site.faults.reset()

    assert await call == "OK"


async def test_reset_heals_a_black_hole(site):
    await site.faults.add("link.*: disconnect(blackhole)")
    call = asyncio.create_task(site.create(timeout_s=30))
    while not (await site.faults.events(kinds=["fault"])).events:
        await asyncio.sleep(0.005)
    assert not call.done()

    await site.faults.reset()

    assert await call == "OK"


async def test_a_disabled_toxiproxy_proxy_cuts_the_driver_off_until_it_is_enabled(site):
    async with site.http() as http:
        assert await site.create("pvc-0") == "OK"
        await http.post("/proxies/nas", json={"enabled": False})
        assert await site.create("pvc-1", timeout_s=0.3) in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
        await http.post("/proxies/nas", json={"enabled": True})
        assert await site.create("pvc-1") == "OK"


async def test_toxics_act_on_the_bytes_between_driver_and_nas(site):
    async with site.http() as http:
        for toxic in (
            {"type": "latency", "attributes": {"latency": 5, "jitter": 2}},
            {"type": "slicer", "stream": "upstream", "attributes": {"average_size": 50, "delay": 10}},
            {"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 1000}},
        ):
            assert (await http.post("/proxies/nas/toxics", json=toxic)).status_code == 200
        assert await site.create() == "OK"
        counts = {rule.name: rule.fired for rule in await site.faults.rules()}
        assert all(counts[f"toxic:{name}"] for name in ("latency_downstream", "slicer_upstream", "bandwidth_upstream"))

        await http.post("/toxiproxy/reset")
        await http.post("/proxies/nas/toxics", json={"type": "reset_peer", "attributes": {"timeout": 5}})
        assert await site.create("pvc-2", timeout_s=0.3) in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
        await http.delete("/proxies/nas/toxics/reset_peer_downstream")
        assert await site.create("pvc-2") == "OK"


async def test_the_nas_is_disconnected_and_the_driver_comes_back(site):
    assert await site.create("pvc-0") == "OK"
    assert await site.faults.disconnect_nas() == 1
    assert await site.create("pvc-1") == "OK"


@pytest.mark.parametrize("what", ["nas", "driver", "node", "reboot"])
async def test_a_process_is_crashed_and_serves_again(site, what):
    assert await site.create() == "OK"
    await site.faults.crash(what)

    for _ in range(100):  # the channel finds out in its own time
        if (code := await site.create()) == "OK":
            break
    assert code == "OK"


async def test_what_is_not_there_cannot_be_crashed(site):
    with pytest.raises(RuleRefused, match="node nowhere is not part of this process"):
        await site.faults.crash("node", node="nowhere")


async def test_looking_for_leftovers_meets_no_fault_and_changes_no_count(site):
    assert await site.create() == "OK"
    await site.faults.add("nas.*.request: error(EBUSY)")
    before = [rule.asked for rule in await site.faults.rules()]

    found = await site.faults.leftovers()

    assert [each.partition(" ")[0] for each in found] == ["dataset", "nfs"]
    assert [rule.asked for rule in await site.faults.rules()] == before


async def test_leftovers_on_a_nas_somewhere_else_are_asked_by_a_client_of_our_own(site):
    assert await site.create() == "OK"
    async with controlled(nas=site.cluster.nas_settings) as other:
        await other.faults.add("link.*: disconnect(blackhole)")
        assert "dataset tank/csi/pvc-1" in await other.faults.leftovers()
        await other.faults.reset()


async def test_a_nas_that_is_away_is_not_taken_for_an_empty_one(site, monkeypatch):
    monkeypatch.setattr("csisim.cluster.controlled._CONNECT_S", 0.05)
    async with controlled(nas=site.cluster.nas_settings) as other:
        await site.cluster.nas_server.close()
        with pytest.raises(ControlFailed, match="could not be asked") as caught:
            await other.faults.leftovers()
    assert caught.value.status == 503
