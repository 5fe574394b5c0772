"""The attach-detach controller: who may have a volume, and when it is taken away."""

import asyncio

from grpc import StatusCode

from csisim.co.objects import OUT_OF_SERVICE, Node, VolumeAttachment
from tests.co.scripted import Driver, kubernetes, pod, simulated


def attached(co):
    return [each.node_name for each in co.api.all_of(VolumeAttachment)]


@simulated
async def test_a_volume_for_one_node_goes_to_the_next_only_when_the_first_has_let_go():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a", node="n1")
        await co.settled(10)
        driver.codes["NodeUnpublishVolume"] = [StatusCode.UNAVAILABLE] * 4
        co.create_pod("q", "a", node="n2")
        await asyncio.sleep(1)
        pv = co.get("PersistentVolumeClaim", "a").volume_name
        assert "Multi-Attach error" in co.describe(f"PersistentVolume {pv}")[-1].message
        co.delete("Pod", "p")
        await asyncio.sleep(3)
        assert attached(co) == ["n1"]
        await co.settled(60)
        assert attached(co) == ["n2"]
        order = driver.methods("NodeUnpublishVolume", "NodeUnstageVolume", "ControllerUnpublishVolume")
        assert order[-3:] == ["NodeUnpublishVolume", "NodeUnstageVolume", "ControllerUnpublishVolume"]


@simulated
async def test_the_node_learns_that_a_volume_is_attached_and_tells_that_it_is_in_use():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a", node="n1")
        await co.settled(10)
        node = co.get("Node", "n1")
        name = co.get("PersistentVolumeClaim", "a").volume_name
        assert (node.volumes_attached, node.volumes_in_use) == ((name,), (name,))
        co.delete("Pod", "p")
        await co.settled(10)
        node = co.get("Node", "n1")
        assert (node.volumes_attached, node.volumes_in_use) == ((), ())


@simulated
async def test_a_node_that_is_ready_is_never_forced_however_long_it_takes():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a", node="n1")
        await co.settled(10)
        driver.codes["NodeUnpublishVolume"] = [StatusCode.INTERNAL] * 1000
        co.delete("Pod", "p")
        await asyncio.sleep(3600)
        assert attached(co) == ["n1"]
        driver.codes["NodeUnpublishVolume"] = []
        await co.settled(200)


@simulated
async def test_a_node_that_is_gone_loses_its_volumes_after_six_minutes_without_being_asked():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a", node="n1")
        await co.settled(10)
        await co.power_off("n1")
        await asyncio.sleep(39)
        assert co.get("Node", "n1").ready
        await asyncio.sleep(2)
        assert not co.get("Node", "n1").ready
        co.delete("Pod", "p")
        await asyncio.sleep(1000)
        assert attached(co) == ["n1"]  # its containers may still be running, for all that anybody knows
        co.delete("Pod", "p", force=True)
        await asyncio.sleep(359)
        assert driver.methods("ControllerUnpublishVolume") == []
        await asyncio.sleep(2)
        assert driver.methods("ControllerUnpublishVolume", "NodeUnpublishVolume") == ["ControllerUnpublishVolume"]
        assert attached(co) == []


@simulated
async def test_a_node_out_of_service_loses_pods_and_volumes_at_once():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.apply([pod("p", "a")])
        await co.settled(10)
        where = co.get("Pod", "p").node_name
        await co.power_off(where)
        await asyncio.sleep(41)
        co.taint(where, OUT_OF_SERVICE)
        await asyncio.sleep(1)
        assert attached(co) == []
        assert co.get("Pod", "p") is None
        assert [node.name for node in co.api.all_of(Node) if node.ready] == [{"n1": "n2", "n2": "n1"}[where]]
        await co.power_on(where)
        co.taint(where)
        await asyncio.sleep(10)
        assert driver.methods("NodeUnpublishVolume", "NodeUnstageVolume") == [
            "NodeUnpublishVolume",
            "NodeUnstageVolume",
        ]
        assert co.get("Node", where).volumes_in_use == ()
        assert co.get("Node", where).ready
