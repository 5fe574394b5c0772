"""Every call that comes in, passed on to the driver behind: CSI with its faults and its record, all else as bytes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import grpc
import structlog

from csisim.call_log import Observer, ServedCall
from csisim.errors import CsiError
from csisim.events import History
from csisim.faults.rpc import INDETERMINATE, RpcFaults
from csisim.proxy.metadata import Metadata, forwarded
from csisim.proxy.methods import Method, csi_methods
from csisim.proxy.upstream import Stream, Upstream, UpstreamError
from csisim.raw import RawMessage

if TYPE_CHECKING:
    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
    Details: TypeAlias = grpc.HandlerCallDetails

_TOLD = 1024
_CANCELLED = "cancelled, by the caller or the end of its time or of the proxy; what was begun may have happened"

log = structlog.get_logger(__name__)


def ending(error: Exception) -> UpstreamError:
    """What a caller is told of an error: the driver's own answer, or what a rule says."""
    if isinstance(error, UpstreamError):
        return error
    if isinstance(error, CsiError):
        return UpstreamError(error.code, str(error))
    reason = f"defect in the proxy: {type(error).__name__}; its log has the details"
    return UpstreamError(grpc.StatusCode.INTERNAL, reason)


class Relay(grpc.GenericRpcHandler):
    """Handles each method there is, in front of one driver.

    Args:
        upstream: the driver.
        faults: around the methods of CSI.
        observers: told of every finished call of CSI.
        history: where methods of CSI are noted that `faults` do not know.
        withheld: keys of metadata that are for the proxy alone.
    """

    def __init__(
        self,
        upstream: Upstream,
        faults: RpcFaults,
        observers: Sequence[Observer],
        history: History,
        withheld: Collection[str] = (),
    ) -> None:
        self._upstream = upstream
        self._history = history
        self._faults = faults
        self._observers = tuple(observers)
        self._withheld = frozenset(withheld)
        self._handlers = {path: self._handler(method) for path, method in csi_methods().items()}

    def service(self, handler_call_details: "Details") -> "Handler":
        """See grpc.GenericRpcHandler."""
        path = str(handler_call_details.method)
        return self._handlers.get(path) or self._unknown(path)

    def _handler(self, method: Method) -> "Handler":
        # The stubs describe the synchronous server; grpc.aio takes the same handlers with coroutines.
        if method.streaming:
            stream: Any = self._stream(method)
            return grpc.unary_stream_rpc_method_handler(stream)
        unary: Any = self._unary(method)
        return grpc.unary_unary_rpc_method_handler(unary)

    def _unary(self, method: Method) -> Callable[[bytes, "Context"], Any]:
        async def served(data: bytes, context: "Context") -> bytes:
            call = _Call(self._observers, method, data, context)
            given = forwarded(context.invocation_metadata(), self._withheld)
            initial: Metadata = ()
            trailing: Metadata = ()

            async def ask() -> RawMessage:
                nonlocal initial, trailing
                answer = await self._upstream.unary(method.path, data, given, context.time_remaining())
                initial, trailing = answer.initial, answer.trailing
                return RawMessage(answer.data, method.response)

            try:
                reply = await self._faults.unary(method.name, call.request, context, ask)
            except asyncio.CancelledError:
                call.observe(grpc.StatusCode.CANCELLED, _CANCELLED)
                raise
            except Exception as error:  # noqa: BLE001 - the one place where errors become statuses
                await call.fail(error)
            call.observe(grpc.StatusCode.OK, "", reply)
            if initial:
                await context.send_initial_metadata(initial)
            if trailing:
                context.set_trailing_metadata(trailing)
            return reply.data

        return served

    def _stream(self, method: Method) -> Callable[[bytes, "Context"], Any]:
        async def served(data: bytes, context: "Context") -> None:
            call = _Call(self._observers, method, data, context)
            given = forwarded(context.invocation_metadata(), self._withheld)

            async def parts() -> AsyncGenerator[bytes]:
                left_s = context.time_remaining()
                async with self._upstream.stream(method.path, given, left_s, data) as stream:
                    await _pass_initial(stream, context)
                    async with aclosing(stream.parts()) as answers:
                        async for part in answers:
                            yield part
                    context.set_trailing_metadata(stream.trailing)

            try:
                async with aclosing(self._faults.stream(method.name, call.request, context, parts)) as answers:
                    async for part in answers:
                        await context.write(part)
            except asyncio.CancelledError:
                call.observe(grpc.StatusCode.CANCELLED, _CANCELLED)
                raise
            except Exception as error:  # noqa: BLE001 - as above
                await call.fail(error)
            call.observe(grpc.StatusCode.OK, "")

        return served

    def _unknown(self, path: str) -> "Handler":
        """A method of which nothing is known: on the wire, one message is a stream of one."""

        async def served(requests: Any, context: "Context") -> None:
            try:
                with self._noted(path):
                    await self._pass_on(path, requests, context)
            except UpstreamError as error:
                log.debug("Passed on", method=path, code=error.code.name)
                await _abort(context, error)
            log.debug("Passed on", method=path, code="OK")

        handler: Any = served
        return grpc.stream_stream_rpc_method_handler(handler)

    async def _pass_on(self, path: str, requests: AsyncIterator[bytes], context: "Context") -> None:
        given = forwarded(context.invocation_metadata())
        async with self._upstream.stream(path, given, context.time_remaining()) as stream:
            sending = asyncio.create_task(stream.send(requests))
            try:
                await _pass_initial(stream, context)
                async with aclosing(stream.parts()) as answers:
                    async for part in answers:
                        await context.write(part)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            context.set_trailing_metadata(stream.trailing)

    @contextmanager
    def _noted(self, path: str) -> Iterator[None]:
        """Methods of CSI that are newer than this proxy are in the history too, without their messages."""
        if not path.startswith("/csi."):
            yield
            return
        name, call = path.rpartition("/")[2], self._history.new_call()
        self._history.add("invoke", "rpc", name, call=call)
        try:
            yield
        except UpstreamError as error:
            code = error.code.name
            told = {"code": code, "message": error.message[:_TOLD]}
            self._history.add("info" if code in INDETERMINATE else "fail", "rpc", name, call=call, value=told)
            raise
        except BaseException:
            self._history.add("info", "rpc", name, call=call, value={"code": "CANCELLED"})
            raise
        self._history.add("ok", "rpc", name, call=call)


class _Call:
    """What is kept while one call of CSI runs."""

    def __init__(self, observers: Sequence[Observer], method: Method, data: bytes, context: "Context") -> None:
        self.request = RawMessage(data, method.request).message
        self._observers = observers
        self._method = method
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()

    async def fail(self, error: Exception) -> NoReturn:
        """End the call with the status that the error stands for."""
        found = ending(error)
        if found is not error and not isinstance(error, CsiError):
            log.error("call failed", method=self._method.path, exc_info=error)
        self.observe(found.code, found.message)
        await _abort(self._context, found)

    def observe(self, code: grpc.StatusCode, message: str, response: RawMessage | None = None) -> None:
        """Tell the observers how it ended."""
        for observer in self._observers:
            duration_s = self._loop.time() - self._started
            observer(ServedCall(self._method.path, self.request, response, code, message, duration_s))


async def _pass_initial(stream: Stream, context: "Context") -> None:
    initial = await stream.initial()
    if initial is not None:
        await context.send_initial_metadata(initial)


async def _abort(context: "Context", error: UpstreamError) -> NoReturn:
    if error.initial:
        await context.send_initial_metadata(error.initial)
    await context.abort(error.code, error.message, error.trailing)
