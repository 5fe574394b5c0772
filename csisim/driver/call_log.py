"""Calls in the log: one line each, and on request the `gRPCCall` record that existing test tools parse."""

import structlog
from grpc import StatusCode

from csisim.driver.secrets import grpc_call
from csisim.driver.server import ServedCall

log = structlog.get_logger(__name__)


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
            log.info("gRPCCall", **grpc_call(call.method, call.request, call.response, call.code, call.message))
