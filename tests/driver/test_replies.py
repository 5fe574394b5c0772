"""Records as messages."""

from csisim.driver.groups import Group
from csisim.driver.parameters import Protocol
from csisim.driver.records import Volume
from csisim.driver.replies import group_message, snapshot_message, topology, volume_message
from csisim.driver.snapshots import SnapshotRecord
from csisim.driver.volume_id import SnapshotId
from csisim.truenas.storage import Dataset
from tests.support.rig import CONFIG

DATASET = Dataset("tank/csi/v", False, 7, 0, 0, 0, "", {}, {})


def volume(source):
    return Volume(DATASET, "v", Protocol.NFS, "nfs thin", 7, source, ())


def test_a_volume_carries_its_context_size_and_topology():
    message = volume_message(volume(""), {"protocol": "nfs"}, CONFIG)

    assert (message.volume_id, message.capacity_bytes, dict(message.volume_context)) == ("v", 7, {"protocol": "nfs"})
    assert list(message.accessible_topology) == [topology(CONFIG)]
    assert not message.HasField("content_source")


def test_the_source_of_a_volume_is_told_by_its_kind():
    restored = volume_message(volume("snapshot a@b"), {}, CONFIG).content_source
    cloned = volume_message(volume("volume a"), {}, CONFIG).content_source

    assert restored.snapshot.snapshot_id == "a@b"
    assert cloned.volume.volume_id == "a"


def test_a_snapshot_has_a_time_with_its_fraction():
    message = snapshot_message(SnapshotRecord(SnapshotId("v", "s"), 5, 1700000000.25, "g"))

    assert (message.creation_time.seconds, message.creation_time.nanos) == (1700000000, 250_000_000)
    assert (message.snapshot_id, message.source_volume_id, message.group_snapshot_id) == ("v@s", "v", "g")
    assert message.ready_to_use


def test_a_group_lists_its_members_by_volume():
    message = group_message(Group("g", "", 5.0, 1, {"b": 2, "a": 1}))

    assert [(each.snapshot_id, each.size_bytes) for each in message.snapshots] == [("a@g_g", 1), ("b@g_g", 2)]
