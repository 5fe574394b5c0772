"""StatefulSets, the scheduler, and nodes that are lost."""

import asyncio
from dataclasses import replace

import pytest
from grpc import StatusCode

from csisim.co.objects import OUT_OF_SERVICE, PersistentVolumeClaim, Pod, PodVolume, StatefulSet
from csisim.co.orchestrator import NotConverged
from csisim.co.workloads import claim_names
from tests.co.scripted import GIB, Driver, claim, kubernetes, pod, simulated


def web(replicas=2, **more):
    return StatefulSet(
        name="web",
        replicas=replicas,
        template=Pod(name="web", volumes=(PodVolume("data", "data"),)),
        volume_claim_templates=(claim("data"),),
        **more,
    )


def pods(co):
    return {each.name: each.node_name for each in co.api.all_of(Pod)}


@simulated
async def test_pods_of_a_set_start_in_order_on_different_nodes_with_claims_of_their_own():
    driver = Driver()
    driver.codes["NodeStageVolume"] = [StatusCode.UNAVAILABLE] * 3
    async with kubernetes(driver) as co:
        co.apply([web()])
        await asyncio.sleep(1)
        assert pods(co) == {"web-0": "n1"}
        await co.settled(30)
        assert pods(co) == {"web-0": "n1", "web-1": "n2"}
        assert [each.name for each in co.api.all_of(PersistentVolumeClaim)] == claim_names(web())


@simulated
async def test_parallel_pods_do_not_wait_for_each_other():
    driver = Driver()
    driver.codes["NodeStageVolume"] = [StatusCode.UNAVAILABLE] * 4
    async with kubernetes(driver) as co:
        co.apply([web(parallel=True)])
        await asyncio.sleep(0.1)
        assert pods(co) == {"web-0": "n1", "web-1": "n2"}
        await co.settled(30)


@simulated
async def test_fewer_replicas_and_none_leave_the_claims():
    async with kubernetes() as co:
        co.apply([web()])
        await co.settled(30)
        co.apply([replace(co.get("StatefulSet", "web"), replicas=1)])
        await co.settled(30)
        assert list(pods(co)) == ["web-0"]
        co.delete("StatefulSet", "web")
        await co.settled(30)
        assert pods(co) == {}
        assert len(co.api.all_of(PersistentVolumeClaim)) == 2


@simulated
async def test_a_drained_node_loses_its_pods_to_another_and_the_volume_follows():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.apply([web(replicas=1)])
        await co.settled(30)
        co.drain("n1")
        await co.settled(30)
        assert pods(co) == {"web-0": "n2"}
        assert [each.node_id for each in driver.requests("ControllerPublishVolume")] == ["n1", "n2"]
        assert len(driver.methods("CreateVolume")) == 1


@simulated
async def test_nodes_take_no_more_volumes_than_the_driver_says():
    async with kubernetes(Driver(count=1)) as co:
        for name in "abc":
            co.create_claim(name)
            co.apply([pod(f"p-{name}", name)])
        with pytest.raises(NotConverged, match="Pod default/p-c"):
            await co.settled(30)
        assert sorted(pods(co).values()) == ["", "n1", "n2"]


@simulated
async def test_pods_go_where_their_volume_is_and_where_they_are_told():
    async with kubernetes(Driver(topology=True)) as co:
        co.create_claim("a")
        co.create_pod("elsewhere", "a", node="n3")
        with pytest.raises(NotConverged, match="no node"):
            await co.settled(10)
        assert "no node fits" in co.describe("Pod default/elsewhere")[-1].message
        co.create_pod("missing", "z")
        await asyncio.sleep(1)
        assert "persistentvolumeclaim z not found" in co.describe("Pod default/missing")[-1].message
        co.delete("Pod", "elsewhere")
        co.delete("Pod", "missing")
        await co.settled(10)


@simulated
async def test_pods_leave_a_node_that_stays_away_and_are_stuck_until_it_is_out_of_service():
    async with kubernetes() as co:
        co.apply([web(replicas=1)])
        await co.settled(30)
        await co.power_off("n1")
        await asyncio.sleep(339)
        assert not co.get("Pod", "web-0").deleting
        await asyncio.sleep(2)
        assert co.get("Pod", "web-0").deleting
        await asyncio.sleep(600)
        assert pods(co) == {"web-0": "n1"}
        co.taint("n1", OUT_OF_SERVICE)
        await co.settled(30)
        assert pods(co) == {"web-0": "n2"}


@simulated
async def test_late_claims_are_made_near_their_pod():
    driver = Driver(topology=True)
    async with kubernetes(driver) as co:
        co.apply([claim("a", storage_class_name="late"), pod("p", "a", node_selector={"kubernetes.io/hostname": "n2"})])
        await co.settled(30)
        wanted = driver.requests("CreateVolume")[0].accessibility_requirements
        assert wanted.preferred[0].segments == {"zone": "n2"}
        assert [dict(each.segments) for each in wanted.requisite] == [{"zone": "n1"}, {"zone": "n2"}]
        assert co.get("PersistentVolumeClaim", "a").capacity == GIB
