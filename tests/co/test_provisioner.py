"""external-provisioner against a driver that answers as it is told."""

import asyncio
from dataclasses import replace

import pytest
from grpc import StatusCode

from csisim.co.objects import PersistentVolume, PersistentVolumeClaim, Secret, StorageClass, VolumeAttributesClass
from csisim.co.orchestrator import NotConverged
from csisim.pb import csi_pb2 as csi
from tests.co.scripted import GIB, NAME, Driver, claim, kubernetes, pod, simulated

PENDING = [StatusCode.ABORTED, StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.CANCELLED]


@simulated
async def test_a_claim_becomes_a_volume_and_goes_again():
    driver = Driver()
    async with kubernetes(driver) as co:
        made = co.create_claim("a", 2 * GIB)
        await co.settled(10)

        request = driver.requests("CreateVolume")[0]
        assert request.name == f"pvc-{made.uid}"
        assert request.capacity_range.required_bytes == 2 * GIB
        mode = csi.VolumeCapability.AccessMode.SINGLE_NODE_WRITER
        assert [each.access_mode.mode for each in request.volume_capabilities] == [mode]
        bound = co.get("PersistentVolumeClaim", "a")
        assert (bound.phase, bound.volume_name, bound.capacity) == ("Bound", request.name, 2 * GIB)
        pv = co.get("PersistentVolume", request.name)
        assert (pv.phase, pv.volume_handle, pv.volume_attributes) == ("Bound", request.name, {"at": "home"})

        co.delete("PersistentVolumeClaim", "a")
        await co.settled(10)
        assert driver.methods() == ["CreateVolume", "DeleteVolume"]
        assert co.api.all_of(PersistentVolume) == []


@simulated
async def test_class_secrets_and_attributes_go_into_the_request_and_sidecar_parameters_do_not():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.apply(
            [
                StorageClass(
                    name="full",
                    provisioner=NAME,
                    mount_options=("noatime",),
                    parameters={
                        "color": "red",
                        "csi.storage.k8s.io/fstype": "xfs",
                        "csi.storage.k8s.io/provisioner-secret-name": "${pvc.name}-key",
                        "csi.storage.k8s.io/provisioner-secret-namespace": "vault",
                    },
                ),
                VolumeAttributesClass(name="fast", driver_name=NAME, parameters={"speed": "high"}),
                claim("a", storage_class_name="full", volume_attributes_class_name="fast"),
            ]
        )
        with pytest.raises(NotConverged, match="secret vault/a-key, which is for provisioner, does not exist"):
            await co.settled(5)
        co.apply([Secret(name="a-key", namespace="vault", data={"password": "p"})])
        await co.settled(20)
        request = driver.requests("CreateVolume")[0]
        assert dict(request.parameters) == {"color": "red"}
        assert dict(request.secrets) == {"password": "p"}
        assert dict(request.mutable_parameters) == {"speed": "high"}
        assert request.volume_capabilities[0].mount == csi.VolumeCapability.MountVolume(
            fs_type="xfs", mount_flags=["noatime"]
        )


@simulated
async def test_an_unknown_outcome_is_asked_for_again_with_the_same_request_and_growing_pauses():
    driver = Driver()
    driver.codes["CreateVolume"] = list(PENDING)
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await co.settled(60)
        assert driver.times("CreateVolume") == [0, 1, 3, 7, 15]
        requests = driver.requests("CreateVolume")
        assert all(each == requests[0] for each in requests)


@simulated
async def test_a_claim_that_is_deleted_while_the_outcome_is_unknown_leaves_no_volume():
    driver = Driver()
    driver.codes["CreateVolume"] = [StatusCode.DEADLINE_EXCEEDED] * 3
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await asyncio.sleep(0.5)
        co.delete("PersistentVolumeClaim", "a")
        await co.settled(60)
        assert driver.methods() == ["CreateVolume"] * 4 + ["DeleteVolume"]
        assert co.forgotten == {}


@simulated
async def test_a_final_code_ends_it_for_a_claim_that_is_gone():
    """So a driver that answers INTERNAL for a passing fault leaves a half-made volume behind."""
    driver = Driver()
    driver.codes["CreateVolume"] = [StatusCode.UNAVAILABLE, StatusCode.INTERNAL]
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await asyncio.sleep(0.5)
        co.delete("PersistentVolumeClaim", "a")
        await co.settled(600)
        assert driver.methods() == ["CreateVolume", "CreateVolume"]


@simulated
async def test_after_a_final_code_a_claim_that_is_still_there_begins_anew():
    driver = Driver()
    driver.codes["CreateVolume"] = [StatusCode.INTERNAL, StatusCode.RESOURCE_EXHAUSTED]
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await co.settled(60)
        assert driver.times("CreateVolume") == [0, 1, 3]
        said = [event.message for event in co.describe("PersistentVolumeClaim default/a")]
        assert any("INTERNAL: as told" in message for message in said)


@simulated
async def test_a_crash_forgets_what_is_in_progress_and_the_claim_is_what_brings_it_back():
    driver = Driver()
    driver.codes["CreateVolume"] = [StatusCode.UNAVAILABLE] * 2
    async with kubernetes(driver) as co:
        kept, lost = co.create_claim("kept"), co.create_claim("lost")
        await asyncio.sleep(0.5)
        await co.crash("provisioner")
        co.delete("PersistentVolumeClaim", "lost")
        await co.restart("provisioner")
        await co.settled(60)
        assert [each.name for each in driver.requests("CreateVolume")][2:] == [f"pvc-{kept.uid}"]
        assert co.forgotten == {f"pvc-{lost.uid}": "PersistentVolumeClaim default/lost"}


@simulated
async def test_with_late_binding_a_lack_of_room_sends_the_pod_elsewhere():
    driver = Driver(topology=True)
    driver.codes["CreateVolume"] = [StatusCode.RESOURCE_EXHAUSTED]
    async with kubernetes(driver) as co:
        co.apply([claim("a", storage_class_name="late")])
        await co.settled(5)
        assert driver.calls == []
        co.apply([pod("p", "a")])
        await asyncio.sleep(0.5)
        first = driver.requests("CreateVolume")[0]
        assert first.accessibility_requirements.preferred[0].segments == {"zone": "n1"}
        co.cordon("n1")
        await co.settled(60)
        again = driver.requests("CreateVolume")[1]
        assert len(driver.requests("CreateVolume")) == 2
        assert again.accessibility_requirements.requisite == first.accessibility_requirements.requisite


@simulated
async def test_a_volume_that_is_too_small_is_deleted_again():
    driver = Driver()
    driver.capacity = GIB // 2
    async with kubernetes(driver) as co:
        co.create_claim("a")
        with pytest.raises(NotConverged, match="capacity 536870912 is less than requested 1073741824"):
            await co.settled(0.5)
        driver.capacity = None
        await co.settled(10)
        assert driver.methods() == ["CreateVolume", "DeleteVolume", "CreateVolume"]


@simulated
async def test_a_volume_that_is_still_attached_is_not_deleted():
    driver = Driver()
    driver.codes["ControllerUnpublishVolume"] = [StatusCode.UNAVAILABLE] * 3
    async with kubernetes(driver) as co:
        co.create_claim("a")
        co.create_pod("p", "a")
        await co.settled(10)
        await co.everything_absent(100)
        assert driver.methods("ControllerUnpublishVolume", "DeleteVolume")[-1] == "DeleteVolume"
        assert driver.methods("DeleteVolume") == ["DeleteVolume"]


@simulated
async def test_a_retained_volume_stays():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.apply([StorageClass(name="keep", provisioner=NAME, reclaim_policy="Retain")])
        co.create_claim("a", storage_class="keep")
        await co.settled(10)
        co.delete("PersistentVolumeClaim", "a")
        await co.settled(10)
        assert driver.methods() == ["CreateVolume"]
        assert [each.phase for each in co.api.all_of(PersistentVolume)] == ["Released"]


@simulated
async def test_claims_of_other_drivers_and_without_a_class_are_left_alone():
    driver = Driver()
    async with kubernetes(driver) as co:
        co.apply([StorageClass(name="other", provisioner="csi.other.org")])
        co.create_claim("a", storage_class="other")
        co.create_claim("b", storage_class="missing")
        with pytest.raises(NotConverged, match="storageclass 'missing' not found"):
            await co.settled(10)
        assert driver.calls == []


@simulated
async def test_failed_deletes_are_repeated_until_they_succeed():
    driver = Driver()
    driver.codes["DeleteVolume"] = [StatusCode.INTERNAL, StatusCode.FAILED_PRECONDITION, StatusCode.UNAVAILABLE]
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await co.settled(10)
        co.delete("PersistentVolumeClaim", "a")
        await co.settled(60)
        assert driver.times("DeleteVolume") == [0, 1, 3, 7]


@simulated
async def test_a_driver_without_volumes_of_its_own_making_is_not_asked_for_any():
    driver = Driver(controller=())
    async with kubernetes(driver) as co:
        co.create_claim("a")
        with pytest.raises(NotConverged):
            await co.settled(10)
        assert driver.calls == []


@simulated
async def test_a_class_that_changes_changes_no_request_that_is_under_way():
    driver = Driver()
    driver.codes["CreateVolume"] = [StatusCode.UNAVAILABLE] * 2
    async with kubernetes(driver) as co:
        co.create_claim("a")
        await asyncio.sleep(0.5)
        standard = co.get("StorageClass", "standard")
        co.api.patch(standard, parameters={"color": "blue"})
        co.api.patch(co.api.at(PersistentVolumeClaim, "default/a"), storage=2 * GIB)
        await co.settled(30)
        requests = driver.requests("CreateVolume")
        assert [each == requests[0] for each in requests] == [True] * 3
        assert replace(standard, parameters={}).parameters == {}
