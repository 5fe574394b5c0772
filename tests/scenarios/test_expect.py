"""What bodies say when something is not as it must be."""

import asyncio

import pytest

from csisim.co.orchestrator import NotConverged
from csisim.pb import csi_pb2 as csi
from csisim.runs import under_test
from csisim.runs.script import Script
from csisim.runs.under_test import run_inside
from csisim.scenarios.expect import Unexpected, allowed, expect, recovered, refused


def test_what_holds_is_let_pass_and_what_does_not_is_said() -> None:
    expect([1], "there is one")
    with pytest.raises(Unexpected, match=r"^it is not so that there is one$"):
        expect([], "there is one")


def test_answers_are_held_to_their_code_and_words() -> None:
    bed: Script = under_test.testbed_of(1, simulated=True, options={})
    gone = csi.ValidateVolumeCapabilitiesRequest(volume_id="gone", volume_capabilities=[csi.VolumeCapability()])
    delete = csi.DeleteVolumeRequest(volume_id="gone")

    async def test() -> None:
        said = await refused(bed, csi.DeleteVolumeRequest(), None, "INVALID_ARGUMENT", saying="volume_id")
        assert said.startswith("DeleteVolume(): INVALID_ARGUMENT: ")
        assert await allowed(bed, delete) == csi.DeleteVolumeResponse()
        with pytest.raises(Unexpected, match="DeleteVolume must be refused with NOT_FOUND; it was answered OK"):
            await refused(bed, delete, None, "NOT_FOUND")
        with pytest.raises(Unexpected, match=r"must be refused with NOT_FOUND; it was with: .*INVALID_ARGUMENT"):
            await refused(bed, csi.DeleteVolumeRequest(), None, "NOT_FOUND")
        with pytest.raises(Unexpected, match="with INVALID_ARGUMENT with 'sun'; it was with: "):
            await refused(bed, csi.DeleteVolumeRequest(), None, "INVALID_ARGUMENT", saying="sun")
        with pytest.raises(Unexpected, match="ValidateVolumeCapabilities must be answered OK; it was refused with: "):
            await allowed(bed, gone)

    run_inside(bed, test)


def test_what_is_wedged_is_waited_for_some_minutes() -> None:
    bed: Script = under_test.testbed_of(1, simulated=True, options={})

    async def test() -> None:
        bed.co.create_claim("data")
        await recovered(bed)
        bed.faults.add("rpc.CreateVolume.before: error(UNAVAILABLE)")
        bed.co.create_claim("more")
        before_s = asyncio.get_running_loop().time()
        with pytest.raises(NotConverged, match="default/more"):
            await recovered(bed)
        assert asyncio.get_running_loop().time() - before_s == pytest.approx(300.0)

    run_inside(bed, test)
