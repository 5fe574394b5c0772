"""Snapshots against a driver that answers as it is told."""

import asyncio

import pytest
from grpc import StatusCode

from csisim.co.driver_info import Controller
from csisim.co.objects import VolumeSnapshotClass, VolumeSnapshotContent
from csisim.co.orchestrator import NotConverged
from tests.co.scripted import CONTROLLER, GIB, NAME, Driver, kubernetes, simulated


@simulated
async def test_a_snapshot_is_cut_asked_after_until_it_is_ready_and_deleted():
    driver = Driver()
    driver.ready_after = 3
    async with kubernetes(driver) as co:
        claim = co.create_claim("a")
        await co.settled(10)
        snapshot = co.create_snapshot("s", "a")
        await co.settled(60)
        assert driver.times("CreateSnapshot") == [0, 1, 3, 7]
        request = driver.requests("CreateSnapshot")[0]
        assert (request.name, request.source_volume_id) == (f"snapshot-{snapshot.uid}", f"pvc-{claim.uid}")
        found = co.get("VolumeSnapshot", "s")
        assert (found.ready_to_use, found.restore_size) == (True, GIB)
        co.delete("VolumeSnapshot", "s")
        await co.settled(10)
        assert driver.requests("DeleteSnapshot")[0].snapshot_id == request.name
        assert co.api.all_of(VolumeSnapshotContent) == []


@simulated
async def test_a_snapshot_that_is_deleted_while_its_outcome_is_unknown_is_cut_first():
    driver = Driver()
    driver.codes["CreateSnapshot"] = [StatusCode.DEADLINE_EXCEEDED] * 3
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await co.settled(10)
        co.create_snapshot("s", "a")
        await asyncio.sleep(0.5)
        await co.restart("snapshotter")
        co.delete("VolumeSnapshot", "s")
        await co.settled(60)
        assert driver.methods("CreateSnapshot", "DeleteSnapshot") == ["CreateSnapshot"] * 4 + ["DeleteSnapshot"]


@simulated
async def test_after_a_final_code_there_is_nothing_to_delete():
    driver = Driver()
    driver.codes["CreateSnapshot"] = [StatusCode.UNAVAILABLE, StatusCode.INTERNAL, StatusCode.INTERNAL]
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await co.settled(10)
        co.create_snapshot("s", "a")
        with pytest.raises(NotConverged, match=r"not ready to use: CreateSnapshot\(pvc-.*INTERNAL: as told"):
            await co.settled(1.5)
        co.delete("VolumeSnapshot", "s")
        await co.settled(60)
        assert driver.methods("CreateSnapshot", "DeleteSnapshot") == ["CreateSnapshot"] * 2


@simulated
async def test_a_claim_stays_until_its_snapshot_is_cut():
    driver = Driver()
    driver.codes["CreateSnapshot"] = [StatusCode.ABORTED] * 3
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await co.settled(10)
        co.create_snapshot("s", "a")
        await asyncio.sleep(0.5)
        co.delete("PersistentVolumeClaim", "a")
        await co.settled(60)
        assert driver.methods() == ["CreateVolume", *["CreateSnapshot"] * 4, "DeleteVolume"]


@simulated
async def test_a_snapshot_stays_while_a_claim_is_made_from_it():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await co.settled(10)
        co.create_snapshot("s", "a")
        await co.settled(10)
        driver.codes["CreateVolume"] = [StatusCode.UNAVAILABLE] * 3
        co.create_claim("b", from_snapshot="s")
        await asyncio.sleep(0.5)
        co.delete("VolumeSnapshot", "s")
        await co.settled(60)
        assert driver.methods("CreateVolume", "DeleteSnapshot")[-2:] == ["CreateVolume", "DeleteSnapshot"]


@simulated
async def test_what_is_retained_is_not_deleted():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.apply([VolumeSnapshotClass(name="keep", driver=NAME, deletion_policy="Retain")])
        co.create_claim("a")
        co.create_snapshot("s", "a", snapshot_class="keep")
        await co.settled(10)
        co.delete("VolumeSnapshot", "s")
        await asyncio.sleep(10)
        assert co.get("VolumeSnapshot", "s") is None
        assert driver.methods("DeleteSnapshot") == []


@simulated
async def test_failed_deletes_are_repeated():
    driver = Driver()
    driver.codes["DeleteSnapshot"] = [StatusCode.FAILED_PRECONDITION, StatusCode.INTERNAL]
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_snapshot("s", "a")
        await co.settled(10)
        co.delete("VolumeSnapshot", "s")
        await co.settled(10)
        assert len(driver.methods("DeleteSnapshot")) == 3


@simulated
async def test_what_is_missing_is_told():
    without = Controller.CREATE_DELETE_SNAPSHOT
    driver = Driver(controller=tuple(each for each in CONTROLLER if each != without))
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await co.settled(10)
        co.create_snapshot("no-class", "a", snapshot_class="missing")
        co.create_snapshot("no-claim", "z")
        co.create_snapshot("never", "a")
        with pytest.raises(NotConverged) as caught:
            await co.settled(10)
        assert "volumesnapshotclass 'missing' not found" in str(caught.value)
        assert "claim z is not there" in str(caught.value)
        assert driver.methods("CreateSnapshot") == []
        assert any("the driver has no snapshots" in event.message for event in co.describe())
