"""external-resizer against a driver that answers as it is told."""

import asyncio
from dataclasses import replace

import pytest
from grpc import StatusCode

from csisim.co.driver_info import Controller
from csisim.co.objects import StorageClass, VolumeAttributesClass
from csisim.co.orchestrator import NotConverged
from tests.co.scripted import CONTROLLER, GIB, NAME, Driver, kubernetes, simulated


async def mounted(co):
    co.create_claim("a")
    co.create_pod("p", "a", node="n1")
    await co.settled(10)


@simulated
async def test_a_volume_in_use_grows_on_the_controller_and_then_on_its_node():
    driver = Driver()
    async with kubernetes(driver) as co:
        await mounted(co)
        co.expand("a", 3 * GIB)
        await co.settled(10)
        assert driver.methods()[-2:] == ["ControllerExpandVolume", "NodeExpandVolume"]
        node = driver.requests("NodeExpandVolume")[0]
        assert node.volume_path.endswith("/mount")
        assert node.staging_target_path.endswith("/globalmount")
        claim = co.get("PersistentVolumeClaim", "a")
        assert (claim.capacity, claim.node_resize) == (3 * GIB, 0)
        assert co.get("PersistentVolume", claim.volume_name).capacity == 3 * GIB


@simulated
async def test_a_volume_that_nobody_uses_grows_on_a_node_when_somebody_does():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await co.settled(10)
        co.expand("a", 2 * GIB)
        await co.settled(10)
        assert co.get("PersistentVolumeClaim", "a").capacity == GIB
        co.create_pod("p", "a")
        await co.settled(10)
        assert driver.methods("NodeExpandVolume") == ["NodeExpandVolume"]
        assert co.get("PersistentVolumeClaim", "a").capacity == 2 * GIB


@simulated
async def test_infeasible_codes_are_repeated_seldom_and_others_soon():
    driver = Driver()
    driver.codes["ControllerExpandVolume"] = [StatusCode.UNAVAILABLE, StatusCode.OUT_OF_RANGE, StatusCode.INTERNAL]
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await co.settled(10)
        co.expand("a", 2 * GIB)
        with pytest.raises(NotConverged, match=r"has 1073741824 of 2147483648 bytes: .*OUT_OF_RANGE"):
            await co.settled(100)
        await co.settled(600)
        assert driver.times("ControllerExpandVolume") == [0, 1, 301, 302]


@simulated
async def test_a_volume_in_use_waits_until_it_is_not():
    driver = Driver()
    driver.codes["ControllerExpandVolume"] = [StatusCode.FAILED_PRECONDITION]
    async with kubernetes(driver) as co:
        await mounted(co)
        co.expand("a", 2 * GIB)
        await asyncio.sleep(1000)
        assert len(driver.methods("ControllerExpandVolume")) == 1
        co.delete("Pod", "p")
        await co.settled(10)
        assert len(driver.methods("ControllerExpandVolume")) == 2


@simulated
async def test_a_class_that_does_not_allow_it_is_believed():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.apply([StorageClass(name="fixed", provisioner=NAME)])
        co.create_claim("a", storage_class="fixed")
        await co.settled(10)
        co.expand("a", 2 * GIB)
        with pytest.raises(NotConverged):
            await co.settled(100)
        assert "does not allow expansion" in co.describe("PersistentVolumeClaim default/a")[-1].message
        assert driver.methods("ControllerExpandVolume") == []


@simulated
async def test_where_only_nodes_can_grow_volumes_the_controller_is_not_asked():
    driver = Driver(controller=tuple(each for each in CONTROLLER if each != Controller.EXPAND_VOLUME))
    async with kubernetes(driver) as co:
        await mounted(co)
        co.expand("a", 2 * GIB)
        await co.settled(10)
        assert driver.methods("ControllerExpandVolume", "NodeExpandVolume") == ["NodeExpandVolume"]


@simulated
async def test_where_nobody_can_it_says_so():
    driver = Driver(controller=tuple(each for each in CONTROLLER if each != Controller.EXPAND_VOLUME), node=())
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await co.settled(10)
        co.expand("a", 2 * GIB)
        with pytest.raises(NotConverged):
            await co.settled(10)
        assert "the driver cannot expand volumes" in co.describe("PersistentVolumeClaim default/a")[-1].message


@simulated
async def test_a_node_that_cannot_grow_it_in_use_is_asked_again_when_it_is_mounted_anew():
    driver = Driver()
    driver.codes["NodeExpandVolume"] = [StatusCode.FAILED_PRECONDITION]
    async with kubernetes(driver) as co:
        await mounted(co)
        co.expand("a", 2 * GIB)
        with pytest.raises(NotConverged):
            await co.settled(1000)
        assert len(driver.methods("NodeExpandVolume")) == 1
        co.delete("Pod", "p")
        await co.settled(10)
        co.create_pod("q", "a")
        await co.settled(10)
        assert len(driver.methods("NodeExpandVolume")) == 2


@simulated
async def test_another_attributes_class_is_applied_and_infeasible_ones_are_not_insisted_on():
    driver = Driver()
    driver.codes["ControllerModifyVolume"] = [StatusCode.ABORTED, StatusCode.INVALID_ARGUMENT]
    async with kubernetes(driver) as co:
        co.apply([VolumeAttributesClass(name="fast", driver_name=NAME, parameters={"speed": "high"})])
        claim = co.create_claim("a")
        await co.settled(10)
        co.apply([replace(co.get("PersistentVolumeClaim", "a"), volume_attributes_class_name="fast")])
        with pytest.raises(NotConverged, match="is not yet as fast says"):
            await co.settled(100)
        await co.settled(300)
        assert driver.times("ControllerModifyVolume") == [0, 1, 301]
        request = driver.requests("ControllerModifyVolume")[0]
        assert (request.volume_id, dict(request.mutable_parameters)) == (f"pvc-{claim.uid}", {"speed": "high"})
        assert co.get("PersistentVolumeClaim", "a").current_volume_attributes_class == "fast"
