"""Logging of a running process: structlog to one stream, as klog-like text or as one JSON object per line.

    I1121 12:00:00.000000 4711 server.py:88] "Serving" endpoint="unix:///csi/csi.sock"

Verbosity follows the habit of this field: 0 to 2 what an operator needs, 3 and 4 every call and reconnect, 5 and above
also the `gRPCCall: {...}` line with request and response that existing test tools parse.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

Format = Literal["text", "json"]
GRPC_CALL = "gRPCCall"
PAYLOAD_VERBOSITY = 5
_DEBUG_VERBOSITY = 3
_STRIPPED = "***stripped***"
# Values under these names are secret wherever they turn up: the second line of defence behind csi_secret.
_SECRET_NAMES = frozenset({"api_key", "apikey", "password", "passwd", "secret", "secrets", "peersecret", "chap_secret"})
_LETTERS = {"debug": "I", "info": "I", "warning": "W", "error": "E", "exception": "E", "critical": "F"}
_OWN = ("event", "level", "timestamp", "filename", "lineno", "exception", "_record", "_from_structlog")


def now() -> datetime:
    """Wall time for log lines; the only place that reads it, replaced by tests."""
    return datetime.now(UTC)


def silence() -> None:
    """Keep all logging of this process to itself: where faults are the purpose, it would tell of each."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)


def configure(
    log_format: Format = "text",
    *,
    verbosity: int = 0,
    quiet: bool = False,
    stream: TextIO | None = None,
    clock: Callable[[], datetime] = now,
) -> None:
    """Send all logging of this process, the standard library's included, to `stream` (standard error by default).

    Args:
        log_format: text or json.
        verbosity: as described above.
        quiet: errors only.
        stream: where to.
        clock: wall time of the lines.
    """
    out = sys.stderr if stream is None else stream
    level = logging.ERROR if quiet else logging.DEBUG if verbosity >= _DEBUG_VERBOSITY else logging.INFO
    shared: list[Processor] = [
        _Verbosity(verbosity),
        structlog.stdlib.add_log_level,
        _Timestamp(clock),
        structlog.processors.format_exc_info,
        _redact,
    ]
    callsite = structlog.processors.CallsiteParameterAdder(
        {structlog.processors.CallsiteParameter.FILENAME, structlog.processors.CallsiteParameter.LINENO},
        additional_ignores=["csisim.logs"],
    )
    render: Processor = _render_text if log_format == "text" else _render_json
    structlog.configure(
        processors=[*shared, callsite, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[*shared, _callsite_of_record], processors=[render])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # What libraries say about every connection is of interest only to somebody who asks for everything.
    root.setLevel(max(level, logging.INFO if verbosity >= PAYLOAD_VERBOSITY else logging.WARNING))


class _Verbosity:
    """Drops the payload line below the verbosity that asks for it."""

    def __init__(self, verbosity: int) -> None:
        self._payloads = verbosity >= PAYLOAD_VERBOSITY

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        if event.get("event") == GRPC_CALL and not self._payloads:
            raise structlog.DropEvent
        return event


class _Timestamp:
    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        event["timestamp"] = self._clock()
        return event


def _callsite_of_record(_logger: Any, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    event["filename"], event["lineno"] = record.filename, record.lineno
    return event


def _redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for key in event:
        if key.lower() in _SECRET_NAMES:
            event[key] = _STRIPPED
    return event


def _render_text(_logger: Any, _method: str, event: EventDict) -> str:
    stamp: datetime = event["timestamp"]
    head = (
        f"{_LETTERS.get(event.get('level', ''), 'I')}{stamp:%m%d %H:%M:%S.%f} {os.getpid()} "
        f"{event.get('filename', '-')}:{event.get('lineno', 0)}]"
    )
    fields = _fields(event)
    if event["event"] == GRPC_CALL:
        return f"{head} {GRPC_CALL}: {_json(fields)}"
    line = " ".join([head, _json(str(event["event"])), *(f"{key}={_quoted(value)}" for key, value in fields.items())])
    trace = event.get("exception")
    return f"{line}\n{trace}" if trace else line


def _render_json(_logger: Any, _method: str, event: EventDict) -> str:
    stamp: datetime = event["timestamp"]
    record: dict[str, Any] = {
        "ts": stamp.isoformat(),
        "level": event.get("level", "info"),
        "caller": f"{event.get('filename', '-')}:{event.get('lineno', 0)}",
        "msg": str(event["event"]),
        **_fields(event),
    }
    if event.get("exception"):
        record["exception"] = event["exception"]
    return _json(record)


def _fields(event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in event.items() if key not in _OWN}


def _quoted(value: Any) -> str:
    """Numbers and booleans bare, everything else as a JSON string: one event stays one line whatever is in it."""
    if isinstance(value, bool | int | float) or value is None:
        return _json(value)
    return _json(value if isinstance(value, str) else str(value))


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=True)
