"""No secret reaches the log: a canary goes into every field that the descriptor marks as one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from csisim.pb import csi_pb2 as csi
from tests.support.orchestrator import GIB, create_request, node_requests
from tests.support.processes import API_KEY, NODE_ID, Server, free_port, nas, nas_flags
from tests.support.proxied import plugin
from tests.support.rpc import METHODS, Client, has_option

CANARY = "canary-7f3a"
SECRET_FIELDS = [
    (method, field.name)
    for method in METHODS.values()
    for field in method.request.DESCRIPTOR.fields
    if has_option(field, csi.csi_secret)
]


@pytest.fixture(params=["json", "text"])
def servers(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[list[Server]]:
    directory = tmp_path_factory.mktemp("secrets")
    port = free_port()
    backend = nas(directory, port).start()
    served = plugin(directory, *nas_flags(port), "--log-format", request.param, "-v", "5").start()
    yield [served, backend]
    for server in (served, backend):
        if server.process.poll() is None:
            server.stop()


def _with_canary(request: Any, field: str = "secrets") -> Any:
    getattr(request, field).update({"password": CANARY, f"key-{CANARY}": "x", "chap-secret": CANARY * 2})
    return request


def _whole_life(directory: Path, call: Client) -> Iterator[Any]:
    """Requests that succeed, so that secrets also travel as deep as they go."""
    volume = call(_with_canary(create_request("secret", "iscsi"))).volume
    attach = csi.ControllerPublishVolumeRequest(
        volume_id=volume.volume_id,
        node_id=NODE_ID,
        volume_capability=create_request("x", "iscsi").volume_capabilities[0],
    )
    context = call(_with_canary(attach)).publish_context
    staging, target = str(directory / "staging"), str(directory / "target")
    Path(staging).mkdir()
    for request in node_requests(volume, "iscsi", context, staging, target):
        yield _with_canary(request)
    yield _with_canary(
        csi.ControllerExpandVolumeRequest(
            volume_id=volume.volume_id, capacity_range=csi.CapacityRange(required_bytes=2 * GIB)
        )
    )
    yield _with_canary(csi.CreateSnapshotRequest(name="s", source_volume_id=volume.volume_id))
    yield _with_canary(csi.DeleteSnapshotRequest(snapshot_id=f"{volume.volume_id}@s"))
    yield csi.NodeUnpublishVolumeRequest(volume_id=volume.volume_id, target_path=target)
    yield csi.NodeUnstageVolumeRequest(volume_id=volume.volume_id, staging_target_path=staging)
    yield _with_canary(csi.ControllerUnpublishVolumeRequest(volume_id=volume.volume_id, node_id=NODE_ID))
    yield _with_canary(csi.DeleteVolumeRequest(volume_id=volume.volume_id))


def _send_everything(call: Client, directory: Path) -> list[str]:
    """Every RPC with a secret, failing and succeeding and malformed; answers the error texts."""
    for request in _whole_life(directory, call):
        call(request)
    said = []
    for method, field in SECRET_FIELDS:
        payload = _with_canary(method.request(), field).SerializeToString()
        for broken in (payload, payload + b"\xff\xff", payload.replace(b"password", b"pass\xff\xferd")):
            try:
                call.raw(method, broken)
            except grpc.RpcError as error:
                said.append(f"{error.code()} {error.details()}")
    return said


def test_the_descriptor_marks_secrets_of_many_rpcs() -> None:
    assert len(SECRET_FIELDS) == len({method.name for method, _ in SECRET_FIELDS}) == 22


def test_calls_are_logged_and_answered_without_secrets(servers: list[Server], tmp_path: Path) -> None:
    served, backend = servers
    call = Client(served.directory / "csi.sock")
    said = _send_everything(call, tmp_path)
    call.close()
    assert len(said) >= len(SECRET_FIELDS)
    served.stop()
    backend.stop()
    for text in (served.output, backend.output, *said):
        assert CANARY not in text
        assert API_KEY not in text
        assert API_KEY[2:] not in text
    assert "***stripped***" in served.output
    # A log that says nothing keeps no secret: every call is in it, in the form that tools parse.
    calls = [found for line in served.output.splitlines() if (found := _logged_call(line))]
    assert all({"Method", "Request", "Response", "Error", "FullError"} <= line.keys() for line in calls)
    assert {method.path for method, _ in SECRET_FIELDS} <= {line["Method"] for line in calls}


def _logged_call(line: str) -> dict[str, Any] | None:
    if "gRPCCall: {" in line:
        return dict(json.loads(line.partition("gRPCCall: ")[2]))
    if '"msg": "gRPCCall"' in line:
        return dict(json.loads(line))
    return None
