"""The interceptor: every call ends with a fitting status, in time, and is observed."""

import asyncio
import base64
from types import SimpleNamespace

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from csisim.driver.server import CallInterceptor
from csisim.pb import csi_pb2 as pb
from csisim.pb import csi_pb2_grpc
from fake_truenas.errors import MethodNotFound
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


async def test_a_nas_without_a_method_is_no_passing_trouble_and_no_defect(rig):
    await rig.rpc(create("v"))

    async def unknown(_call, _proceed):
        raise MethodNotFound("Method does not exist")

    rig.on_call("nvmet.subsys.create", unknown, times=9)
    call = rig.rpc.begin(create("w", "nvmeof"))

    assert await call.code() is StatusCode.FAILED_PRECONDITION
    assert "the NAS does not offer nvmet.subsys.create" in await call.details()


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


async def observed(rig, count):
    """What the observers were told, once that is as much as expected, and the loop had time for more."""
    async with asyncio.timeout(5):
        while len(rig.observed) < count:
            await asyncio.sleep(0.001)
    for _ in range(20):
        await asyncio.sleep(0)
    return [(each.method.rpartition("/")[2], each.code) for each in rig.observed]


@pytest.mark.parametrize(("service", "request_"), [
    ("Controller", pb.CreateVolumeRequest()),
    ("SnapshotMetadata", pb.GetMetadataAllocatedRequest()),
])  # fmt: skip
async def test_a_malformed_request_is_observed_as_an_empty_one(rig, service, request_):
    method = type(request_).__name__.removesuffix("Request")
    code, _ = await raw(rig, f"{service}/{method}", b"\xff")

    assert code is StatusCode.INVALID_ARGUMENT
    assert await observed(rig, 1) == [(method, StatusCode.INVALID_ARGUMENT)]
    assert (rig.observed[0].request, rig.observed[0].response) == (request_, None)
    assert "not a valid message" in rig.observed[0].message


async def test_a_cancelled_call_is_observed_once_and_as_cancelled(rig):
    await rig.rpc(create("v"))
    entered, release = asyncio.Event(), asyncio.Event()

    async def park(_call, proceed):
        entered.set()
        await release.wait()
        return await proceed()

    rig.on_call("sharing.nfs.create", park)
    call = rig.rpc.begin(create("w"))
    await entered.wait()
    call.cancel()

    created = ("CreateVolume", StatusCode.OK)
    assert await observed(rig, 2) == [created, ("CreateVolume", StatusCode.CANCELLED)]
    release.set()
    assert rig.observed[1].request == create("w")
    assert rig.observed[1].message


async def snapshot_with_extents(rig, extents):
    await rig.rpc(create("b", "iscsi"))
    block = base64.b64encode(b"x" * 512).decode()
    for number in range(extents):
        await rig.ask("fake.block.write", "tank/csi/b", number * 131072, block)
    await rig.rpc(pb.CreateSnapshotRequest(name="s", source_volume_id="b"))
    rig.observed.clear()


@pytest.mark.parametrize("read", [1, 2, 7])
async def test_a_stream_cancelled_while_it_runs_is_observed_once_and_disturbs_nothing(rig, read):
    await snapshot_with_extents(rig, 40)
    trouble = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: trouble.append(context))
    stub = csi_pb2_grpc.SnapshotMetadataStub(rig.rpc.channel)
    for _ in range(5):
        call = stub.GetMetadataAllocated(pb.GetMetadataAllocatedRequest(snapshot_id="b@s", max_results=1), timeout=10)
        for _ in range(read):
            assert await call.read() is not grpc.aio.EOF
        call.cancel()
    seen = await observed(rig, 5)

    assert {method for method, _ in seen} == {"GetMetadataAllocated"}
    assert {code for _, code in seen} <= {StatusCode.CANCELLED, StatusCode.OK}, "OK: sent whole before the cancel came"
    assert len(seen) == 5
    assert trouble == []


async def test_a_stream_given_up_by_its_consumer_is_observed_once_and_closes_what_serves_it(rig):
    """As gRPC leaves it behind when sending is cancelled: closed later, and from another task."""
    closed = []

    async def serve(_request, _context):
        try:
            for _ in range(3):
                yield pb.GetMetadataAllocatedResponse()
        finally:
            closed.append(True)

    interceptor = CallInterceptor([rig.observed.append])
    handler = grpc.unary_stream_rpc_method_handler(serve, pb.GetMetadataAllocatedRequest.FromString)
    method = "/csi.v1.SnapshotMetadata/GetMetadataAllocated"

    async def found(_details):
        return handler

    wrapped = await interceptor.intercept_service(found, SimpleNamespace(method=method))
    context = SimpleNamespace(time_remaining=lambda: 5.0)
    answers = wrapped.unary_stream(pb.GetMetadataAllocatedRequest(), context)
    await anext(answers)
    await asyncio.create_task(answers.aclose())

    assert closed == [True]
    assert [each.code for each in rig.observed] == [StatusCode.CANCELLED]


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
