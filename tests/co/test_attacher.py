"""external-attacher against a driver that answers as it is told."""

import asyncio

from grpc import StatusCode

from csisim.co.driver_info import Controller
from csisim.co.objects import PersistentVolume, VolumeAttachment
from tests.co.scripted import CONTROLLER, Driver, kubernetes, simulated


@simulated
async def test_a_volume_is_published_to_its_node_and_what_the_driver_said_goes_to_kubelet():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a", node="n2")
        await co.settled(10)
        published = driver.requests("ControllerPublishVolume")[0]
        assert (published.node_id, dict(published.volume_context)) == ("n2", {"at": "home"})
        assert dict(driver.requests("NodeStageVolume")[0].publish_context) == {"door": "n2"}
        await co.everything_absent(60)
        assert driver.requests("ControllerUnpublishVolume")[0].node_id == "n2"


@simulated
async def test_errors_are_repeated_with_growing_pauses_whatever_the_code():
    driver = Driver()
    driver.codes["ControllerPublishVolume"] = [StatusCode.INTERNAL, StatusCode.UNAVAILABLE]
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a")
        await co.settled(60)
        assert driver.times("ControllerPublishVolume") == [0, 1, 3]
        said = co.describe(co.api.all_of(VolumeAttachment)[0].ref)
        assert [event.reason for event in said] == ["FailedAttachVolume"] * 2


@simulated
async def test_an_attachment_that_never_succeeded_is_detached_all_the_same():
    driver = Driver()
    driver.codes["ControllerPublishVolume"] = [StatusCode.INTERNAL] * 50
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a")
        await asyncio.sleep(2)
        await co.everything_absent(60)
        assert driver.methods()[-2:] == ["ControllerUnpublishVolume", "DeleteVolume"]


@simulated
async def test_a_driver_that_does_not_publish_is_not_asked_to():
    without = {Controller.PUBLISH_UNPUBLISH_VOLUME}
    driver = Driver(controller=tuple(each for each in CONTROLLER if each not in without))
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a")
        await co.settled(10)
        assert driver.methods() == ["CreateVolume", "NodeStageVolume", "NodePublishVolume"]
        assert co.api.all_of(VolumeAttachment) == []


@simulated
async def test_an_attachment_that_the_driver_does_not_list_is_made_once_more():
    more = (Controller.LIST_VOLUMES, Controller.LIST_VOLUMES_PUBLISHED_NODES)
    driver = Driver(controller=CONTROLLER + more)
    driver.codes["ListVolumes"] = [StatusCode.UNAVAILABLE]
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a")
        await co.settled(10)
        await asyncio.sleep(130)
        assert driver.times("ControllerPublishVolume") == [0, 120]


@simulated
async def test_a_volume_is_kept_until_it_is_detached_everywhere():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.create_claim("a", access_modes=("ReadWriteMany",))
        co.create_pod("p", "a", node="n1")
        co.create_pod("q", "a", node="n2")
        await co.settled(10)
        assert sorted(each.node_id for each in driver.requests("ControllerPublishVolume")) == ["n1", "n2"]
        co.delete("Pod", "p")
        await co.settled(10)
        assert "external-attacher/csi" in co.api.all_of(PersistentVolume)[0].finalizers
        co.delete("Pod", "q")
        await co.settled(10)
        assert "external-attacher/csi" not in co.api.all_of(PersistentVolume)[0].finalizers
