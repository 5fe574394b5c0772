import io
import json
import logging
import os
import re
from datetime import UTC, datetime

import pytest
import structlog

from csisim import logs

AT = datetime(2026, 11, 21, 12, 0, 0, 42, tzinfo=UTC)


@pytest.fixture
def configured():
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    out = io.StringIO()

    def configure(log_format="text", verbosity=0):
        logs.configure(log_format, verbosity=verbosity, stream=out, clock=lambda: AT)
        return out

    yield configure
    structlog.reset_defaults()
    root.handlers[:], root.level = before


def test_text_lines_look_like_klog_with_file_and_line(configured):
    out = configured()

    structlog.get_logger().info("Volume created", volume_id="pvc-1", size_bytes=5, ready=True)

    assert re.fullmatch(
        rf'I1121 12:00:00\.000042 {os.getpid()} test_logs\.py:\d+\] "Volume created" '
        r'volume_id="pvc-1" size_bytes=5 ready=true\n',
        out.getvalue(),
    )


@pytest.mark.parametrize(("method", "letter"), [("warning", "W"), ("error", "E"), ("critical", "F")])
def test_the_first_letter_is_the_severity(configured, method, letter):
    out = configured()

    getattr(structlog.get_logger(), method)("x")

    assert out.getvalue()[0] == letter


def test_json_lines_are_one_object_each(configured):
    out = configured("json")

    structlog.get_logger().warning("two\nlines", reason='a "quote"')

    (line,) = out.getvalue().splitlines()
    record = json.loads(line)
    assert record.pop("caller").startswith("test_logs.py:")
    assert record == {
        "ts": "2026-11-21T12:00:00.000042+00:00",
        "level": "warning",
        "msg": "two\nlines",
        "reason": 'a "quote"',
    }


def test_newlines_in_values_do_not_break_a_text_line(configured):
    out = configured()

    structlog.get_logger().info("x", name='a\nI1121 00:00:00.0 1 x.py:1] "forged"')

    assert len(out.getvalue().splitlines()) == 1


@pytest.mark.parametrize(("verbosity", "lines"), [(2, []), (3, ["call"]), (4, ["call"]), (5, ["call", "payload"])])
def test_verbosity_adds_calls_and_then_payloads(configured, verbosity, lines):
    out = configured(verbosity=verbosity)

    structlog.get_logger().debug("call")
    structlog.get_logger().debug(logs.GRPC_CALL, Method="payload")

    assert [name for name in ("call", "payload") if name in out.getvalue()] == lines


def test_the_grpc_call_line_carries_parseable_json_to_its_end(configured):
    out = configured(verbosity=5)

    structlog.get_logger().debug(logs.GRPC_CALL, Method="/csi.v1.Node/NodeGetInfo", Request={}, Error="")

    prefix, found, payload = out.getvalue().partition("gRPCCall:")
    assert found
    assert prefix.startswith("I1121")
    assert json.loads(payload) == {"Method": "/csi.v1.Node/NodeGetInfo", "Request": {}, "Error": ""}


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_values_under_secret_names_never_appear(configured, log_format):
    out = configured(log_format)

    structlog.get_logger().info("login", api_key="1-canary", Password="canary", secrets={"k": "canary"})

    assert "canary" not in out.getvalue()
    assert out.getvalue().count("***stripped***") == 3


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_library_warnings_and_tracebacks_come_in_the_same_shape(configured, log_format):
    out = configured(log_format)

    logging.getLogger("websockets.client").info("connection open")
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("asyncio").exception("Task %s failed", "t1")

    first = out.getvalue().splitlines()[0]
    assert "Task t1 failed" in first
    assert "test_logs.py:" in first
    assert "ValueError: boom" in out.getvalue()
    assert "connection open" not in out.getvalue()
