"""What is kept in user properties, and what is believed of them."""

from dataclasses import replace

import pytest

from csisim.driver.records import captured_size, group_members, how_published, snapshot_of, volume_of
from csisim.driver.requests import AccessType, Capability
from csisim.driver.volume_id import SnapshotId
from csisim.pb import csi_pb2 as pb
from csisim.truenas.storage import Dataset, Snapshot

MODE = pb.VolumeCapability.AccessMode
OURS = {"csisim:volume_name": "pvc-1", "csisim:protocol": "nfs", "csisim:capacity_bytes": "5"}
DATASET = Dataset("tank/csi/pvc-1", False, 7, 0, 0, 0, "", OURS, {})
SNAPSHOT = Snapshot("tank/csi/v@s", "tank/csi/v", "s", 1.0, 1, 9, (), False, False, {"csisim:snapshot_name": "s"})


def test_a_dataset_that_carries_the_name_of_its_id_is_a_volume():
    volume = volume_of(DATASET)

    assert (volume.id, volume.name, volume.capacity_bytes) == ("pvc-1", "pvc-1", 5)


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {**OURS, "csisim:volume_name": "pvc-2"},
        {**OURS, "csisim:volume_name": ""},
        {**OURS, "csisim:protocol": "smb"},
    ],
)
def test_any_other_dataset_is_not(properties):
    assert volume_of(replace(DATASET, user_properties=properties)) is None


@pytest.mark.parametrize("text", ["", "-5", "five", "\u0665"])
def test_a_capacity_that_is_no_number_falls_back_to_the_dataset(text):
    assert volume_of(replace(DATASET, user_properties={**OURS, "csisim:capacity_bytes": text})).capacity_bytes == 7


def test_a_snapshot_is_ours_while_it_lives_under_its_name():
    assert snapshot_of(SNAPSHOT) == SnapshotId("v", "s")
    assert snapshot_of(replace(SNAPSHOT, deferred=True)) is None
    assert snapshot_of(replace(SNAPSHOT, user_properties={})) is None
    assert snapshot_of(replace(SNAPSHOT, name="other")) is None


@pytest.mark.parametrize("text", ["", "[", "[]", "5", '{"v": "many"}'])
def test_a_member_list_that_cannot_be_read_names_nobody(text):
    assert group_members(replace(SNAPSHOT, user_properties={"csisim:group_members": text})) == {}


def test_sizes_come_from_the_property_or_the_zvol():
    assert captured_size(SNAPSHOT) == 9
    assert captured_size(replace(SNAPSHOT, user_properties={"csisim:capacity_bytes": "3"})) == 3


def test_every_part_of_a_publication_counts():
    base = Capability(AccessType.MOUNT, MODE.SINGLE_NODE_WRITER)
    others = [
        replace(base, fs_type="ext4"),
        replace(base, mode=MODE.SINGLE_NODE_MULTI_WRITER),
        replace(base, mount_flags=("noatime",)),
        replace(base, mount_group="1000"),
        Capability(AccessType.BLOCK, MODE.SINGLE_NODE_WRITER),
    ]
    digests = {how_published(each, readonly=False) for each in (base, *others)} | {how_published(base, readonly=True)}

    assert len(digests) == 7
