"""What a claim starts from."""

import asyncio

import pytest
from grpc import StatusCode

from csisim.co.driver_info import Controller
from csisim.co.objects import PersistentVolumeClaim
from csisim.co.orchestrator import NotConverged
from tests.co.scripted import CONTROLLER, GIB, Driver, claim, kubernetes, simulated


@simulated
async def test_a_restored_claim_waits_for_its_snapshot_and_must_be_as_large():
    driver = Driver()
    driver.ready_after = 2
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_claim("b", from_snapshot="s")
        co.create_claim("small", GIB // 2, from_snapshot="s")
        with pytest.raises(NotConverged, match="error getting snapshot s: not found"):
            await co.settled(1)
        co.create_snapshot("s", "a")
        with pytest.raises(NotConverged) as caught:
            await co.settled(60)
        assert "size 536870912 is less than the size 1073741824 of snapshot s" in str(caught.value)
        assert not any("default/b" in what for what in caught.value.waiting)
        request = driver.requests("CreateVolume")[-1]
        handle = driver.requests("CreateSnapshot")[0].name
        assert request.volume_content_source.snapshot.snapshot_id == handle
        assert driver.times("CreateSnapshot") == [1, 2, 4]


@simulated
async def test_a_claim_stays_while_it_is_cloned():
    driver = Driver()
    async with kubernetes(driver) as co:
        source = co.create_claim("a")
        await co.settled(10)
        driver.codes["CreateVolume"] = [StatusCode.UNAVAILABLE] * 2
        co.create_claim("b", from_claim="a")
        await asyncio.sleep(0.5)
        co.delete("PersistentVolumeClaim", "a")
        assert co.api.at(PersistentVolumeClaim, "default/a").deleting
        await co.settled(60)
        assert driver.methods() == ["CreateVolume"] * 4 + ["DeleteVolume"]
        made = driver.requests("CreateVolume")[1]
        assert made.volume_content_source.volume.volume_id == f"pvc-{source.uid}"


@simulated
async def test_what_cannot_be_cloned_says_why():
    async with kubernetes() as co:
        co.create_claim("a", 2 * GIB)
        await co.settled(10)
        co.create_claim("small", from_claim="a")
        co.create_claim("raw", 2 * GIB, from_claim="a", block=True)
        co.create_claim("none", from_claim="z")
        co.apply([claim("pending", storage_class_name="late")])
        co.create_claim("early", from_claim="pending")
        with pytest.raises(NotConverged) as caught:
            await co.settled(10)
        text = str(caught.value)
        for reason in (
            "less than the size 2147483648 of claim a",
            "claim a has the volume mode Filesystem",
            "error getting claim z to clone",
            "claim pending, which is to be cloned, is not bound",
        ):
            assert reason in text


@simulated
async def test_a_driver_that_cannot_is_not_asked():
    driver = Driver(controller=tuple(each for each in CONTROLLER if each != Controller.CLONE_VOLUME))
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_claim("b", from_claim="a")
        with pytest.raises(NotConverged, match="the driver cannot clone volumes"):
            await co.settled(10)
        assert driver.methods() == ["CreateVolume"]
