"""The machinery of csi-sanity: its names, default requests, repeated strict cleanup, and directories per spec."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from csisim.pb import csi_pb2 as csi
from tests.support.rpc import Client

GIB = 1 << 30
VOLUME_BYTES = 10 * GIB
EXPANDED_BYTES = 11 * GIB
MAX_NAME_BYTES = 128
FAKE_KEY = {"XXX_FakeKey": "XXX_FakeValue"}
MUTABLE = {"compression": "zstd"}

# One suffix per process: the same prefix in two specs is the same name, so a delete has to free it.
_SUFFIX = f"{secrets.token_hex(4).upper()}-{secrets.token_hex(4).upper()}"

Mode = csi.VolumeCapability.AccessMode


def unique(prefix: str) -> str:
    return f"{prefix}-{_SUFFIX}"


def longest(prefix: str) -> str:
    """A name of exactly 128 bytes."""
    return unique(prefix).ljust(MAX_NAME_BYTES, "a")


@dataclass(frozen=True)
class _Volume:
    volume_id: str
    node_id: str = ""


@dataclass
class Sanity:
    """What one spec works with.

    Attributes:
        call: the one connection of the whole run.
        access_type: mount or block.
        mount_dir: parent of the target path; made before the spec, and empty again after it.
        staging_dir: the staging target path itself.
        registered: what the cleanup takes down, last first.
    """

    call: Client
    access_type: str
    mount_dir: Path
    staging_dir: Path
    registered: list[_Volume | str] = field(default_factory=list)

    @property
    def target(self) -> str:
        return str(self.mount_dir / "target")

    @property
    def staging(self) -> str:
        return str(self.staging_dir)

    def capability(self, mode: Any = Mode.SINGLE_NODE_WRITER) -> csi.VolumeCapability:
        capability = csi.VolumeCapability(access_mode=Mode(mode=mode))
        getattr(capability, self.access_type).SetInParent()
        return capability

    def volume_request(self, name: str, **fields: Any) -> csi.CreateVolumeRequest:
        request = csi.CreateVolumeRequest(
            name=name,
            volume_capabilities=[self.capability()],
            capacity_range=csi.CapacityRange(required_bytes=VOLUME_BYTES),
        )
        request.MergeFrom(csi.CreateVolumeRequest(**fields))
        return request

    def create(self, request: csi.CreateVolumeRequest) -> Any:
        """Must succeed; registered for cleanup once per call."""
        volume = self.call(request).volume
        assert volume.volume_id
        self.registered.append(_Volume(volume.volume_id))
        return volume

    def new_volume(self, prefix: str, **fields: Any) -> Any:
        return self.create(self.volume_request(unique(prefix), **fields))

    def snapshot(self, source_volume_id: str, name: str) -> Any:
        """Must succeed and answer everything a snapshot has."""
        request = csi.CreateSnapshotRequest(source_volume_id=source_volume_id, name=name)
        snapshot = self.call(request).snapshot
        check_snapshot(snapshot)
        self.registered.append(str(snapshot.snapshot_id))
        return snapshot

    def node(self) -> Any:
        info = self.call(csi.NodeGetInfoRequest())
        assert info.node_id
        return info

    def in_node_topology(self, info: Any) -> csi.TopologyRequirement | None:
        if not info.HasField("accessible_topology"):
            return None
        return csi.TopologyRequirement(requisite=[info.accessible_topology])

    def attach(self, volume: Any, node_id: str, mode: Any = Mode.SINGLE_NODE_WRITER) -> Any:
        """ControllerPublishVolume must succeed; registers the volume again, with its node. Answers publish_context."""
        response = self.call(self.attach_request(volume, node_id, mode))
        self.registered.append(_Volume(volume.volume_id, node_id))
        return response.publish_context

    def attach_request(
        self, volume: Any, node_id: str, mode: Any = Mode.SINGLE_NODE_WRITER, *, readonly: bool = False
    ) -> csi.ControllerPublishVolumeRequest:
        return csi.ControllerPublishVolumeRequest(
            volume_id=volume.volume_id,
            node_id=node_id,
            volume_capability=self.capability(mode),
            readonly=readonly,
            volume_context=volume.volume_context,
        )

    def stage_request(self, volume: Any, publish_context: Any, mode: Any = Mode.SINGLE_NODE_WRITER) -> Any:
        return csi.NodeStageVolumeRequest(
            volume_id=volume.volume_id,
            publish_context=publish_context,
            staging_target_path=self.staging,
            volume_capability=self.capability(mode),
            volume_context=volume.volume_context,
        )

    def publish_request(
        self, volume: Any, publish_context: Any, target: str = "", mode: Any = Mode.SINGLE_NODE_WRITER
    ) -> csi.NodePublishVolumeRequest:
        return csi.NodePublishVolumeRequest(
            volume_id=volume.volume_id,
            publish_context=publish_context,
            staging_target_path=self.staging,
            target_path=target or self.target,
            volume_capability=self.capability(mode),
            volume_context=volume.volume_context,
        )

    def to_the_node(self, volume: Any) -> str:
        """Attach, stage and publish at the target path; answers that path."""
        publish_context = self.attach(volume, self.node().node_id)
        self.call(self.stage_request(volume, publish_context))
        self.call(self.publish_request(volume, publish_context))
        return self.target

    def volume_ids(self) -> list[str]:
        return [entry.volume.volume_id for entry in self.call(csi.ListVolumesRequest()).entries]

    def snapshots(self, **fields: Any) -> list[Any]:
        entries = [entry.snapshot for entry in self.call(csi.ListSnapshotsRequest(**fields)).entries]
        for snapshot in entries:
            check_snapshot(snapshot)
        return entries

    def delete_snapshot(self, snapshot_id: str) -> None:
        self.call(csi.DeleteSnapshotRequest(snapshot_id=snapshot_id))
        self.registered.remove(snapshot_id)

    def delete_volume(self, volume_id: str) -> None:
        self.call(csi.DeleteVolumeRequest(volume_id=volume_id))
        self.registered.remove(_Volume(volume_id))

    def cleanup(self) -> None:
        """Last first, every registration in full; errors are collected so that one does not hide the others."""
        failures: list[str] = []
        while self.registered:
            entry = self.registered.pop()
            requests = [csi.DeleteSnapshotRequest(snapshot_id=entry)] if isinstance(entry, str) else self._down(entry)
            for request in requests:
                try:
                    self.call(request)
                except grpc.RpcError as error:
                    failure: Any = error
                    tolerated = isinstance(request, csi.NodeUnpublishVolumeRequest | csi.NodeUnstageVolumeRequest)
                    if not (tolerated and failure.code() is grpc.StatusCode.NOT_FOUND):
                        failures.append(f"{type(request).__name__}: {failure.code()} {failure.details()}")
        assert not failures, failures

    def _down(self, volume: _Volume) -> Iterable[Message]:
        yield csi.NodeUnpublishVolumeRequest(volume_id=volume.volume_id, target_path=self.target)
        yield csi.NodeUnstageVolumeRequest(volume_id=volume.volume_id, staging_target_path=self.staging)
        if volume.node_id:
            yield csi.ControllerUnpublishVolumeRequest(volume_id=volume.volume_id, node_id=volume.node_id)
        yield csi.DeleteVolumeRequest(volume_id=volume.volume_id)


def check_snapshot(snapshot: Any) -> None:
    assert snapshot.snapshot_id
    assert snapshot.source_volume_id
    assert snapshot.HasField("creation_time")
    assert snapshot.creation_time.seconds > 0
