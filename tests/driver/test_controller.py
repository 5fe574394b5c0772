"""Controller RPCs that only tell: capabilities, validation, capacity, one volume."""

import asyncio
import errno
from dataclasses import replace

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as pb
from fake_truenas.errors import CallError
from tests.support.rig import CONFIG, GIB, MODE, capability, create

RPC = pb.ControllerServiceCapability.RPC


async def capabilities(rig):
    answer = await rig.rpc(pb.ControllerGetCapabilitiesRequest())
    return {each.rpc.type for each in answer.capabilities}


def validate(volume_id, *wanted, **fields):
    return pb.ValidateVolumeCapabilitiesRequest(volume_id=volume_id, volume_capabilities=wanted, **fields)


async def test_everything_of_csi_1_12_is_advertised_and_no_health(rig):
    health = {RPC.GET_VOLUME_HEALTH, RPC.LIST_VOLUME_HEALTH}

    assert await capabilities(rig) == set(RPC.Type.values()) - health - {RPC.UNKNOWN}


class TestWithHealth:
    @pytest.fixture
    def config(self):
        return replace(CONFIG, volume_health=True)

    async def test_health_is_advertised_on_request(self, rig):
        assert await capabilities(rig) == set(RPC.Type.values()) - {RPC.UNKNOWN}


async def test_what_the_volume_can_do_is_confirmed_whole(rig):
    context = (await rig.rpc(create("v"))).volume.volume_context
    wanted = (capability(), capability(MODE.MULTI_NODE_MULTI_WRITER))
    answer = await rig.rpc(validate("v", *wanted, volume_context=context, parameters={"protocol": "nfs"}))

    assert list(answer.confirmed.volume_capabilities) == list(wanted)
    assert answer.confirmed.volume_context == context


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ([capability(), capability(block=True)], {}),
        ([capability()], {"parameters": {"protocol": "iscsi"}}),
        ([capability()], {"parameters": {"protocol": "smb"}}),
        ([capability()], {"parameters": {"provisioning": "thick"}}),
        ([capability()], {"parameters": {"provisioning": "some"}}),
        ([capability()], {"parameters": {"protocol": "nfs", "bogus": "1"}}),
        ([capability()], {"mutable_parameters": {"nonsense": "x"}}),
        ([capability()], {"mutable_parameters": {"sync": "sometimes"}}),
        ([capability()], {"mutable_parameters": {"sync": "always"}}),
        ([capability()], {"volume_context": {"protocol": "nfs", "share": "/elsewhere"}}),
    ],
)
async def test_what_it_cannot_do_is_answered_with_the_reason(rig, wanted, fields):
    await rig.rpc(create("v"))
    answer = await rig.rpc(validate("v", *wanted, **fields))

    assert not answer.HasField("confirmed")
    assert answer.message


@pytest.mark.parametrize(
    ("made_with", "asked", "confirmed"),
    [
        ({"protocol": "NFS"}, {"protocol": "nfs"}, True),
        ({"protocol": "nfs"}, {"protocol": "NFS", "csi.storage.k8s.io/fstype": "ext4"}, True),
        ({"protocol": "iscsi", "provisioning": "thick"}, {"provisioning": "Thick"}, True),
        ({"protocol": "iscsi", "provisioning": "thick"}, {"protocol": "iscsi"}, True),
        ({"protocol": "iscsi", "provisioning": "thick"}, {"provisioning": "thin"}, False),
        ({"protocol": "iscsi"}, {"provisioning": "thin"}, True),
        ({"protocol": "iscsi"}, {"protocol": "nvmeof"}, False),
    ],
)
async def test_parameters_are_compared_as_create_volume_takes_them(rig, made_with, asked, confirmed):
    request = create("v")
    request.parameters.clear()
    request.parameters.update(made_with)
    await rig.rpc(request)
    answer = await rig.rpc(validate("v", capability(), parameters=asked))

    assert answer.HasField("confirmed") is confirmed
    assert bool(answer.message) is not confirmed
    assert dict(answer.confirmed.parameters) == (asked if confirmed else {})


async def test_mutable_parameters_are_confirmed_while_they_are_in_force(rig):
    await rig.rpc(create("v", mutable_parameters={"sync": "Always"}))
    question = validate("v", capability(), mutable_parameters={"sync": "always"})

    assert (await rig.rpc(question)).HasField("confirmed")
    await rig.rpc(pb.ControllerModifyVolumeRequest(volume_id="v", mutable_parameters={"sync": "standard"}))
    assert "sync is STANDARD" in (await rig.rpc(question)).message


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (validate("", capability()), StatusCode.INVALID_ARGUMENT),
        (validate("v"), StatusCode.INVALID_ARGUMENT),
        (validate("none", capability()), StatusCode.NOT_FOUND),
        (pb.ControllerGetVolumeRequest(volume_id="none"), StatusCode.NOT_FOUND),
        (pb.ControllerGetVolumeRequest(), StatusCode.INVALID_ARGUMENT),
        (pb.ListVolumesRequest(max_entries=-1), StatusCode.INVALID_ARGUMENT),
        (pb.ListVolumesRequest(starting_token="invalid-token"), StatusCode.ABORTED),
        (pb.GetCapacityRequest(parameters={"protocol": "smb"}), StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_is_refused(rig, request_, code):
    await rig.rpc(create("v"))

    assert await rig.rpc.code(request_) is code


async def test_capacity_goes_down_when_space_is_promised(rig):
    before = (await rig.rpc(pb.GetCapacityRequest())).available_capacity
    request = create("thick", "iscsi", gib=100)
    request.parameters["provisioning"] = "thick"
    await rig.rpc(request)
    after = await rig.rpc(pb.GetCapacityRequest())

    assert before - after.available_capacity >= 100 * GIB
    assert after.maximum_volume_size.value == after.available_capacity
    assert after.minimum_volume_size.value == GIB


async def test_there_is_no_capacity_elsewhere(rig):
    elsewhere = pb.GetCapacityRequest(accessible_topology=pb.Topology(segments={"zone": "mars"}))

    assert (await rig.rpc(elsewhere)).available_capacity == 0


async def test_block_volumes_can_be_smaller(rig):
    request = pb.GetCapacityRequest(volume_capabilities=[capability(block=True)])

    assert (await rig.rpc(request)).minimum_volume_size.value == 1 << 20


LOOKS = [validate("v", capability()), pb.ControllerGetVolumeRequest(volume_id="v")]


@pytest.mark.parametrize("look", LOOKS, ids=lambda each: type(each).__name__)
async def test_a_volume_that_is_being_made_is_not_told_of(rig, look):
    answers = []

    async def refuse(_call, _proceed):
        answers.append(await rig.rpc.code(look))
        raise CallError("try later", errno.ETIMEDOUT)

    rig.on_call("sharing.nfs.create", refuse)
    assert await rig.rpc.code(create("v")) is StatusCode.UNAVAILABLE
    answers.append(await rig.rpc.code(look))

    # Were the first one OK, the volume would have come and gone though nobody deleted it.
    assert answers == [StatusCode.ABORTED, StatusCode.NOT_FOUND]


@pytest.mark.parametrize("look", LOOKS, ids=lambda each: type(each).__name__)
async def test_a_look_that_began_before_the_making_and_ends_after_it_is_not_believed(rig, look):
    looks = []

    async def watched(call, proceed):
        if call.method == "sharing.nfs.create":
            looks.append(rig.rpc.begin(look))
            await seen.wait()
            raise CallError("try later", errno.ETIMEDOUT)
        row = await proceed()
        if call.method == "pool.dataset.query" and looks and not seen.is_set():
            seen.set()
            await given_up.wait()
        return row

    seen, given_up = asyncio.Event(), asyncio.Event()
    rig.nas.intercept = watched
    assert await rig.rpc.code(create("v")) is StatusCode.UNAVAILABLE
    given_up.set()

    assert await looks[0].code() is StatusCode.ABORTED
    assert await rig.rpc.code(look) is StatusCode.NOT_FOUND


async def test_a_volume_is_told_of_while_createvolume_is_repeated_for_another(rig):
    await rig.rpc(create("v"))
    answers = []

    async def look(_call, proceed):
        answers.append(await rig.rpc.code(LOOKS[1]))
        return await proceed()

    rig.on_call("sharing.nfs.create", look)
    await rig.rpc(create("w"))

    assert answers == [StatusCode.OK]
