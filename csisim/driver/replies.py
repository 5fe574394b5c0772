"""The driver's records as protobuf messages; pure."""

from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from csisim.driver.config import DriverConfig
from csisim.driver.groups import Group
from csisim.driver.records import Volume
from csisim.driver.snapshots import SnapshotRecord
from csisim.driver.volume_id import parse_snapshot_id
from csisim.pb import csi_pb2 as pb

_NANOS = 1_000_000_000


def topology(config: DriverConfig) -> pb.Topology:
    """The one topology that this NAS and its nodes share."""
    return pb.Topology(segments={config.zone_key: config.zone})


def volume_message(volume: Volume, context: Mapping[str, str], config: DriverConfig) -> pb.Volume:
    """A volume with its context, source and topology."""
    return pb.Volume(
        volume_id=volume.id,
        capacity_bytes=volume.capacity_bytes,
        volume_context=dict(context),
        content_source=_source_message(volume.source),
        accessible_topology=[topology(config)],
    )


def _source_message(source: str) -> pb.VolumeContentSource | None:
    kind, _, source_id = source.partition(" ")
    if kind == "snapshot" and parse_snapshot_id(source_id):
        return pb.VolumeContentSource(snapshot=pb.VolumeContentSource.SnapshotSource(snapshot_id=source_id))
    if kind == "volume":
        return pb.VolumeContentSource(volume=pb.VolumeContentSource.VolumeSource(volume_id=source_id))
    return None


def snapshot_message(record: SnapshotRecord) -> pb.Snapshot:
    """A snapshot; ZFS snapshots are ready as soon as they exist."""
    return pb.Snapshot(
        snapshot_id=str(record.id),
        source_volume_id=record.id.volume,
        size_bytes=record.size_bytes,
        creation_time=_timestamp(record.created_s),
        ready_to_use=True,
        group_snapshot_id=record.group_id,
    )


def group_message(group: Group) -> pb.VolumeGroupSnapshot:
    """A group snapshot with its members."""
    return pb.VolumeGroupSnapshot(
        group_snapshot_id=group.id,
        snapshots=[snapshot_message(each) for each in group.members],
        creation_time=_timestamp(group.created_s),
        ready_to_use=True,
    )


def _timestamp(seconds: float) -> Timestamp:
    whole = int(seconds)
    return Timestamp(seconds=whole, nanos=int((seconds - whole) * _NANOS))
