"""What a gRPC channel and server do, as tests; test_seam.py runs them on the simulated pair and on grpc.aio.

A subclass provides `world`. Handlers signal with events, so that nothing here depends on how long anything takes.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from csisim.pb import csi_pb2, csi_pb2_grpc

DEADLINE_S = 0.2
NEVER_S = 3600.0


@dataclass
class World:
    """A started server and a channel to it, made by `make`."""

    make_server: Callable[[list[Any]], grpc.aio.Server]
    make_channel: Callable[[], grpc.aio.Channel]
    address: str
    servers: list[grpc.aio.Server] = field(default_factory=list)
    channels: list[grpc.aio.Channel] = field(default_factory=list)

    async def serve(self, *interceptors: Any, controller: Any = None, metadata: Any = None) -> grpc.aio.Server:
        server = self.make_server(list(interceptors))
        csi_pb2_grpc.add_ControllerServicer_to_server(controller or csi_pb2_grpc.ControllerServicer(), server)
        if metadata is not None:
            csi_pb2_grpc.add_SnapshotMetadataServicer_to_server(metadata, server)
        assert server.add_insecure_port(self.address)
        await server.start()
        self.servers.append(server)
        return server

    def channel(self) -> grpc.aio.Channel:
        channel = self.make_channel()
        self.channels.append(channel)
        return channel

    async def controller(self, create: Any, *interceptors: Any) -> csi_pb2_grpc.ControllerStub:
        servicer = type("Servicer", (csi_pb2_grpc.ControllerServicer,), {"CreateVolume": staticmethod(create)})()
        await self.serve(*interceptors, controller=servicer)
        return csi_pb2_grpc.ControllerStub(self.channel())

    async def metadata(self, get: Any) -> csi_pb2_grpc.SnapshotMetadataStub:
        servicer = type(
            "Servicer", (csi_pb2_grpc.SnapshotMetadataServicer,), {"GetMetadataAllocated": staticmethod(get)}
        )()
        await self.serve(metadata=servicer)
        return csi_pb2_grpc.SnapshotMetadataStub(self.channel())

    async def close(self) -> None:
        for channel in self.channels:
            await channel.close()
        for server in self.servers:
            await server.stop(None)


def request(name: str = "pvc-1", **fields: Any) -> csi_pb2.CreateVolumeRequest:
    return csi_pb2.CreateVolumeRequest(name=name, **fields)


def created(volume_id: str, **context: str) -> csi_pb2.CreateVolumeResponse:
    return csi_pb2.CreateVolumeResponse(volume=csi_pb2.Volume(volume_id=volume_id, volume_context=context))


def blocks(offset: int, size: int = 512) -> csi_pb2.GetMetadataAllocatedResponse:
    metadata = [csi_pb2.BlockMetadata(byte_offset=offset, size_bytes=size)]
    return csi_pb2.GetMetadataAllocatedResponse(block_metadata=metadata)


class Blocked:
    """A handler that says when it has begun, waits for ever unless let go, and says how it ended."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()
        self.cancelled = False
        self.context: Any = None

    async def handle(self, request: Any, context: Any) -> Any:
        self.context = context
        self.begun.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.ended.set()
        return created("late")


async def code_of(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details() or ""


class GrpcConformance:
    """Subclassed once for each pair."""

    # One message

    async def test_a_message_is_answered(self, world: World) -> None:
        async def create(request: Any, context: Any) -> Any:
            return created(f"id of {request.name}", fs="ext4")

        stub = await world.controller(create)
        call = stub.CreateVolume(request("pvc-7"))
        response = await call
        assert response == created("id of pvc-7", fs="ext4")
        assert await call is response
        assert await call.code() is grpc.StatusCode.OK
        assert await call.details() == ""
        assert call.done()
        assert not call.cancelled()
        assert not call.cancel()
        assert call.time_remaining() is None

    async def test_messages_are_copies(self, world: World) -> None:
        kept: list[Any] = []
        mine = created("a")

        async def create(request: Any, context: Any) -> Any:
            kept.append(request)
            return mine

        stub = await world.controller(create)
        asked = request("pvc-1")
        response = await stub.CreateVolume(asked)
        mine.volume.volume_id = "b"
        asked.name = "changed"
        assert response.volume.volume_id == "a"
        assert kept[0].name == "pvc-1"
        assert kept[0] is not asked

    async def test_calls_run_beside_each_other(self, world: World) -> None:
        second_begun = asyncio.Event()

        async def create(request: Any, context: Any) -> Any:
            if request.name == "second":
                second_begun.set()
            else:
                await second_begun.wait()
            return created(request.name)

        stub = await world.controller(create)
        first = stub.CreateVolume(request("first"))
        second = stub.CreateVolume(request("second"))
        assert [(await each).volume.volume_id for each in (first, second)] == ["first", "second"]

    # Errors

    async def test_an_unhandled_error_is_unknown(self, world: World) -> None:
        async def create(request: Any, context: Any) -> Any:
            raise KeyError("pvc")

        stub = await world.controller(create)
        code, details = await code_of(stub.CreateVolume(request()))
        assert (code, details) == (grpc.StatusCode.UNKNOWN, "Unexpected <class 'KeyError'>: 'pvc'")

    async def test_an_unhandled_error_keeps_a_code_that_was_set(self, world: World) -> None:
        async def create(request: Any, context: Any) -> Any:
            context.set_code(grpc.StatusCode.DATA_LOSS)
            raise ValueError("gone")

        stub = await world.controller(create)
        code, details = await code_of(stub.CreateVolume(request()))
        assert (code, details) == (grpc.StatusCode.DATA_LOSS, "Unexpected <class 'ValueError'>: gone")

    @pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
    async def test_abort_sends_every_code_with_details_and_metadata(self, world: World, code: grpc.StatusCode) -> None:
        aborted: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

        async def create(request: Any, context: Any) -> Any:
            try:
                await context.abort(code, "größer als 1 TiB", (("why", "quota"), ("x-bin", b"\x00\xff")))
            except BaseException as error:
                aborted.set_result(error)
                raise

        stub = await world.controller(create)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.CreateVolume(request())
        assert raised.value.code() is code
        assert raised.value.details() == "größer als 1 TiB"
        trailing = raised.value.trailing_metadata()
        assert trailing["why"] == "quota"
        assert trailing["x-bin"] == b"\x00\xff"
        assert isinstance(await aborted, grpc.aio.AbortError)

    async def test_abort_that_is_caught_has_still_ended_the_call(self, world: World) -> None:
        async def create(request: Any, context: Any) -> Any:
            with suppress(grpc.aio.AbortError):
                await context.abort(grpc.StatusCode.ABORTED, "busy")
            return created("late")

        stub = await world.controller(create)
        assert await code_of(stub.CreateVolume(request())) == (grpc.StatusCode.ABORTED, "busy")

    async def test_abort_takes_details_and_metadata_that_were_set_before(self, world: World) -> None:
        async def create(request: Any, context: Any) -> Any:
            context.set_details("set before")
            context.set_trailing_metadata((("a", "1"),))
            await context.abort(grpc.StatusCode.NOT_FOUND)

        stub = await world.controller(create)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.CreateVolume(request())
        assert raised.value.details() == "set before"
        assert raised.value.trailing_metadata()["a"] == "1"

    async def test_a_second_abort_is_misuse(self, world: World) -> None:
        misuse: list[str] = []

        async def create(request: Any, context: Any) -> Any:
            try:
                await context.abort(grpc.StatusCode.ABORTED, "first")
            except grpc.aio.AbortError as first:
                with pytest.raises(grpc.aio.UsageError) as raised:
                    await context.abort(grpc.StatusCode.INTERNAL, "second")
                misuse.append(str(raised.value))
                raise first from None

        stub = await world.controller(create)
        assert await code_of(stub.CreateVolume(request())) == (grpc.StatusCode.ABORTED, "first")
        assert misuse == ["Abort already called!"]

    async def test_a_code_that_is_set_ends_the_call_without_an_error(self, world: World) -> None:
        async def create(request: Any, context: Any) -> Any:
            context.set_code(grpc.StatusCode.OUT_OF_RANGE)
            context.set_details("too small")
            return created("x")

        stub = await world.controller(create)
        assert await code_of(stub.CreateVolume(request())) == (grpc.StatusCode.OUT_OF_RANGE, "too small")

    async def test_the_error_of_a_call_is_told_by_the_call_too(self, world: World) -> None:
        async def create(request: Any, context: Any) -> Any:
            await context.abort(grpc.StatusCode.ABORTED, "busy", (("a", "1"),))

        call = (await world.controller(create)).CreateVolume(request())
        assert await call.code() is grpc.StatusCode.ABORTED
        assert await call.details() == "busy"
        assert (await call.trailing_metadata())["a"] == "1"
        assert await code_of(call) == (grpc.StatusCode.ABORTED, "busy")
        assert await code_of(call) == (grpc.StatusCode.ABORTED, "busy")

    async def test_methods_that_a_servicer_lacks_are_unimplemented(self, world: World) -> None:
        await world.serve()
        stub = csi_pb2_grpc.ControllerStub(world.channel())
        code, details = await code_of(stub.DeleteVolume(csi_pb2.DeleteVolumeRequest(volume_id="v")))
        assert code is grpc.StatusCode.UNIMPLEMENTED
        assert "Method not implemented!" in details

    async def test_services_that_a_server_lacks_are_unimplemented(self, world: World) -> None:
        await world.serve()
        stub = csi_pb2_grpc.IdentityStub(world.channel())
        found = await code_of(stub.Probe(csi_pb2.ProbeRequest()))
        assert found == (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")

    async def test_a_request_that_is_not_a_message_never_reaches_the_handler(self, world: World) -> None:
        seen: list[Any] = []

        async def create(request: Any, context: Any) -> Any:
            seen.append(request)
            return created("x")

        await world.controller(create)
        raw = world.channels[0].unary_unary("/csi.v1.Controller/CreateVolume")
        code, details = await code_of(raw(b"\xff\xff\xff"))
        assert code is grpc.StatusCode.UNKNOWN
        assert details.startswith("Unexpected <class 'google.protobuf.message.DecodeError'>")
        assert seen == []

    @pytest.mark.parametrize("answer", [5, None])
    async def test_an_answer_that_is_no_message_is_an_error_of_the_handler(self, world: World, answer: Any) -> None:
        async def create(request: Any, context: Any) -> Any:
            return answer

        stub = await world.controller(create)
        code, details = await code_of(stub.CreateVolume(request()))
        assert code is grpc.StatusCode.UNKNOWN
        assert details.startswith("Unexpected <class 'TypeError'>: descriptor 'SerializeToString'")

    async def test_an_answer_that_the_caller_cannot_read_is_none(self, world: World) -> None:
        async def create(request: Any, context: Any) -> Any:
            return created("x")

        await world.controller(create)
        call = world.channels[0].unary_unary(
            "/csi.v1.Controller/CreateVolume",
            csi_pb2.CreateVolumeRequest.SerializeToString,
            lambda _data: csi_pb2.Volume.FromString(b"\xff"),
        )
        assert await call(request()) is None

    async def test_a_handler_that_cancels_itself_leaves_its_caller_waiting(self, world: World) -> None:
        async def create(request: Any, context: Any) -> Any:
            raise asyncio.CancelledError

        stub = await world.controller(create)
        code, _ = await code_of(stub.CreateVolume(request(), timeout=DEADLINE_S))
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED

    async def test_a_handler_may_be_an_ordinary_function(self, world: World) -> None:
        def create(request: Any, context: Any) -> Any:
            return created(request.name)

        stub = await world.controller(create)
        assert (await stub.CreateVolume(request("plain"))).volume.volume_id == "plain"

    async def test_initial_metadata_is_sent_once(self, world: World) -> None:
        misuse: list[str] = []

        async def create(request: Any, context: Any) -> Any:
            await context.send_initial_metadata((("a", "1"),))
            with pytest.raises(grpc.aio.UsageError) as raised:
                await context.send_initial_metadata((("a", "2"),))
            misuse.append(str(raised.value))
            return created("x")

        stub = await world.controller(create)
        call = stub.CreateVolume(request())
        await call
        assert (await call.initial_metadata())["a"] == "1"
        assert misuse == ["Send initial metadata failed: already sent"]

    async def test_messages_above_4_mib_are_refused_by_who_receives_them(self, world: World) -> None:
        async def create(request: Any, context: Any) -> Any:
            return created("x" * (5 << 20))

        stub = await world.controller(create)
        code, details = await code_of(stub.CreateVolume(request()))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "eceived message larger than max" in details
        code, details = await code_of(stub.CreateVolume(request("y" * (5 << 20))))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "eceived message larger than max" in details

    # Deadlines and cancellation

    async def test_a_deadline_ends_the_call_and_cancels_the_handler(self, world: World) -> None:
        blocked = Blocked()
        stub = await world.controller(blocked.handle)
        code, details = await code_of(stub.CreateVolume(request(), timeout=DEADLINE_S))
        assert (code, details) == (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        await blocked.ended.wait()
        assert blocked.cancelled

    async def test_a_handler_knows_how_much_time_is_left(self, world: World) -> None:
        left: list[float | None] = []

        async def create(request: Any, context: Any) -> Any:
            left.append(context.time_remaining())
            return created("x")

        stub = await world.controller(create)
        await stub.CreateVolume(request(), timeout=60)
        await stub.CreateVolume(request())
        assert left[0] is not None
        assert 30 < left[0] <= 60.1
        assert left[1] is None

    async def test_a_deadline_that_has_passed_never_reaches_the_handler(self, world: World) -> None:
        blocked = Blocked()
        stub = await world.controller(blocked.handle)
        code, _ = await code_of(stub.CreateVolume(request(), timeout=-1))
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert not blocked.begun.is_set()

    async def test_several_may_wait_for_one_call(self, world: World) -> None:
        blocked = Blocked()
        controller = await world.controller(blocked.handle)
        call = controller.CreateVolume(request())
        await blocked.begun.wait()

        async def response() -> Any:
            return await call

        waiting = [asyncio.create_task(each) for each in (response(), response(), call.code(), call.initial_metadata())]
        await asyncio.sleep(0)
        blocked.go_on.set()
        first, second, code, _ = await asyncio.gather(*waiting)
        assert first.volume.volume_id == second.volume.volume_id == "late"
        assert code is grpc.StatusCode.OK
        assert await call.code() is grpc.StatusCode.OK

    async def test_cancelling_the_call_cancels_the_handler(self, world: World) -> None:
        blocked = Blocked()
        stub = await world.controller(blocked.handle)
        call = stub.CreateVolume(request())
        await blocked.begun.wait()
        assert call.cancel()
        assert not call.cancel()
        assert call.cancelled()
        assert call.done()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await call.code() is grpc.StatusCode.CANCELLED
        assert await call.details() == "Locally cancelled by application!"
        await blocked.ended.wait()
        assert blocked.cancelled

    async def test_cancelling_who_waits_cancels_the_handler(self, world: World) -> None:
        blocked = Blocked()
        stub = await world.controller(blocked.handle)
        call = stub.CreateVolume(request())

        async def wait() -> Any:
            return await call

        waiter = asyncio.create_task(wait())
        await blocked.begun.wait()
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert call.cancelled()
        await blocked.ended.wait()
        assert blocked.cancelled

    async def test_a_call_cancelled_at_once_is_cancelled(self, world: World) -> None:
        blocked = Blocked()
        stub = await world.controller(blocked.handle)
        call = stub.CreateVolume(request())
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await call.code() is grpc.StatusCode.CANCELLED

    async def test_a_handler_that_goes_on_after_its_caller_left_may_finish(self, world: World) -> None:
        begun, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def create(request: Any, context: Any) -> Any:
            begun.set()
            try:
                await asyncio.sleep(NEVER_S)
            except asyncio.CancelledError:
                await go_on.wait()
                finished.set()
            return created("x")

        stub = await world.controller(create)
        call = stub.CreateVolume(request())
        await begun.wait()
        call.cancel()
        go_on.set()
        await finished.wait()
        assert await call.code() is grpc.StatusCode.CANCELLED

    async def test_done_callbacks_run_on_both_sides(self, world: World) -> None:
        heard: list[str] = []
        both = asyncio.Event()

        def hear(who: str) -> None:
            heard.append(who)
            if len(heard) == 2:
                both.set()

        async def create(request: Any, context: Any) -> Any:
            context.add_done_callback(lambda _context: hear("server"))
            return created("x")

        stub = await world.controller(create)
        call = stub.CreateVolume(request())
        call.add_done_callback(lambda _call: hear("client"))
        await call
        await both.wait()
        assert sorted(heard) == ["client", "server"]

    # Metadata

    async def test_metadata_goes_both_ways(self, world: World) -> None:
        seen: list[Any] = []

        async def create(request: Any, context: Any) -> Any:
            seen.append(list(context.invocation_metadata()))
            await context.send_initial_metadata((("begin", "1"), ("begin", "2")))
            context.set_trailing_metadata((("end", "3"), ("end-bin", b"\x00")))
            return created("x")

        stub = await world.controller(create)
        call = stub.CreateVolume(request(), metadata=(("csisim-fault", "delay(1s)"), ("k-bin", b"\xfe")))
        await call
        assert ("csisim-fault", "delay(1s)") in seen[0]
        assert ("k-bin", b"\xfe") in seen[0]
        assert any(key == "user-agent" for key, _ in seen[0])
        assert (await call.initial_metadata()).get_all("begin") == ["1", "2"]
        trailing = await call.trailing_metadata()
        assert trailing["end"] == "3"
        assert trailing["end-bin"] == b"\x00"

    @pytest.mark.parametrize(
        ("key", "value", "error"),
        [
            ("Upper", "x", grpc.aio.InternalError),
            ("number", 5, TypeError),
            ("text-bin", "x", TypeError),
        ],
    )
    async def test_metadata_that_cannot_be_sent_is_refused(
        self, world: World, key: str, value: Any, error: type[Exception]
    ) -> None:
        async def create(request: Any, context: Any) -> Any:
            return created("x")

        stub = await world.controller(create)
        with pytest.raises(error):
            await stub.CreateVolume(request(), metadata=((key, value),))

    # Interceptors

    async def test_interceptors_run_in_order_and_may_replace_the_handler(self, world: World) -> None:
        order: list[str] = []

        class Named(grpc.aio.ServerInterceptor):
            def __init__(self, name: str) -> None:
                self.name = name

            async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
                order.append(f"{self.name} {handler_call_details.method}")
                handler = await continuation(handler_call_details)
                inner = handler.unary_unary

                async def outer(request: Any, context: Any) -> Any:
                    response = await inner(request, context)
                    response.volume.volume_id += self.name
                    return response

                return grpc.unary_unary_rpc_method_handler(
                    outer, handler.request_deserializer, handler.response_serializer
                )

        async def create(request: Any, context: Any) -> Any:
            return created("x")

        stub = await world.controller(create, Named("a"), Named("b"))
        assert (await stub.CreateVolume(request())).volume.volume_id == "xba"
        assert order == ["a /csi.v1.Controller/CreateVolume", "b /csi.v1.Controller/CreateVolume"]

    # Streams

    async def test_a_stream_is_read_in_order(self, world: World) -> None:
        async def get(request: Any, context: Any) -> AsyncIterator[Any]:
            for offset in range(5):
                yield blocks(offset)

        stub = await world.metadata(get)
        call = stub.GetMetadataAllocated(csi_pb2.GetMetadataAllocatedRequest(snapshot_id="s"))
        assert [each.block_metadata[0].byte_offset async for each in call] == [0, 1, 2, 3, 4]
        assert await call.code() is grpc.StatusCode.OK

    async def test_a_stream_is_read_one_by_one(self, world: World) -> None:
        async def get(request: Any, context: Any) -> AsyncIterator[Any]:
            yield blocks(7)

        stub = await world.metadata(get)
        call = stub.GetMetadataAllocated(csi_pb2.GetMetadataAllocatedRequest(snapshot_id="s"))
        assert (await call.read()).block_metadata[0].byte_offset == 7
        assert await call.read() is grpc.aio.EOF
        assert await call.read() is grpc.aio.EOF

    async def test_a_stream_may_be_written_by_the_handler(self, world: World) -> None:
        async def get(request: Any, context: Any) -> None:
            await context.write(blocks(1))
            await context.write(blocks(2))

        stub = await world.metadata(get)
        call = stub.GetMetadataAllocated(csi_pb2.GetMetadataAllocatedRequest(snapshot_id="s"))
        assert [each.block_metadata[0].byte_offset async for each in call] == [1, 2]
        assert await call.code() is grpc.StatusCode.OK

    async def test_what_came_before_an_error_in_a_stream_is_read(self, world: World) -> None:
        async def get(request: Any, context: Any) -> AsyncIterator[Any]:
            yield blocks(1)
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, "offset")

        stub = await world.metadata(get)
        call = stub.GetMetadataAllocated(csi_pb2.GetMetadataAllocatedRequest(snapshot_id="s"))
        assert (await call.read()).block_metadata[0].byte_offset == 1
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call.read()
        assert raised.value.code() is grpc.StatusCode.OUT_OF_RANGE
        assert raised.value.details() == "offset"

    async def test_an_unhandled_error_in_a_stream_is_unknown(self, world: World) -> None:
        async def get(request: Any, context: Any) -> AsyncIterator[Any]:
            yield blocks(1)
            raise ValueError("lost")

        stub = await world.metadata(get)
        call = stub.GetMetadataAllocated(csi_pb2.GetMetadataAllocatedRequest(snapshot_id="s"))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            [each async for each in call]
        assert raised.value.code() is grpc.StatusCode.UNKNOWN

    async def test_a_stream_that_is_cancelled_ends_on_both_sides(self, world: World) -> None:
        ended = asyncio.Event()

        async def get(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                yield blocks(1)
                await asyncio.sleep(NEVER_S)
            finally:
                ended.set()

        stub = await world.metadata(get)
        call = stub.GetMetadataAllocated(csi_pb2.GetMetadataAllocatedRequest(snapshot_id="s"))
        assert (await call.read()).block_metadata[0].byte_offset == 1
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call.read()
        await ended.wait()

    async def test_a_stream_has_a_deadline(self, world: World) -> None:
        ended = asyncio.Event()

        async def get(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                yield blocks(1)
                await asyncio.sleep(NEVER_S)
            finally:
                ended.set()

        stub = await world.metadata(get)
        call = stub.GetMetadataAllocated(csi_pb2.GetMetadataAllocatedRequest(snapshot_id="s"), timeout=DEADLINE_S)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            [each async for each in call]
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await ended.wait()

    async def test_a_slow_reader_holds_the_writer_up(self, world: World) -> None:
        written = 0
        stuck = asyncio.Event()

        async def get(request: Any, context: Any) -> AsyncIterator[Any]:
            nonlocal written
            many = csi_pb2.GetMetadataAllocatedResponse(block_metadata=[csi_pb2.BlockMetadata(byte_offset=1)] * 8000)
            for _ in range(200):
                yield many
                written += 1
                if written == 3:
                    stuck.set()

        stub = await world.metadata(get)
        call = stub.GetMetadataAllocated(csi_pb2.GetMetadataAllocatedRequest(snapshot_id="s"))
        await call.read()
        await stuck.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert written < 150
        rest = 0
        while (await call.read()) is not grpc.aio.EOF:
            rest += 1
        assert rest == 199
        assert written == 200

    # Servers come and go

    async def test_nobody_there_is_unavailable(self, world: World) -> None:
        stub = csi_pb2_grpc.ControllerStub(world.channel())
        code, details = await code_of(stub.CreateVolume(request()))
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "failed to connect to all addresses" in details

    async def test_a_call_may_wait_for_the_server(self, world: World) -> None:
        stub = csi_pb2_grpc.ControllerStub(world.channel())
        call = stub.CreateVolume(request(), wait_for_ready=True, timeout=30)

        async def create(request: Any, context: Any) -> Any:
            return created("x")

        await world.controller(create)
        assert (await call).volume.volume_id == "x"

    async def test_a_call_waits_for_the_server_until_its_deadline(self, world: World) -> None:
        stub = csi_pb2_grpc.ControllerStub(world.channel())
        code, _ = await code_of(stub.CreateVolume(request(), wait_for_ready=True, timeout=DEADLINE_S))
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED

    async def test_a_server_that_stops_lets_calls_finish(self, world: World) -> None:
        blocked = Blocked()
        stub = await world.controller(blocked.handle)
        call = stub.CreateVolume(request())
        await blocked.begun.wait()
        stopping = asyncio.create_task(world.servers[0].stop(NEVER_S))
        await asyncio.sleep(0)
        blocked.go_on.set()
        assert (await call).volume.volume_id == "late"
        await stopping
        assert not blocked.cancelled

    async def test_a_server_that_is_stopped_at_once_cancels_its_calls(self, world: World) -> None:
        blocked = Blocked()
        stub = await world.controller(blocked.handle)
        call = stub.CreateVolume(request())
        await blocked.begun.wait()
        await world.servers[0].stop(None)
        code, _ = await code_of(call)
        assert code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        await blocked.ended.wait()
        assert blocked.cancelled

    async def test_a_status_that_nobody_waits_for_any_more_is_no_error_of_the_handler(self, world: World) -> None:
        begun, ended = asyncio.Event(), asyncio.Event()
        raised: list[BaseException] = []

        async def create(request: Any, context: Any) -> Any:
            begun.set()
            try:
                await asyncio.sleep(NEVER_S)
            except asyncio.CancelledError:
                try:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "cut off")
                except BaseException as error:
                    raised.append(error)
                    raise
                finally:
                    ended.set()

        told: list[str] = []
        root, listener = logging.getLogger(), logging.Handler(logging.ERROR)
        listener.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
        root.addHandler(listener)
        stub = await world.controller(create)
        call = stub.CreateVolume(request())
        await begun.wait()
        await world.servers[0].stop(None)
        code, _ = await code_of(call)
        await ended.wait()
        await asyncio.sleep(0)
        root.removeHandler(listener)
        assert code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        assert len(raised) == 1
        assert not isinstance(raised[0], grpc.aio.UsageError)
        assert told == []

    async def test_a_stopped_server_takes_no_calls(self, world: World) -> None:
        async def create(request: Any, context: Any) -> Any:
            return created("x")

        stub = await world.controller(create)
        await stub.CreateVolume(request())
        await world.servers[0].stop(None)
        code, _ = await code_of(stub.CreateVolume(request()))
        assert code is grpc.StatusCode.UNAVAILABLE

    async def test_a_closed_channel_takes_no_calls(self, world: World) -> None:
        blocked = Blocked()
        stub = await world.controller(blocked.handle)
        call = stub.CreateVolume(request())
        await blocked.begun.wait()
        await world.channels[0].close()
        assert call.cancelled()
        with pytest.raises(grpc.aio.UsageError, match="Channel is closed"):
            await stub.CreateVolume(request())
        await blocked.ended.wait()
