"""The gRPC server: the five services behind one interceptor that gives every call a deadline, a log and a status."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, cast

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from csisim import deadline
from csisim.call_log import Observer, ServedCall
from csisim.driver.grpc_types import Context, Handler
from csisim.driver.statuses import status_of
from csisim.errors import InjectedStatus, InvalidArgument
from csisim.pb import csi_pb2, csi_pb2_grpc

_MESSAGE_LENGTH = 1024
# The answer has to reach the caller before its own timer fires.
_ANSWER_MARGIN_S = 0.2
_ANSWER_MARGIN_SHARE = 0.1
_CANCELLED = "cancelled, by the caller or the end of its time or of the server; what was begun may have happened"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """The servicers of one server; those that are None answer UNIMPLEMENTED."""

    identity: csi_pb2_grpc.IdentityServicer
    controller: csi_pb2_grpc.ControllerServicer | None = None
    group_controller: csi_pb2_grpc.GroupControllerServicer | None = None
    snapshot_metadata: csi_pb2_grpc.SnapshotMetadataServicer | None = None
    node: csi_pb2_grpc.NodeServicer | None = None


class Around(Protocol):
    """What may stand around each served method: it calls `serve`, or does not. Its errors become statuses too."""

    async def unary(self, method: str, request: Any, context: Context, serve: Callable[[], Awaitable[Any]]) -> Message:
        """One call; `method` is the short name."""

    def stream(
        self, method: str, request: Any, context: Context, serve: Callable[[], AsyncGenerator[Any]]
    ) -> AsyncGenerator[Any]:
        """One call that answers with a stream."""


@dataclass(frozen=True, slots=True)
class _Malformed:
    """A request that is not valid protobuf, or has a string that is not UTF-8; `empty` is one of its type."""

    reason: str
    empty: Message


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each method once, at its first call."""

    def __init__(self, observers: Sequence[Observer] = (), around: Around | None = None) -> None:
        self._observers = tuple(observers)
        self._around = around
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """See grpc.aio.ServerInterceptor."""
        method = handler_call_details.method
        known = self._wrapped.get(method)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith("/csi.v1."):
            return handler
        self._wrapped[method] = wrapped = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        # The stubs describe the synchronous server; grpc.aio takes the same handlers with coroutines.
        inner: Any = handler
        parse = _parser(inner.request_deserializer)
        if handler.response_streaming:
            stream: Any = self._stream(method, inner.unary_stream)
            return grpc.unary_stream_rpc_method_handler(stream, parse, inner.response_serializer)
        unary: Any = self._unary(method, inner.unary_unary)
        return grpc.unary_unary_rpc_method_handler(unary, parse, inner.response_serializer)

    def _unary(self, method: str, serve: Callable[..., Awaitable[Message]]) -> Callable[..., Awaitable[Message]]:
        around, name = self._around, method.rpartition("/")[2]

        async def served(request: Message | _Malformed, context: Context) -> Message:
            call = _Call(self._observers, method, request, context)
            message = await call.message(request)
            try:
                with call.within():
                    if around is None:
                        response = await serve(message, context)
                    else:
                        response = await around.unary(name, message, context, lambda: serve(message, context))
            except asyncio.CancelledError:
                call.observe(grpc.StatusCode.CANCELLED, _CANCELLED, None)
                raise
            except Exception as error:  # noqa: BLE001 - the one place where errors become statuses
                await call.fail(error)
            call.observe(grpc.StatusCode.OK, "", response)
            return response

        return served

    def _stream(self, method: str, serve: Callable[..., AsyncGenerator[Message]]) -> Callable[..., AsyncGenerator[Any]]:
        around, name = self._around, method.rpartition("/")[2]

        def begin(message: Message, context: Context) -> AsyncGenerator[Message]:
            if around is None:
                return serve(message, context)
            return around.stream(name, message, context, lambda: serve(message, context))

        async def served(request: Message | _Malformed, context: Context) -> AsyncGenerator[Message]:
            call = _Call(self._observers, method, request, context)
            message = await call.message(request)
            try:
                async with aclosing(begin(message, context)) as responses:
                    while True:
                        # Not around the yield: a stream that is given up is closed in another task's context.
                        with call.within():
                            response = await anext(responses, None)
                        if response is None:
                            break
                        yield response
            except (asyncio.CancelledError, GeneratorExit):
                call.observe(grpc.StatusCode.CANCELLED, _CANCELLED, None)
                raise
            except Exception as error:  # noqa: BLE001 - as above
                await call.fail(error)
            call.observe(grpc.StatusCode.OK, "", None)

        return served


class _Call:
    """What is kept while one call runs."""

    def __init__(
        self,
        observers: Sequence[Observer],
        method: str,
        request: Message | _Malformed,
        context: Context,
    ) -> None:
        self._observers = observers
        self._method = method
        self._request = request.empty if isinstance(request, _Malformed) else request
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        left_s = cast("float | None", context.time_remaining())  # the stub forgets calls without a deadline
        margin_s = min(_ANSWER_MARGIN_S, _ANSWER_MARGIN_SHARE * left_s) if left_s is not None else 0.0
        self._ends = self._started + left_s - margin_s if left_s is not None else None

    async def message(self, request: Message | _Malformed) -> Message:
        """The request, or the end of the call where it is malformed."""
        if isinstance(request, _Malformed):
            await self.fail(InvalidArgument(request.reason))
        return request

    def within(self) -> AbstractContextManager[None]:
        """The time that is left, as the deadline of what is called inside."""
        return deadline.within(None if self._ends is None else max(0.0, self._ends - self._loop.time()))

    async def fail(self, error: Exception) -> NoReturn:
        """End the call with the status that the error stands for; `details` stay empty, as the spec wants."""
        code, message = status_of(error)
        if code is grpc.StatusCode.INTERNAL and not isinstance(error, InjectedStatus):
            log.error("call failed", method=self._method, exc_info=error)
        message = message[:_MESSAGE_LENGTH]
        self.observe(code, message, None)
        await self._context.abort(code, message)

    def observe(self, code: grpc.StatusCode, message: str, response: Message | None) -> None:
        """Tell the observers how it ended."""
        for observer in self._observers:
            duration_s = self._loop.time() - self._started
            observer(ServedCall(self._method, self._request, response, code, message, duration_s))


def _parser(deserializer: Callable[[bytes], Message]) -> Callable[[bytes], Message | _Malformed]:
    """GRPC answers INTERNAL when a deserializer raises; what a caller sent wrongly is INVALID_ARGUMENT."""

    def parse(data: bytes) -> Message | _Malformed:
        try:
            return deserializer(data)
        except DecodeError as error:
            return _Malformed(f"the request is not a valid message: {error}", deserializer(b""))

    return parse


@dataclass(frozen=True, slots=True)
class DriverServer:
    """A gRPC server of the driver; `grpc` is what addresses are bound to and what is started."""

    grpc: grpc.aio.Server
    health: health.HealthServicer

    async def stop(self, grace_s: float | None) -> None:
        """Tell health watchers, take no more calls, and give the running ones this long before they are cancelled."""
        await self.health.enter_graceful_shutdown()
        await self.grpc.stop(grace_s)


async def build_server(
    services: Services,
    observers: Sequence[Observer] = (),
    around: Around | None = None,
    make: Callable[..., grpc.aio.Server] = grpc.aio.server,
) -> DriverServer:
    """A server with the services, reflection and the standard health service, bound to no address yet.

    `make` is called as grpc.aio.server is.
    """
    # Without so_reuseport=0 a second process could take half of the calls of a TCP port, and nobody would notice.
    options = (("grpc.so_reuseport", 0),)
    server = make(interceptors=[CallInterceptor(observers, around)], options=options)
    offered = ["Identity"]
    csi_pb2_grpc.add_IdentityServicer_to_server(services.identity, server)
    if services.controller is not None:
        csi_pb2_grpc.add_ControllerServicer_to_server(services.controller, server)
        offered.append("Controller")
    if services.group_controller is not None:
        csi_pb2_grpc.add_GroupControllerServicer_to_server(services.group_controller, server)
        offered.append("GroupController")
    if services.snapshot_metadata is not None:
        csi_pb2_grpc.add_SnapshotMetadataServicer_to_server(services.snapshot_metadata, server)
        offered.append("SnapshotMetadata")
    if services.node is not None:
        csi_pb2_grpc.add_NodeServicer_to_server(services.node, server)
        offered.append("Node")
    names = [str(csi_pb2.DESCRIPTOR.services_by_name[name].full_name) for name in offered]
    healths = health.HealthServicer()
    for name in names:
        await healths.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(healths, server)
    beside = [reflection.SERVICE_NAME, str(health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)]
    reflection.enable_server_reflection([*names, *beside], server)
    return DriverServer(server, healths)
