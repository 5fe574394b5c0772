"""What a caller and a driver notice of a proxy between them: nothing."""

import asyncio
import gzip

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from grpc import StatusCode

from csisim.faults.codes import GRPC_CODES
from csisim.pb import csi_pb2 as csi
from csisim.proxy.methods import csi_methods
from tests.proxy.between import ALLOCATED, CREATE, Held, answering, error_of, only

# Field 2000, which no message of CSI has: what a later version of the protocol may send.
LATER = b"\x82\x7d\x05later"
PAIRS = (("x-text", "plain"), ("x-many", "1"), ("x-many", "2"), ("x-raw-bin", b"\x00\xff\x80"), ("traceparent", "00-1"))
UNARY = [path for path, method in csi_methods().items() if not method.streaming]
STREAMS = [path for path, method in csi_methods().items() if method.streaming]


def keeps(metadata):
    """Whether all pairs are there; only those of one key have an order."""
    found = [pair for pair in map(tuple, metadata) if pair in PAIRS]
    return sorted(found, key=lambda pair: pair[0]) == sorted(PAIRS, key=lambda pair: pair[0])


async def test_the_bytes_of_every_method_arrive_as_they_were_sent(row):
    for path in UNARY:
        arrived = []

        async def echo(requests, context, arrived=arrived):
            arrived.append(await only(requests))
            await context.write(b"answer" + LATER)

        row.driver.on[path] = echo
        assert await row.unary(path, LATER + b"\x0a") == b"answer" + LATER
        assert arrived == [LATER + b"\x0a"], path


@pytest.mark.parametrize("path", STREAMS)
async def test_the_messages_of_a_stream_arrive_in_order_and_as_they_were_sent(row, path):
    parts = [b"", LATER, b"not protobuf", b"\x00" * 100_000, b""]

    async def stream(requests, context):
        assert await only(requests) == LATER
        for part in parts:
            await context.write(part)

    row.driver.on[path] = stream

    assert [part async for part in row.stream(path, LATER)] == parts


@pytest.mark.parametrize("path", [CREATE, ALLOCATED, "/csi.v1.Controller/Later", "/x.Y/Z"])
async def test_metadata_goes_both_ways(row, path):
    row.driver.on[path] = answering(b"", initial=PAIRS, trailing=tuple((f"t-{key}", value) for key, value in PAIRS))

    call = row.stream(path, metadata=PAIRS)
    assert [part async for part in call] == [b""]

    assert keeps(row.driver.seen[-1][1])
    assert keeps(await call.initial_metadata())
    assert keeps(((key.removeprefix("t-"), value) for key, value in await call.trailing_metadata()))


@pytest.mark.parametrize("path", [CREATE, ALLOCATED, "/csi.v1.Controller/Later"])
@pytest.mark.parametrize("code", [StatusCode[name] for name in GRPC_CODES], ids=GRPC_CODES)
async def test_status_message_and_details_arrive_unchanged(row, path, code):
    details = AnyMessage(type_url="type.googleapis.com/x", value=b"\xff\x00").SerializeToString()
    trailing = (("grpc-status-details-bin", details), ("x-more", "2"), ("x-more", "1"))
    row.driver.on[path] = answering(b"", code=code, details="50% für\nalle: \u20ac", trailing=trailing)

    call = row.stream(path)
    error = await error_of(anext(aiter(call)))

    assert (error.code(), error.details()) == (code, "50% für\nalle: \u20ac")
    assert sorted(error.trailing_metadata()) == sorted(trailing)


async def test_metadata_before_an_error_arrives_too(row):
    row.driver.on[CREATE] = answering(b"", initial=(("x-a", "1"),), code=StatusCode.ABORTED, details="busy")

    call = row.unary(CREATE)
    error = await error_of(call)

    assert error.code() is StatusCode.ABORTED
    assert ("x-a", "1") in [tuple(pair) for pair in await call.initial_metadata()]


async def test_a_stream_begins_before_its_first_message(row):
    held = Held()

    async def begin(requests, context):
        await context.send_initial_metadata((("x-a", "1"),))
        await held(requests, context)

    row.driver.on[ALLOCATED] = begin
    call = row.stream(ALLOCATED)

    assert ("x-a", "1") in [tuple(pair) for pair in await call.initial_metadata()]
    held.release.set()
    assert [part async for part in call] == [b""]


@pytest.mark.parametrize("path", [CREATE, ALLOCATED, "/x.Y/Z"])
async def test_the_driver_gets_the_time_that_is_left(row, path):
    held = row.driver.on[path] = Held()
    held.release.set()
    for timeout_s in (100, 7):
        assert [part async for part in row.stream(path, timeout=timeout_s)] == [b""]
        assert timeout_s - 5 < held.left_s <= 1.01 * timeout_s  # gRPC rounds up to about a hundredth, once

    assert [part async for part in row.stream(path, timeout=None)] == [b""]
    assert held.left_s is None


@pytest.mark.parametrize("path", [CREATE, ALLOCATED, "/x.Y/Z"])
async def test_the_end_of_the_callers_time_ends_the_drivers_call(row, path):
    held = row.driver.on[path] = Held()

    error = await error_of(anext(aiter(row.stream(path, timeout=0.2))))

    assert error.code() is StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(held.ended.wait(), 10)


@pytest.mark.parametrize("path", [CREATE, ALLOCATED, "/x.Y/Z"])
async def test_a_caller_that_gives_up_ends_the_drivers_call(row, path):
    held = row.driver.on[path] = Held()
    call = row.stream(path)
    await held.reached.wait()

    call.cancel()

    await asyncio.wait_for(held.ended.wait(), 10)
    row.driver.on[path] = answering(b"still there")
    assert await row.unary(path) == b"still there"


async def test_big_messages_go_through(row):
    async def echo(requests, context):
        await context.write(await only(requests))

    row.driver.on[CREATE] = row.driver.on[ALLOCATED] = echo
    big = bytes(range(256)) * (24 << 10)

    assert await row.unary(CREATE, big) == big
    assert [part async for part in row.stream(ALLOCATED, big)] == [big]


async def test_big_metadata_goes_through(row):
    row.driver.on[CREATE] = answering(b"", code=StatusCode.INTERNAL, details="x" * 6000)

    error = await error_of(row.unary(CREATE, metadata=(("x-big", "y" * 6000),)))

    assert error.details() == "x" * 6000
    assert row.driver.metadata()["x-big"] == "y" * 6000


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_requests_are_understood(row, compression):
    async def squeeze(requests, context):
        context.set_compression(compression)
        await context.write(gzip.compress(await only(requests)))

    row.driver.on[CREATE] = squeeze

    answer = await row.unary(CREATE, b"a" * 10_000, compression=compression)

    assert gzip.decompress(answer) == b"a" * 10_000


async def test_a_slow_reader_is_not_read_ahead_of(row):
    sent = 0
    part = b"\x00" * 65536

    async def flood(requests, context):
        nonlocal sent
        await only(requests)
        for _ in range(1000):
            await context.write(part)
            sent += 1

    row.driver.on[ALLOCATED] = flood
    call = row.stream(ALLOCATED, timeout=60)
    responses = aiter(call)
    assert await anext(responses) == part
    before = -1
    while before != sent:  # until nothing moves any more
        before = sent
        await asyncio.sleep(0.1)

    assert sent < 500
    assert [len(rest) async for rest in responses] == [len(part)] * 999
    assert sent == 1000


async def test_messages_in_both_directions_of_an_unknown_method(row):
    async def ping_pong(requests, context):
        async for request in requests:
            await context.write(b"re: " + request)
        await context.write(b"bye")

    row.driver.on["/later.v2.Service/Talk"] = ping_pong
    call = row.channel.stream_stream("/later.v2.Service/Talk")(timeout=20)
    for text in (b"one", b"", b"two"):
        await call.write(text)
        assert await call.read() == b"re: " + text
    await call.done_writing()

    assert await call.read() == b"bye"
    assert await call.read() is grpc.aio.EOF


async def test_a_driver_that_ends_an_unknown_stream_while_the_caller_still_sends(row):
    async def enough(requests, context):
        await anext(aiter(requests))
        await context.abort(StatusCode.RESOURCE_EXHAUSTED, "enough")

    row.driver.on["/x.Y/Z"] = enough
    call = row.channel.stream_stream("/x.Y/Z")(timeout=20)
    await call.write(b"one")

    assert (await error_of(call.read())).details() == "enough"


async def test_a_method_that_the_driver_does_not_have_is_its_own_to_refuse(row):
    row.driver.on["/csi.v1.Controller/MakeCoffee"] = answering(b"", code=StatusCode.UNIMPLEMENTED, details="a teapot")

    error = await error_of(row.unary("/csi.v1.Controller/MakeCoffee"))

    assert (error.code(), error.details()) == (StatusCode.UNIMPLEMENTED, "a teapot")
    assert [(event["type"], event["f"], event.get("value")) for event in row.events()] == [
        ("invoke", "MakeCoffee", None),
        ("fail", "MakeCoffee", {"code": "UNIMPLEMENTED", "message": "a teapot"}),
    ]


async def test_later_methods_of_csi_are_in_the_history_and_those_of_others_are_not(row):
    held = row.driver.on["/csi.v2.Node/Later"] = Held()
    await row.unary("/grpc.health.v1.Health/Check")
    call = row.unary("/csi.v2.Node/Later")
    await held.reached.wait()
    held.release.set()
    await call
    held.reached.clear()
    held.release.clear()
    call = row.unary("/csi.v2.Node/Later")
    await held.reached.wait()
    call.cancel()
    await held.ended.wait()

    events = [(event["type"], event["call"]) for event in row.events()]
    assert events == [("invoke", "c1"), ("ok", "c1"), ("invoke", "c2"), ("info", "c2")]


async def test_calls_are_told_with_what_was_asked_and_answered(row):
    answer = csi.CreateVolumeResponse(volume=csi.Volume(volume_id="v")).SerializeToString()
    row.driver.on[CREATE] = answering(answer)
    await row.unary(CREATE, csi.CreateVolumeRequest(name="pvc-1").SerializeToString())
    row.driver.on[CREATE] = answering(b"", code=StatusCode.ABORTED, details="busy")
    await error_of(row.unary(CREATE, b"\xff"))
    row.driver.on[ALLOCATED] = answering(b"")
    assert [part async for part in row.stream(ALLOCATED)] == [b""]

    first, second, third = row.observed
    assert (first.method, first.request.name, first.response.message.volume.volume_id) == (CREATE, "pvc-1", "v")
    assert (first.code, first.message) == (StatusCode.OK, "")
    assert first.duration_s >= 0
    assert (second.code, second.message, second.response) == (StatusCode.ABORTED, "busy", None)
    assert second.request == csi.CreateVolumeRequest()
    assert (third.method, third.code, third.response) == (ALLOCATED, StatusCode.OK, None)


async def test_a_call_that_was_given_up_is_told_once(row):
    held = row.driver.on[CREATE] = Held()
    call = row.unary(CREATE)
    await held.reached.wait()
    call.cancel()
    await held.ended.wait()
    while not row.observed:
        await asyncio.sleep(0.01)

    assert [each.code for each in row.observed] == [StatusCode.CANCELLED]


async def test_a_defect_of_the_proxy_is_told_as_such(row, monkeypatch):
    async def broken(*_):
        raise RuntimeError("canary")

    monkeypatch.setattr("csisim.proxy.upstream.Upstream.unary", broken)
    error = await error_of(row.unary(CREATE))

    assert error.code() is StatusCode.INTERNAL
    assert error.details() == "defect in the proxy: RuntimeError; its log has the details"
