"""sharing.nfs.* and nfs.*: behaviour and refusals."""

import pytest


def test_a_share_has_the_real_entry(box):
    path = box.filesystem("tank/fs")
    entry = box(
        "sharing.nfs.create", {"path": path + "/", "comment": "c", "maproot_user": "root", "maproot_group": "wheel"}
    )
    assert entry == {
        "id": 1, "path": "/mnt/tank/fs", "aliases": [], "comment": "c", "networks": [], "hosts": [], "ro": False,
        "maproot_user": "root", "maproot_group": "wheel", "mapall_user": None, "mapall_group": None, "security": [],
        "enabled": True, "locked": False, "expose_snapshots": False,
    }  # fmt: skip
    assert box("sharing.nfs.get_instance", 1) == entry
    assert box("sharing.nfs.query", [["path", "=", path]]) == [entry]


def test_ids_are_never_given_twice(box):
    path = box.filesystem("tank/fs")
    assert box("sharing.nfs.create", {"path": path})["id"] == 1
    assert box("sharing.nfs.delete", 1) is True
    assert box("sharing.nfs.create", {"path": path})["id"] == 2


def test_unknown_ids_are_not_found(box):
    for call in (("get_instance", 9), ("update", 9, {}), ("delete", 9)):
        assert box.refused(f"sharing.nfs.{call[0]}", *call[1:]) == [(None, "SharingNFS 9 does not exist", 2)]


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        ({}, ("data.path", "Field required", 22)),
        ({"path": "/mnt/tank", "paths": []}, ("data.paths", "Extra inputs are not permitted", 22)),
        ({"path": "/mnt/tank", "ro": 1}, ("data.ro", "Input should be a valid boolean", 22)),
        ({"path": 7}, ("data.path", "Input should be a valid string", 22)),
        ({"path": "/mnt/tank/none"}, ("sharingnfs_create.path", "The path does not exist: /mnt/tank/none", 22)),
        ({"path": "/etc"}, ("sharingnfs_create.path", "The path must reside within a pool mount point", 22)),
        ({"path": "/mnt/other"}, ("sharingnfs_create.path", "The path must reside within a pool mount point", 22)),
        ({"path": "/mnt/tank", "mapall_user": "eve"}, ("sharingnfs_create.mapall_user", "User not found: eve", 22)),
        (
            {"path": "/mnt/tank", "maproot_user": "root", "maproot_group": "eve"},
            ("sharingnfs_create.maproot_group", "Group not found: eve", 22),
        ),
        (
            {"path": "/mnt/tank", "maproot_user": "root", "mapall_user": "root"},
            ("sharingnfs_create.mapall_user", "maproot_user disqualifies mapall_user", 22),
        ),
        (
            {"path": "/mnt/tank", "maproot_group": "wheel"},
            ("sharingnfs_create.maproot_user", "This field is required when map group is specified", 22),
        ),
        (
            {"path": "/mnt/tank", "networks": ["10.0.0.0/8", "pumpkin"]},
            (
                "sharingnfs_create.networks",
                "The following do not appear to be valid IPv4 or IPv6 networks: pumpkin",
                22,
            ),
        ),
        (
            {"path": "/mnt/tank", "networks": ["10.0.0.0/8", "10.1.0.0/16"]},
            ("sharingnfs_create.networks", "ERROR - Overlapped subnets: [('10.0.0.0/8', '10.1.0.0/16')]", 22),
        ),
        (
            {"path": "/mnt/tank", "hosts": ["a", "a"]},
            ("sharingnfs_create.hosts", "Entries must be unique, the following are not: a", 22),
        ),
        (
            {"path": "/mnt/tank", "hosts": ["a b"]},
            ("sharingnfs_create.hosts", "Cannot contain spaces or quotes: a b", 22),
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(box, data, refusal):
    assert box.refused("sharing.nfs.create", data) == [refusal]
    assert box("sharing.nfs.query") == []


def test_a_zvol_cannot_be_exported(box):
    box.zvol("tank/v")
    assert box.refused("sharing.nfs.create", {"path": "/mnt/tank/v"})[0][0] == "sharingnfs_create.path"


def test_one_client_is_served_by_one_share_of_a_path(box):
    path = box.filesystem("tank/fs")
    box("sharing.nfs.create", {"path": path, "networks": ["10.1.2.3/8"], "hosts": ["alpha"]})
    refusals = box.refused("sharing.nfs.create", {"path": path, "networks": ["10.0.0.0/8"], "hosts": ["alpha"]})
    assert refusals[0] == (
        "sharingnfs_create.networks",
        "ERROR - Another NFS share already exports /mnt/tank/fs for network 10.0.0.0/8",
        22,
    )
    assert refusals[-1] == (
        "sharingnfs_create.hosts",
        "ERROR - Another NFS share already exports /mnt/tank/fs for host alpha",
        22,
    )
    assert box("sharing.nfs.create", {"path": path, "networks": ["192.168.0.0/16"]})["id"] == 2


def test_two_shares_for_everybody_pass(box):
    path = box.filesystem("tank/fs")
    assert [box("sharing.nfs.create", {"path": path})["id"] for _ in range(2)] == [1, 2]
    refusals = box.refused("sharing.nfs.create", {"path": path, "networks": ["10.0.0.0/8"]})
    assert refusals[0][1] == (
        "ERROR - This or another NFS share exports /mnt/tank/fs to 0.0.0.0/0 and overlaps network 10.0.0.0/8"
    )


def test_an_update_keeps_what_it_does_not_name(box):
    path = box.filesystem("tank/fs")
    box("sharing.nfs.create", {"path": path, "comment": "c", "networks": ["10.0.0.0/8"]})
    entry = box("sharing.nfs.update", 1, {"ro": True})
    assert (entry["ro"], entry["comment"], entry["networks"]) == (True, "c", ["10.0.0.0/8"])
    assert box.refused("sharing.nfs.update", 1, {"path": "/etc"})[0][0] == "sharingnfs_update.path"


def test_shares_vanish_with_the_dataset_they_are_on_or_under(box):
    for name in ("tank/a", "tank/a/b", "tank/ab"):
        box("sharing.nfs.create", {"path": box.filesystem(name)})
    events = box.listen()
    box("pool.dataset.delete", "tank/a", {"recursive": True})
    assert [share["path"] for share in box("sharing.nfs.query")] == ["/mnt/tank/ab"]
    gone = [(msg, key) for collection, msg, key, _ in events if collection == "sharing.nfs.query"]
    assert sorted(gone) == [("removed", 1), ("removed", 2)]


def test_a_share_does_not_follow_a_renamed_dataset(box):
    box("sharing.nfs.create", {"path": box.filesystem("tank/a")})
    box("pool.dataset.rename", "tank/a", {"new_name": "tank/z", "force": True})
    assert box("sharing.nfs.get_instance", 1)["path"] == "/mnt/tank/a"


def test_changes_are_announced(box):
    path = box.filesystem("tank/fs")
    events = box.listen()
    entry = box("sharing.nfs.create", {"path": path})
    changed = box("sharing.nfs.update", 1, {"ro": True})
    box("sharing.nfs.delete", 1)
    box.refused("sharing.nfs.create", {"path": "/etc"})
    assert events == [
        ("sharing.nfs.query", "added", 1, entry),
        ("sharing.nfs.query", "changed", 1, changed),
        ("sharing.nfs.query", "removed", 1, None),
    ]


def test_configuration_has_the_defaults_and_checks_updates(box):
    assert box("nfs.config")["protocols"] == ["NFSV3", "NFSV4"]
    assert box("nfs.update", {"protocols": ["NFSV3"], "servers": 8})["servers"] == 8
    assert box("nfs.config")["managed_nfsd"] is False
    assert box.refused("nfs.update", {"protocols": []})[0][0] == "nfs_update.protocols"
    assert box.refused("sharing.nfs.create", {"path": "/mnt/tank", "security": ["KRB5"]}) == [
        (
            "sharingnfs_create.security",
            "The following security flavor(s) require NFSv4 to be enabled: KRB5.",
            22,
        )
    ]
