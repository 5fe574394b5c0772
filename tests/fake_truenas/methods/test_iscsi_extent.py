"""iscsi.extent.*: behaviour and refusals."""

import re

import pytest

SESSION = {"protocol": "iscsi", "name": "iqn.2005-10.org.freenas.ctl:t", "initiator": "iqn.1993-08.org:n1"}


def test_an_extent_has_the_real_entry(box):
    box.zvol("tank/v")
    entry = box("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/v", "blocksize": 4096})
    assert re.fullmatch(r"0x6589cfc000000[0-9a-f]{19}", entry.pop("naa"))
    assert re.fullmatch(r"[0-9a-f]{15}", entry.pop("serial"))
    assert entry == {
        "id": 1, "name": "e", "type": "DISK", "disk": "zvol/tank/v", "path": "zvol/tank/v", "filesize": "0",
        "blocksize": 4096, "pblocksize": False, "avail_threshold": None, "comment": "", "insecure_tpc": True,
        "xen": False, "rpm": "SSD", "ro": False, "enabled": True, "vendor": "TrueNAS", "product_id": None,
        "locked": False,
    }  # fmt: skip
    for field, value in (("name", "e"), ("disk", "zvol/tank/v"), ("path", "zvol/tank/v")):
        assert len(box("iscsi.extent.query", [[field, "=", value]])) == 1


@pytest.mark.parametrize(
    ("data", "attribute", "text"),
    [
        ({"name": "e"}, "disk", "This field is required"),
        ({"name": "e", "disk": "tank/v"}, "disk", 'Disk name must start with "zvol/"'),
        ({"name": "e", "disk": "zvol/tank/x"}, "disk", "Device '/dev/zvol/tank/x' for volume 'tank/x' does not exist"),
        ({"name": "e", "disk": "zvol/tank/fs"}, "disk", "Device '/dev/zvol/tank/fs' for volume 'tank/fs' does not exist"),
        ({"name": "e", "disk": "zvol/tank/v"}, "disk", "Disk currently in use by extent first"),
        ({"name": "first", "disk": "zvol/tank/w"}, "name", "Extent name must be unique"),
        ({"name": 'a"b', "disk": "zvol/tank/w"}, "name", "Double quotes are not allowed"),
        ({"name": "e", "disk": "zvol/tank/w", "serial": "s1"}, "serial", "Serial number must be unique"),
        (
            {"name": "e", "disk": "zvol/tank/w", "serial": "s" * 21},
            "serial",
            "Extent serial can not exceed 20 characters",
        ),
        ({"name": "e", "disk": "zvol/tank/w@s"}, "ro", "Must be set when disk is a ZFS Snapshot"),
        ({"name": "e", "disk": "zvol/tank/n"}, "disk", "Disk currently in use by NVMe-oF subsystem s"),
        ({"name": "e", "type": "FILE"}, "path", "This field is required"),
        (
            {"name": "e", "type": "FILE", "path": "/mnt/tank/fs/f"},
            "path",
            "The file must exist if the extent size is set to auto (0)",
        ),
        (
            {"name": "e", "type": "FILE", "path": "/mnt/tank/fs/f", "filesize": 513},
            "filesize",
            "File size (513) must be a multiple of block size (512)",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(box, data, attribute, text):
    for name in ("v", "w", "n"):
        box.zvol(f"tank/{name}")
    box.filesystem("tank/fs")
    box("pool.snapshot.create", {"dataset": "tank/w", "name": "s"})
    subsys = box("nvmet.subsys.create", {"name": "s"})["id"]
    box("nvmet.namespace.create", {"subsys_id": subsys, "device_type": "ZVOL", "device_path": "zvol/tank/n"})
    box("iscsi.extent.create", {"name": "first", "disk": "zvol/tank/v", "serial": "s1"})
    assert box.refused("iscsi.extent.create", data) == [(f"iscsi_extent_create.{attribute}", text, 22)]


def test_the_schema_is_strict(box):
    box.zvol("tank/v")
    assert box.refused(
        "iscsi.extent.create", {"name": "e" * 65, "disk": "zvol/tank/v", "blocksize": 513, "naa": "x"}
    ) == [
        ("iscsi_extent_create.name", "String should have at most 64 characters", 22),
        ("iscsi_extent_create.blocksize", "Input should be 512, 1024, 2048 or 4096", 22),
        ("iscsi_extent_create.naa", "Extra inputs are not permitted", 22),
    ]


def test_snapshots_and_files_can_be_shown(box):
    box.zvol("tank/v")
    box("pool.snapshot.create", {"dataset": "tank/v", "name": "s"})
    shown = box("iscsi.extent.create", {"name": "s", "disk": "zvol/tank/v@s", "ro": True})
    assert shown["path"] == "zvol/tank/v@s"
    file = box("iscsi.extent.create", {"name": "f", "type": "FILE", "path": "/mnt/tank/f", "filesize": "1024"})
    assert (file["disk"], file["path"], file["filesize"]) == (None, "/mnt/tank/f", "1024")


def test_an_update_keeps_serial_and_naa(box):
    box.zvol("tank/v")
    entry = box("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/v"})
    assert box("iscsi.extent.update", 1, {"comment": "c"}) == {**entry, "comment": "c"}


def test_a_zvol_takes_its_extent_links_and_orphaned_target_with_it(box):
    for name in ("a", "b"):
        box.zvol(f"tank/{name}")
        box("iscsi.extent.create", {"name": name, "disk": f"zvol/tank/{name}"})
    box("iscsi.target.create", {"name": "t", "groups": [{"portal": 1}]})
    box("iscsi.target.create", {"name": "untouched"})
    for extent in (1, 2):
        box("iscsi.targetextent.create", {"target": 1, "extent": extent})
    box("pool.dataset.delete", "tank/a")
    assert [target["name"] for target in box("iscsi.target.query")] == ["t", "untouched"]
    box("pool.dataset.delete", "tank/b")
    assert [target["name"] for target in box("iscsi.target.query")] == ["untouched"]
    assert box("iscsi.extent.query") == box("iscsi.targetextent.query") == []


def test_an_open_session_keeps_the_zvol(box):
    box.zvol("tank/v")
    box("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/v"})
    box("iscsi.target.create", {"name": "t", "groups": [{"portal": 1}]})
    box("iscsi.targetextent.create", {"target": 1, "extent": 1})
    session = box("fake.block.connect", SESSION)
    errno, reason = box.failed("pool.dataset.delete", "tank/v")
    assert errno == 16
    assert "dataset is busy" in reason
    assert box("fake.block.disconnect", session) is True
    assert box("pool.dataset.delete", "tank/v") is True


def test_an_extent_does_not_follow_a_renamed_zvol(box):
    box.zvol("tank/v")
    box("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/v"})
    box("pool.dataset.rename", "tank/v", {"new_name": "tank/new name"})
    entry = box("iscsi.extent.get_instance", 1)
    assert (entry["disk"], entry["path"]) == ("zvol/tank/v",) * 2


def test_deleting_an_extent_takes_its_link(box):
    box.zvol("tank/v")
    box("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/v"})
    box("iscsi.target.create", {"name": "t"})
    box("iscsi.targetextent.create", {"target": 1, "extent": 1})
    assert box("iscsi.extent.delete", 1, False, False) is True
    assert box("iscsi.targetextent.query") == []
    assert box("iscsi.target.query", [], {"count": True}) == 1


def test_a_zvol_with_spaces_in_its_name_is_one_disk(box):
    box.zvol("tank/a b")
    assert box("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/a b"})["disk"] == "zvol/tank/a+b"
    assert box.refused("iscsi.extent.create", {"name": "f", "disk": "zvol/tank/a+b"})[0][1] == (
        "Disk currently in use by extent e"
    )
    box("pool.dataset.delete", "tank/a b")
    assert box("iscsi.extent.query") == []
