"""Calls in the log, without secrets."""

import structlog
from grpc import StatusCode
from structlog.testing import capture_logs

from csisim.call_log import CallLog, ServedCall
from csisim.pb import csi_pb2 as pb

METHOD = "/csi.v1.Controller/CreateVolume"


def served(code=StatusCode.OK, message=""):
    request = pb.CreateVolumeRequest(name="v", secrets={"password": "hunter2"})
    return ServedCall(METHOD, request, pb.CreateVolumeResponse(), code, message, 0.0015)


def logged(call, **options):
    structlog.reset_defaults()
    with capture_logs() as lines:
        CallLog(**options)(call)
    return lines


def test_a_failed_call_is_logged_with_code_and_text():
    (line,) = logged(served(StatusCode.ABORTED, "busy"))

    assert (line["event"], line["code"], line["error"], line["ms"]) == ("GRPC error", "ABORTED", "busy", 1.5)


def test_payloads_are_logged_on_request_only_and_stripped():
    assert [line["event"] for line in logged(served())] == ["GRPC call"]
    _, line = logged(served(), payloads=True)

    assert line["event"] == "gRPCCall"
    assert line["Method"] == METHOD
    assert "hunter2" not in str(line)
