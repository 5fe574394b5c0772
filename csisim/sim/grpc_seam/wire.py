"""What travels between a call's two ends, and the rules for it that both keep."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import grpc

MAX_MESSAGE_BYTES = 4 << 20
UNREAD_BYTES = 64 << 10
LOCALLY_CANCELLED = "Locally cancelled by application!"
DEADLINE_EXCEEDED = "Deadline Exceeded"

_KEY = re.compile(r"[0-9a-z_.-]+\Z")


class Metadatum(NamedTuple):
    """One of them."""

    key: str
    value: str | bytes


RawMetadata: TypeAlias = tuple[Metadatum, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ended."""

    code: grpc.StatusCode
    details: str = ""
    trailing: RawMetadata = ()


def raw_metadata(metadata: Iterable[Any] | None) -> RawMetadata:
    """Metadata as it is sent.

    Raises:
        grpc.aio.InternalError: a key is not of lower-case letters, digits and `_.-`.
        TypeError: a value is not what such a key carries: bytes where it ends in -bin, else text.
    """
    return tuple(_metadatum(str(key), value) for key, value in (metadata or ()))


def _metadatum(key: str, value: Any) -> Metadatum:
    if not _KEY.match(key):
        raise grpc.aio.InternalError(f"Metadata key {key!r} is invalid: Illegal header key")
    if key.endswith("-bin"):
        if not isinstance(value, bytes):
            raise TypeError(f'Binary metadata key="{key}" expected bytes, got {type(value)}')
        return Metadatum(key, value)
    if not isinstance(value, str | bytes):
        raise TypeError(f"Expected str, not {type(value)}")
    return Metadatum(key, value if isinstance(value, str) else value.decode())


def serialized(serialize: Callable[..., bytes], message: Any) -> bytes:
    """A message as bytes that are the same in every process: protobuf's maps have an order of their own in each."""
    try:
        return serialize(message, deterministic=True)
    except TypeError:  # not protobuf's serializer, or not its message, which it says once more
        return serialize(message)


def too_large(side: str, size_bytes: int) -> Status | None:
    """The status of a call with a message that the receiving side refuses; None where it takes it."""
    if size_bytes <= MAX_MESSAGE_BYTES:
        return None
    return Status(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"{side}: Received message larger than max ({size_bytes} vs. {MAX_MESSAGE_BYTES})",
    )
