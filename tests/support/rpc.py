"""CSI calls by the type of their request, over real sockets; built from the descriptors, so no RPC can be forgotten."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from csisim.pb import csi_pb2

CALL_TIMEOUT_S = 30.0
PENDING = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    }
)
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 300),
)


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC of the CSI specification."""

    name: str
    service: str
    path: str
    request: type[Message]
    response: type[Message]
    streaming: bool


def _methods() -> Iterator[Method]:
    for service in csi_pb2.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            yield Method(
                name=method.name,
                service=service.name,
                path=f"/{service.full_name}/{method.name}",
                request=GetMessageClass(method.input_type),
                response=GetMessageClass(method.output_type),
                streaming=bool(method.server_streaming),
            )


METHODS = {method.name: method for method in _methods()}
_BY_REQUEST = {method.request: method for method in METHODS.values()}


def method_of(request: Message) -> Method:
    return _BY_REQUEST[type(request)]


def has_option(field: Any, option: Any) -> bool:
    return bool(field.GetOptions().Extensions[option])


class Client:
    """A blocking gRPC client on one connection. `client(request)` answers the response, or raises grpc.RpcError."""

    def __init__(self, socket_path: Path) -> None:
        self.channel = grpc.insecure_channel(f"unix://{socket_path}", options=_OPTIONS)

    def __call__(self, request: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """A streaming RPC answers the list of its responses."""
        method = method_of(request)
        answer = self.raw(method, request.SerializeToString(), timeout_s)
        if method.streaming:
            return [method.response.FromString(part) for part in answer]
        return method.response.FromString(answer)

    def raw(self, method: Method, payload: bytes, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Send these very bytes; answers bytes, or for a streaming RPC a list of bytes."""
        begin: Any = (self.channel.unary_stream if method.streaming else self.channel.unary_unary)(method.path)
        answer = begin(payload, timeout=timeout_s)
        return list(answer) if method.streaming else answer

    def close(self) -> None:
        self.channel.close()


class AsyncClient:
    """The same on asyncio, for many calls at a time."""

    def __init__(self, socket_path: Path) -> None:
        self.channel = grpc.aio.insecure_channel(f"unix://{socket_path}", options=_OPTIONS)

    def begin(self, request: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Start a unary call: an awaitable that can also be cancelled."""
        method = method_of(request)
        multicallable: Any = self.channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return multicallable(request, timeout=timeout_s)

    async def __call__(self, request: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        return await self.begin(request, timeout_s)

    async def code(self, request: Any, timeout_s: float = CALL_TIMEOUT_S) -> grpc.StatusCode:
        """The status of the call, whatever it is."""
        code: grpc.StatusCode = await self.begin(request, timeout_s).code()
        return code

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()


@contextmanager
def refused(*codes: grpc.StatusCode) -> Iterator[None]:
    """The call inside must end with one of these codes, a message, and no status details."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    error: Any = caught.value
    assert error.code() in codes, f"{error.code()}: {error.details()}"
    assert error.details(), "an error must say what was wrong"
    trailing = dict(error.trailing_metadata() or ())
    assert "grpc-status-details-bin" not in trailing
