"""Which metadata goes through a proxy. Pure.

Everything does, in both directions, binary and repeated keys too, except what belongs to one connection: the headers of
HTTP/2 itself, and the keys that gRPC reserves and sets anew on each connection (grpc.io, "gRPC over HTTP2").
"""

from collections.abc import Collection, Iterable
from typing import Any, Final, TypeAlias

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

_OF_ONE_CONNECTION: Final = frozenset({
    "connection", "content-length", "content-type", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
})  # fmt: skip
_RESERVED: Final = "grpc-"
# These begin like reserved ones and speak of the call, not of the connection.
_OF_THE_CALL: Final = frozenset(
    {"grpc-status-details-bin", "grpc-previous-rpc-attempts", "grpc-retry-pushback-ms", "grpc-tags-bin",
     "grpc-trace-bin"}
)  # fmt: skip


def forwarded(metadata: Iterable[Any] | None, without: Collection[str] = ()) -> Metadata:
    """The pairs that go on, in their order.

    Args:
        metadata: pairs of key and value, as gRPC gives them.
        without: further keys that stay here.
    """
    return tuple((key, value) for key, value in metadata or () if key not in without and _goes_on(key))


def _goes_on(key: str) -> bool:
    if key.startswith((":", _RESERVED)):
        return key in _OF_THE_CALL
    return key not in _OF_ONE_CONNECTION
