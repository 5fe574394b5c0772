"""The driver behind the proxy: calls with the bytes of others, and how they end."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio

from csisim.endpoint import Endpoint
from csisim.proxy.metadata import Metadata, forwarded

_UNLIMITED: Final = -1
_RECONNECT_MS: Final = 100
_METADATA_BYTES: Final = 1 << 20

MESSAGE_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _UNLIMITED),
    ("grpc.max_send_message_length", _UNLIMITED),
    ("grpc.max_metadata_size", _METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * _METADATA_BYTES),
)
"""For both sides of the proxy: limits are for the two that talk through it to set."""

_CHANNEL_OPTIONS: Final = (
    *MESSAGE_OPTIONS,
    # A call is made once or not at all: repeats are for the caller to make.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS),
    ("grpc.min_reconnect_backoff_ms", _RECONNECT_MS),
    ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS),
)
# gRPC rounds the time up to a whole unit when it sends it. What was one when it came must not become one more.
_ROUNDING_S: Final = 0.001
_NOT_CONNECTED: Final = "failed to connect to all addresses"


class UpstreamError(Exception):
    """The driver's answer was an error, or there was no answer; the effect is as the code says.

    Attributes:
        code: gRPC status.
        message: its message.
        initial, trailing: metadata that came with it.
    """

    def __init__(self, code: grpc.StatusCode, message: str, initial: Metadata = (), trailing: Metadata = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.initial = initial
        self.trailing = trailing


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a call that succeeded."""

    data: bytes
    initial: Metadata
    trailing: Metadata


@dataclass(slots=True)
class Stream:
    """A running call with any number of messages in both directions.

    Attributes:
        trailing: metadata that came at the end; known after the last message.
    """

    call: Any
    target: str
    trailing: Metadata = ()

    async def initial(self) -> Metadata | None:
        """Metadata that came before the first message; None where the driver sent no more than a status."""
        found = forwarded(await self.call.initial_metadata())
        return None if not found and self.call.done() else found

    async def parts(self) -> AsyncGenerator[bytes]:
        """The messages, each asked for when the one before was taken.

        Raises:
            UpstreamError: the stream ended with an error.
        """
        try:
            async for part in self.call:
                yield part
        except grpc.aio.AioRpcError as error:
            raise _error(error, self.target) from None
        except grpc.aio.BaseError:  # the driver ended the call before the request was out
            raise await self._ended() from None
        self.trailing = forwarded(await self.call.trailing_metadata())

    async def _ended(self) -> UpstreamError:
        initial, trailing = await self.call.initial_metadata(), await self.call.trailing_metadata()
        code, message = await self.call.code(), await self.call.details()
        return UpstreamError(code, message or "", forwarded(initial), forwarded(trailing))

    async def send(self, requests: AsyncIterator[bytes]) -> None:
        """Pass requests on until there are no more, or until the driver takes no more: its status says why."""
        try:
            await self.call.wait_for_connection()
            async for request in requests:
                # Not `write`: where the driver has ended the call meanwhile, that puts INTERNAL in its status's place.
                await self.call._cython_call.send_serialized_message(request)  # noqa: SLF001
            await self.call.done_writing()
        except (grpc.aio.BaseError, asyncio.InvalidStateError, grpc.RpcError):
            return


class Upstream:
    """One connection to a driver, made when it is needed and made anew when it broke.

    Args:
        endpoint: where the driver listens.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._channel = grpc.aio.insecure_channel(endpoint.target, options=_CHANNEL_OPTIONS)
        self._unary: dict[str, Any] = {}

    async def unary(self, path: str, request: bytes, metadata: Metadata, timeout_s: float | None) -> Answer:
        """One call of a method of CSI.

        Args:
            path: of the method.
            request: bytes of the message.
            metadata: to go along.
            timeout_s: what is left of the caller's time.

        Raises:
            UpstreamError: see there.
        """
        begin: Any = self._unary.get(path)
        if begin is None:
            begin = self._unary[path] = self._channel.unary_unary(path)
        call = begin(request, timeout=_left(timeout_s), metadata=metadata)
        try:
            data = await call
        except grpc.aio.AioRpcError as error:
            raise _error(error, str(self.endpoint)) from None
        return Answer(data, forwarded(await call.initial_metadata()), forwarded(await call.trailing_metadata()))

    @asynccontextmanager
    async def stream(
        self, path: str, metadata: Metadata, timeout_s: float | None, request: bytes | None = None
    ) -> AsyncIterator[Stream]:
        """A call that is cancelled if it still runs at the end of the block.

        Args:
            path: of the method.
            metadata: to go along.
            timeout_s: what is left of the caller's time.
            request: the only one; None where `Stream.send` sends them.
        """
        begin: Any = (self._channel.stream_stream if request is None else self._channel.unary_stream)(path)
        given = () if request is None else (request,)
        call = begin(*given, timeout=_left(timeout_s), metadata=metadata)
        try:
            yield Stream(call, str(self.endpoint))
        finally:
            call.cancel()

    async def close(self) -> None:
        """Hang up; running calls are cancelled."""
        await self._channel.close()


def _left(timeout_s: float | None) -> float | None:
    return None if timeout_s is None else max(0.0, timeout_s - _ROUNDING_S)


def _error(error: grpc.aio.AioRpcError, target: str) -> UpstreamError:
    message = error.details() or ""
    if error.code() is grpc.StatusCode.UNAVAILABLE and message.startswith(_NOT_CONNECTED):
        message = f"csisim proxy: nothing was called, {target} cannot be reached: {message.rpartition('error: ')[2]}"
    initial, trailing = forwarded(error.initial_metadata()), forwarded(error.trailing_metadata())
    return UpstreamError(error.code(), message, initial, trailing)
