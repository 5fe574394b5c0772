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
        ({"name": "e", "disk": "zvol/tank/n"}, "disk", "Disk currently in use by NVMe-oF subsystem s NSID 1"),
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


def test_a_file_is_made_where_there_is_none_and_grows_with_its_extent(box):
    file = {"name": "f", "type": "FILE", "path": "/mnt/tank/new/f", "filesize": 1024}
    box("iscsi.extent.create", file)
    stat = box("filesystem.stat", "/mnt/tank/new/f")
    assert (stat["type"], stat["size"], stat["nlink"], stat["mode"]) == ("FILE", 1024, 1, 0o100644)
    box("iscsi.extent.update", 1, {"filesize": 2048})
    assert box("filesystem.stat", "/mnt/tank/new/f")["size"] == 2048
    assert box.refused("iscsi.extent.update", 1, {"filesize": 512}) == [
        ("iscsi_extent_create.filesize", "Shrinking an extent is not allowed. This can lead to data loss.", 22)
    ]
    text = "File currently in use by extent f"
    assert box.refused("iscsi.extent.create", {**file, "name": "g"}) == [("iscsi_extent_create.path", text, 22)]


@pytest.mark.parametrize(("remove", "left"), [(True, []), (False, ["f"])])
def test_a_file_goes_with_its_extent_on_request_and_can_be_shown_again(box, remove, left):
    box("iscsi.extent.create", {"name": "f", "type": "FILE", "path": "/mnt/tank/f", "filesize": 1024})
    assert box("iscsi.extent.delete", 1, remove) is True
    assert [one["name"] for one in box("filesystem.listdir", "/mnt/tank")] == left
    if left:
        assert box("iscsi.extent.create", {"name": "f", "type": "FILE", "path": "/mnt/tank/f"})["filesize"] == "0"


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("/mnt/tank/fs", ["You need to specify a filepath not a directory"]),
        ("/mnt/tank/fs/made/", ["You need to specify a filepath not a directory"]),
        ("/etc/f", ["The path must reside within a pool mount point"]),
        ("/mnt/tank/../f", ["The path must reside within a pool mount point"]),
        ("/mnt/tank/a b", ["Filepath may not contain space characters"]),
        ("/mnt/tank/fs/shown", ["File currently in use by NVMe-oF subsystem s NSID 1"]),
    ],
)
def test_files_are_made_where_they_can_be(box, path, texts):
    box.filesystem("tank/fs")
    box("iscsi.extent.create", {"name": "m", "type": "FILE", "path": "/mnt/tank/fs/made", "filesize": 512})
    subsys = box("nvmet.subsys.create", {"name": "s"})["id"]
    shown = {"subsys_id": subsys, "device_type": "FILE", "device_path": "/mnt/tank/fs/shown", "filesize": 512}
    box("nvmet.namespace.create", shown)
    refused = box.refused("iscsi.extent.create", {"name": "e", "type": "FILE", "path": path, "filesize": 512})
    assert refused == [("iscsi_extent_create.path", text, 22) for text in texts]


def test_a_file_system_takes_the_extents_of_its_files_with_it(box):
    box.filesystem("tank/fs")
    target = box("iscsi.target.create", {"name": "t", "groups": [{"portal": 1}]})["id"]
    for name in ("tank/fs/f", "tank/f"):
        box("iscsi.extent.create", {"name": name, "type": "FILE", "path": f"/mnt/{name}", "filesize": 512})
    box("iscsi.targetextent.create", {"target": target, "extent": 1})
    assert box("pool.dataset.delete", "tank/fs") is True
    assert [entry["name"] for entry in box("iscsi.extent.query")] == ["tank/f"]
    assert box("iscsi.target.query") == []


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


def test_an_open_session_keeps_the_zvol_but_not_the_extent(box):
    box.zvol("tank/v")
    box("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/v"})
    box("iscsi.target.create", {"name": "t", "groups": [{"portal": 1}]})
    box("iscsi.targetextent.create", {"target": 1, "extent": 1})
    box("fake.block.connect", SESSION)
    errno, reason = box.failed("pool.dataset.delete", "tank/v")
    assert errno == 16
    assert "dataset is busy" in reason
    left = [box(f"iscsi.{kind}.query", [], {"count": True}) for kind in ("extent", "targetextent", "target")]
    assert left == [0, 0, 0]
    assert box("pool.dataset.delete", "tank/v") is True


def test_an_extent_does_not_follow_a_renamed_zvol(box):
    box.zvol("tank/v")
    box("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/v"})
    box("pool.dataset.rename", "tank/v", {"new_name": "tank/new name", "force": True})
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
