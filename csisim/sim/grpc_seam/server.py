"""The server's side: what generated code registers servicers with."""

import asyncio
import functools
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import grpc

from csisim.sim.grpc_seam.exchange import Connection, Exchange, Way
from csisim.sim.grpc_seam.server_call import CallDetails, Request, ServerCall
from csisim.sim.grpc_seam.wire import Status
from csisim.sim.lanes import LANE

if TYPE_CHECKING:
    from csisim.sim.grpc_seam.client_call import ClientCall

_CLOSED = "Socket closed"
_RESET = "recvmsg:Connection reset by peer"


class SimGrpcServer(grpc.aio.Server):
    """As grpc.aio.server(interceptors=...).

    Args:
        exchange: where it is bound.
        interceptors: around every call, the first one outermost.

    Attributes:
        is_serving: whether it takes calls.
    """

    def __init__(
        self, exchange: Exchange, interceptors: Sequence[grpc.aio.ServerInterceptor] = (), **_options: Any
    ) -> None:
        self.is_serving = False
        self._exchange = exchange
        self._interceptors = tuple(interceptors)
        self._generic: list[grpc.GenericRpcHandler] = []
        self._registered: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._context: Context | None = None
        self._calls: dict[asyncio.Task[None], ServerCall] = {}
        self._stopped: asyncio.Event = asyncio.Event()
        self._hurry: asyncio.TimerHandle | None = None
        self._connections: dict[int, Connection] = {}
        self._silent: dict[int, list[ServerCall]] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[Any]) -> None:
        """What generated code registers servicers with."""
        self._generic.extend(generic_rpc_handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        """The same handlers by name."""
        self._registered.update({f"/{service_name}/{name}": each for name, each in method_handlers.items()})

    def add_insecure_port(self, address: str) -> int:
        """Take an address; gives the port."""
        return self._exchange.bind(self, address)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """Refused."""
        raise NotImplementedError(f"{address}: the simulated server has no TLS ({type(server_credentials).__name__})")

    async def start(self) -> None:
        """Take calls."""
        self._context = copy_context()
        self.is_serving = True
        self._exchange.started()

    async def stop(self, grace: float | None) -> None:
        """Take no more calls; give running ones this long, then cancel them. A later call may only shorten it."""
        self.is_serving = False
        self._exchange.release(self)
        loop = asyncio.get_running_loop()
        if self._calls and grace:
            timer = loop.call_later(grace, self._cut_off)
            if self._hurry is None or timer.when() < self._hurry.when():
                if self._hurry is not None:
                    self._hurry.cancel()
                self._hurry = timer
            else:
                timer.cancel()
        else:
            self._cut_off()
        while self._calls:
            await asyncio.wait(tuple(self._calls))
        if self._hurry is not None:
            self._hurry.cancel()
        self.heal()
        self._stopped.set()

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        """True where it has not stopped in time."""
        try:
            async with asyncio.timeout(timeout):
                await self._stopped.wait()
        except TimeoutError:
            return True
        return False

    def accept(self, request: Request, client: "ClientCall", way: Way) -> ServerCall:
        """A call has arrived. Its handler runs in a task and a context of its own: only the lane is the caller's."""
        assert self._context is not None  # noqa: S101 - only a started server is found
        call = ServerCall(request, client, way)
        held = self._silent.get(request.connection.number)
        if held is not None:  # nobody reads it
            call.fall_silent()
            held.append(call)
            return call
        self._connections[request.connection.number] = request.connection
        context = self._context.copy()
        context.run(LANE.set, request.lane)
        call.task = asyncio.get_running_loop().create_task(
            call.run(self._find), name=f"grpc {request.lane}", context=context
        )
        self._calls[call.task] = call
        call.task.add_done_callback(self._done, context=context)
        return call

    def disconnect(self, peer: str, how: str) -> int:
        """Cut a caller off; gives how many connections were cut.

        Args:
            peer: as handlers see it; all callers of a Unix socket have the same.
            how: fin or rst (the calls end with UNAVAILABLE), or blackhole (nothing passes, and nobody is told, until
                `heal`).
        """
        cut = [each.number for each in self._connections.values() if each.peer == peer]
        for number in cut:
            del self._connections[number]
            calls = [call for call in self._calls.values() if call.request.connection.number == number]
            if how == "blackhole":
                self._silent[number] = calls
            for call in calls:
                if how == "blackhole":
                    call.fall_silent()
                else:
                    call.disconnected(_RESET if how == "rst" else _CLOSED)
        return len(cut)

    def disconnect_all(self) -> int:
        """Cut all callers off; gives how many connections were cut."""
        self.heal()
        peers = dict.fromkeys(each.peer for each in self._connections.values())
        return sum(self.disconnect(peer, "fin") for peer in peers)

    def heal(self) -> None:
        """Callers that were kept in silence are cut off: what they sent meanwhile is lost."""
        silent, self._silent = self._silent, {}
        for calls in silent.values():
            for call in calls:
                call.disconnected(_CLOSED)

    def _done(self, task: "asyncio.Task[None]") -> None:
        del self._calls[task]

    def _cut_off(self) -> None:
        for call in tuple(self._calls.values()):
            call.cut_off(Status(grpc.StatusCode.UNAVAILABLE, "Cancelling all calls"))

    async def _find(self, details: CallDetails) -> Any:
        return await self._intercepted(self._interceptors, details)

    async def _intercepted(self, interceptors: tuple[Any, ...], details: Any) -> Any:
        if interceptors:
            going_on = functools.partial(self._intercepted, interceptors[1:])
            return await interceptors[0].intercept_service(going_on, details)
        found = self._registered.get(details.method)
        if found is not None:
            return found
        for generic in self._generic:
            handler = generic.service(details)
            if handler is not None:
                return handler
        return None
