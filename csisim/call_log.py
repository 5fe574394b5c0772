"""Calls in the log: one line each, and on request the `gRPCCall` record that existing test tools parse."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from google.protobuf.message import Message
from grpc import StatusCode

from csisim.raw import RawMessage, decoded
from csisim.secrets import grpc_call

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServedCall:
    """One finished call; of each that is served there is exactly one.

    Attributes:
        method: full name, `/csi.v1.Controller/CreateVolume`.
        request: what came in, secrets included: strip it before it goes anywhere; empty where it was malformed.
        response: what went out; None for a failed call or a stream.
        code: the status; CANCELLED also where the caller's time ran out before there was an answer.
        message: the status message of a failed call.
        duration_s: loop time from first to last byte, seconds.
    """

    method: str
    request: Message
    response: Message | RawMessage | None
    code: StatusCode
    message: str
    duration_s: float


Observer = Callable[[ServedCall], None]


class CallLog:
    """An observer. `payloads`: also log requests and responses, secrets stripped."""

    def __init__(self, *, payloads: bool = False) -> None:
        self._payloads = payloads

    def __call__(self, call: ServedCall) -> None:
        """Log one finished call."""
        milliseconds = round(call.duration_s * 1000, 3)
        if call.code is StatusCode.OK:
            log.debug("GRPC call", method=call.method, ms=milliseconds)
        else:
            log.info("GRPC error", method=call.method, code=call.code.name, error=call.message, ms=milliseconds)
        if self._payloads:
            response = None if call.response is None else decoded(call.response)
            log.info("gRPCCall", **grpc_call(call.method, call.request, response, call.code, call.message))
