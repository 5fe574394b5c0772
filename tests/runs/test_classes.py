"""The classes that scripts find."""

from csisim.co.objects import StorageClass, VolumeSnapshotClass
from csisim.runs.classes import classes


def test_there_is_one_for_each_protocol_and_the_first_is_the_default():
    storage = [each for each in classes("a.b", ("iscsi", "nfs")) if isinstance(each, StorageClass)]
    assert [(each.name, each.is_default, dict(each.parameters)) for each in storage] == [
        ("iscsi", True, {"protocol": "iscsi"}),
        ("nfs", False, {"protocol": "nfs"}),
    ]
    assert {(each.provisioner, each.allow_volume_expansion) for each in storage} == {("a.b", True)}


def test_there_is_one_for_snapshots_unless_there_are_none_at_all():
    (snapshots,) = [each for each in classes("a.b", ("nfs",)) if isinstance(each, VolumeSnapshotClass)]
    assert (snapshots.driver, snapshots.is_default) == ("a.b", True)
    assert classes("a.b", ()) == []
