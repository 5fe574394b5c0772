"""The interceptor: every call ends with a fitting status, in time, and is observed."""

import asyncio

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from csisim.pb import csi_pb2 as pb
from tests.support.rig import create


async def raw(rig, method, payload):
    call = rig.rpc.channel.unary_unary(f"/csi.v1.{method}")(payload)
    return await call.code(), await call.details()


@pytest.mark.parametrize("payload", [b"\xff", b"\x0a\x02\xff\xfe", b"\x0a\xff\xff\xff\xff\x0f"])
@pytest.mark.parametrize("method", ["Controller/CreateVolume", "Identity/GetPluginInfo"])
async def test_what_is_not_a_message_is_invalid_unless_it_says_nothing(rig, method, payload):
    code, _ = await raw(rig, method, payload)

    assert code in (StatusCode.INVALID_ARGUMENT, StatusCode.OK)
    assert code is StatusCode.INVALID_ARGUMENT or method.startswith("Identity")


async def test_a_service_that_is_not_offered_is_unimplemented(rig):
    assert await rig.rpc.code(pb.NodeGetInfoRequest()) is StatusCode.UNIMPLEMENTED


async def test_a_defect_is_internal_without_its_text(rig, monkeypatch):
    async def broken(_volume_id):
        raise ZeroDivisionError("secret text")

    monkeypatch.setattr(rig.volumes, "find", broken)
    call = rig.rpc.begin(pb.ControllerGetVolumeRequest(volume_id="v"))

    assert await call.code() is StatusCode.INTERNAL
    assert "secret text" not in await call.details()


async def test_a_nas_that_hangs_is_answered_before_the_callers_deadline(rig):
    await rig.rpc(create("v"))
    release = asyncio.Event()

    async def park(_call, proceed):
        await release.wait()
        return await proceed()

    rig.on_call("sharing.nfs.create", park)
    call = rig.rpc.begin(create("w"), timeout_s=1.0)

    # The server's own words, not the client's timer.
    assert await call.code() is StatusCode.DEADLINE_EXCEEDED
    assert "repeat the call" in await call.details()
    release.set()


async def test_a_nas_that_is_away_is_unavailable(rig):
    await rig.client.close()
    call = rig.rpc.begin(create("v"), timeout_s=1.0)

    assert await call.code() is StatusCode.UNAVAILABLE


async def test_a_long_reason_fits_into_the_trailers(rig):
    code, details = await raw(
        rig, "Controller/DeleteVolume", pb.DeleteVolumeRequest(volume_id="x" * 9000).SerializeToString()
    )

    assert code is StatusCode.INVALID_ARGUMENT
    assert len(details) <= 1024


async def test_observers_see_how_calls_end(rig):
    await rig.rpc(create("v"))
    await rig.rpc.code(pb.ControllerGetVolumeRequest(volume_id="none"))
    seen = [(each.method.rpartition("/")[2], each.code, bool(each.message)) for each in rig.observed]

    assert seen == [("CreateVolume", StatusCode.OK, False), ("ControllerGetVolume", StatusCode.NOT_FOUND, True)]
    assert all(each.duration_s >= 0 for each in rig.observed)


async def test_reflection_names_what_is_served(rig):
    stub = reflection_pb2_grpc.ServerReflectionStub(rig.rpc.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([request])):
        names = {each.name for each in answer.list_services_response.service}

    assert {"csi.v1.Identity", "csi.v1.Controller", "csi.v1.GroupController", "csi.v1.SnapshotMetadata"} <= names
    assert "csi.v1.Node" not in names


async def test_the_standard_health_service_answers(rig):
    stub = health_pb2_grpc.HealthStub(rig.rpc.channel)
    for service in ("", "csi.v1.Identity", "csi.v1.Controller"):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
        await stub.Check(health_pb2.HealthCheckRequest(service="csi.v1.Node"))


async def test_an_unknown_method_is_unimplemented(rig):
    code, _ = await raw(rig, "Controller/NoSuchMethod", b"")

    assert code is grpc.StatusCode.UNIMPLEMENTED
