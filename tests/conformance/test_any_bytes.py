"""Any bytes at all, in every RPC: a clear gRPC error or OK, never UNKNOWN or INTERNAL, and the server lives on.

`pytest tests/conformance/test_any_bytes.py --hypothesis-profile=thorough` searches 30 times as long.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc import StatusCode
from hypothesis import given, settings
from hypothesis import strategies as st

from csisim.pb import csi_pb2 as csi
from tests.support.messages import Sandbox, malformed, unknown_fields
from tests.support.orchestrator import GIB, capability, create_request, expand_request, from_snapshot, node_requests
from tests.support.processes import NODE_ID
from tests.support.proxied import plugin
from tests.support.rpc import METHODS, Client, Method

CLEAR = {
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.ALREADY_EXISTS,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.OUT_OF_RANGE,
    StatusCode.ABORTED,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.PERMISSION_DENIED,
    StatusCode.UNAUTHENTICATED,
}
PROTOCOLS = ("nfs", "iscsi", "nvmeof")
EXAMPLES = max(10, settings().max_examples // 5)
EVERY_RPC = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@dataclass(frozen=True)
class Target:
    """A server with something in it to hit."""

    call: Client
    sandbox: Sandbox
    root: Path

    def send(self, method: Method, payload: bytes) -> StatusCode:
        try:
            self.call.raw(method, payload, timeout_s=15)
        except grpc.RpcError as error:
            code: StatusCode = error.code()
            said = error.details()
        else:
            return StatusCode.OK
        assert code in CLEAR, f"{method.name} {payload!r}: {code} {said}"
        return code


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    base = tmp_path_factory.mktemp("any")
    deep = base / "1" / "2" / "3" / "4"
    root = deep / "root"
    root.mkdir(parents=True)
    server = plugin(deep, "--state-dir", str(deep / "state"), "--enable", "volume-health", endpoint=base / "csi.sock")
    server.start()
    call = Client(base / "csi.sock")
    known, _ = _populate(call, root, "known")
    yield Target(call, Sandbox(str(root), known, str(base)), root)
    call.close()
    server.stop()


def _populate(call: Client, root: Path, prefix: str) -> tuple[tuple[str, ...], list[Message]]:
    """One volume per protocol, published, with a snapshot, and a group of them.

    Answers ids, names and paths that are worth guessing, and requests that were answered OK or would be.
    """
    known, valid = [NODE_ID, str(root)], list[Any]()
    for protocol in PROTOCOLS:
        create = create_request(f"{prefix}-{protocol}", protocol)
        volume = call(create).volume
        staging, published = str(root / f"{prefix}-stage-{protocol}"), str(root / f"{prefix}-target-{protocol}")
        Path(staging).mkdir()
        attach = csi.ControllerPublishVolumeRequest(
            volume_id=volume.volume_id, node_id=NODE_ID, volume_capability=capability(protocol)
        )
        on_node = node_requests(volume, protocol, call(attach).publish_context, staging, published)
        for request in on_node:
            call(request)
        cut = csi.CreateSnapshotRequest(name=f"{prefix}-snap-{protocol}", source_volume_id=volume.volume_id)
        snapshot_id = call(cut).snapshot.snapshot_id
        known += [
            f"{prefix}-{protocol}",
            f"{prefix}-snap-{protocol}",
            volume.volume_id,
            snapshot_id,
            staging,
            published,
        ]
        valid += [create, attach, cut, *on_node, *_about(volume, snapshot_id, protocol, staging, published)]
    grouped = csi.CreateVolumeGroupSnapshotRequest(name=f"{prefix}-group", source_volume_ids=known[4:5])
    group = call(grouped).group_snapshot
    ids = {"group_snapshot_id": group.group_snapshot_id, "snapshot_ids": [group.snapshots[0].snapshot_id]}
    valid += [grouped, csi.GetVolumeGroupSnapshotRequest(**ids), csi.DeleteVolumeGroupSnapshotRequest(**ids)]
    return (*known, group.group_snapshot_id, f"{prefix}-group"), valid


def _about(volume: Any, snapshot_id: str, protocol: str, staging: str, published: str) -> list[Any]:
    """Requests about what is there."""
    volume_id = volume.volume_id
    on_node = {"volume_id": volume_id, "volume_path": published, "staging_target_path": staging}
    return [
        create_request(f"restored-{protocol}", protocol, source=from_snapshot(snapshot_id)),
        csi.ControllerUnpublishVolumeRequest(volume_id=volume_id, node_id=NODE_ID),
        csi.ValidateVolumeCapabilitiesRequest(volume_id=volume_id, volume_capabilities=[capability(protocol)]),
        csi.ControllerGetVolumeRequest(volume_id=volume_id),
        csi.ControllerGetVolumeHealthRequest(volume_id=volume_id),
        csi.ControllerModifyVolumeRequest(volume_id=volume_id, mutable_parameters={"sync": "always"}),
        csi.GetCapacityRequest(volume_capabilities=[capability(protocol)], parameters={"protocol": protocol}),
        expand_request(volume_id, 2 * GIB),
        csi.ListSnapshotsRequest(source_volume_id=volume_id, max_entries=1),
        csi.GetSnapshotRequest(snapshot_id=snapshot_id),
        csi.GetMetadataAllocatedRequest(snapshot_id=snapshot_id),
        csi.GetMetadataDeltaRequest(base_snapshot_id=snapshot_id, target_snapshot_id=snapshot_id),
        csi.NodeGetVolumeStatsRequest(**on_node),
        csi.NodeExpandVolumeRequest(capacity_range=csi.CapacityRange(required_bytes=GIB), **on_node),
        csi.NodeGetVolumeHealthRequest(volume_id=volume_id, volume_publish_path=published, staging_target_path=staging),
        csi.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=published),
        csi.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=staging),
        csi.DeleteSnapshotRequest(snapshot_id=snapshot_id),
        csi.DeleteVolumeRequest(volume_id=volume_id),
    ]


@EVERY_RPC
def test_any_fields_get_a_clear_answer(target: Target, method: Method) -> None:
    @settings(max_examples=EXAMPLES)
    @given(message=target.sandbox.messages(method.request.DESCRIPTOR), extra=unknown_fields())
    def attempt(message: Message, extra: bytes) -> None:
        target.send(method, message.SerializeToString() + extra)

    attempt()
    assert target.call(csi.GetPluginInfoRequest()).name
    target.call(csi.ProbeRequest())


@EVERY_RPC
def test_one_changed_field_gets_a_clear_answer(target: Target, method: Method) -> None:
    """On volumes of its own, so that what an earlier RPC has destroyed does not make this one's work shallow."""
    if method.request.DESCRIPTOR.fields:
        known, requests = _populate(target.call, target.root, method.name.lower())
    else:  # what asks about nothing needs nothing
        known, requests = target.sandbox.known, []
    valid = [request for request in requests if isinstance(request, method.request)] or [method.request()]
    sandbox = replace(target.sandbox, known=known)

    @settings(max_examples=EXAMPLES)
    @given(message=st.sampled_from(valid).flatmap(sandbox.near))
    def attempt(message: Message) -> None:
        target.send(method, message.SerializeToString())

    attempt()
    target.call(csi.ProbeRequest())


@EVERY_RPC
def test_malformed_messages_get_a_clear_answer(target: Target, method: Method) -> None:
    messages = target.sandbox.messages(method.request.DESCRIPTOR)

    @settings(max_examples=EXAMPLES // 2)  # in every RPC the same code refuses them
    @given(payload=messages.flatmap(lambda message: malformed(message.SerializeToString())))
    def attempt(payload: bytes) -> None:
        target.send(method, payload)

    attempt()
    assert target.send(method, b"\xff\xff\xff") is StatusCode.INVALID_ARGUMENT
    target.call(csi.ProbeRequest())


@EVERY_RPC
def test_unknown_fields_are_ignored(target: Target, method: Method) -> None:
    assert target.send(method, b"\xc2\x3e\x03abc") is target.send(method, b"")


def test_more_than_grpc_carries_is_refused_and_the_server_lives(target: Target) -> None:
    request = csi.CreateVolumeRequest(name="n" * (5 << 20))
    assert target.send(METHODS["CreateVolume"], request.SerializeToString()) is StatusCode.RESOURCE_EXHAUSTED
    target.call(csi.ProbeRequest())


@settings(max_examples=EXAMPLES)
@given(name=st.text(min_size=1, max_size=40).filter(lambda name: name.isprintable()))
def test_printable_names_are_accepted_and_kept_apart(target: Target, name: str) -> None:
    name = f"printable {name}"
    first = target.call(create_request(name)).volume.volume_id
    other = target.call(create_request(name + "x")).volume.volume_id
    assert first != other
    assert target.call(create_request(name)).volume.volume_id == first
    for volume_id in (first, other):
        target.call(csi.DeleteVolumeRequest(volume_id=volume_id))


def test_the_sandbox_lets_no_path_out(target: Target) -> None:
    outside = replace(target.sandbox, known=("/etc/passwd", "../" * 9 + "etc/passwd"))

    @settings(max_examples=100)
    @given(text=outside.strings())
    def attempt(text: str) -> None:
        assert text.count("..") <= 3
        assert not text.startswith("/") or text.startswith(str(target.root))

    attempt()
