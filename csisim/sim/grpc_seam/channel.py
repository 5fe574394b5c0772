"""The client's side: a channel for generated stubs."""

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn, Self

import grpc

from csisim.sim.grpc_seam.client_call import ClientCall, SimUnaryStreamCall, SimUnaryUnaryCall
from csisim.sim.grpc_seam.exchange import Exchange


class SimChannel(grpc.aio.Channel):
    """As grpc.aio.insecure_channel(target). Every call looks for the server anew.

    Args:
        target: as servers are bound to.
        exchange: where they are bound.
    """

    def __init__(self, target: str, exchange: Exchange) -> None:
        self._target = target
        self._exchange = exchange
        self._connection = exchange.connection(target)
        self._calls: dict[ClientCall, None] = {}
        self._closed = False

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = None,
    ) -> Any:
        """A method that answers with one message."""
        return self._multi_callable(SimUnaryUnaryCall, method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = None,
    ) -> Any:
        """A method that answers with a stream."""
        return self._multi_callable(SimUnaryStreamCall, method, request_serializer, response_deserializer)

    def stream_unary(self, method: str, *_args: Any, **_named: Any) -> Any:
        """Refused when it is called: stubs name methods that nobody calls."""
        return _refusal(method)

    def stream_stream(self, method: str, *_args: Any, **_named: Any) -> Any:
        """Refused when it is called."""
        return _refusal(method)

    def _multi_callable(
        self,
        kind: type[ClientCall],
        method: str,
        serialize: Callable[[Any], bytes] | None,
        deserialize: Callable[[bytes], Any] | None,
    ) -> Callable[..., ClientCall]:
        def call(
            request: Any,
            *,
            timeout: float | None = None,
            metadata: Any = None,
            wait_for_ready: bool | None = None,
            **_options: Any,
        ) -> ClientCall:
            if self._closed:
                raise grpc.aio.UsageError("Channel is closed.")
            made = kind(
                self._exchange,
                self._target,
                method,
                request,
                serialize or bytes,
                deserialize or bytes,
                timeout_s=timeout,
                metadata=metadata,
                wait_for_ready=bool(wait_for_ready),
                connection=self._connection,
            )
            self._calls[made] = None
            made.add_done_callback(self._calls.pop)
            return made

        return call

    async def close(self, grace: float | None = None) -> None:
        """Give running calls this long, then cancel them."""
        self._closed = True
        running = [call for call in self._calls if not call.done()]
        if running and grace:
            await asyncio.wait([call.end() for call in running], timeout=grace)
        for call in running:
            call.cancel()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: ARG002 - grpc's
        """READY while a server is there."""
        if self._closed:
            return grpc.ChannelConnectivity.SHUTDOWN
        there = self._exchange.server(self._target) is not None
        return grpc.ChannelConnectivity.READY if there else grpc.ChannelConnectivity.IDLE

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the state is another one."""
        while self.get_state() is last_observed_state:
            await self._exchange.change()

    async def channel_ready(self) -> None:
        """Wait until a server is there."""
        while self.get_state() is not grpc.ChannelConnectivity.READY:
            await self._exchange.change()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


def _refusal(method: str) -> Callable[..., NoReturn]:
    def refused(*_args: Any, **_named: Any) -> NoReturn:
        raise NotImplementedError(f"{method} takes a stream of requests: the simulated channel has none")

    return refused
