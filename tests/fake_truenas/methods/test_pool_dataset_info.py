"""Details, choices, and locks that there are none of."""

import pytest

from fake_truenas.errors import CallError, MatchNotFound, ValidationErrors
from tests.fake_truenas.methods.conftest import GIB


def by_id(entries):
    found = {}
    for entry in entries:
        found[entry["id"]] = entry
        found |= by_id(entry["children"])
    return found


def test_details_count_and_list_what_uses_each_dataset_itself(box):
    path = box.filesystem("tank/a")
    box.filesystem("tank/a/b")
    box("filesystem.mkdir", {"path": path + "/dir"})
    box.zvol("tank/a/v", reservation=GIB)
    for shared in ("", "/dir", "/b"):
        box("sharing.nfs.create", {"path": path + shared})
    box("sharing.smb.create", {"name": "s", "path": path + "/b", "enabled": False})
    box("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/a/v"})
    box("iscsi.target.create", {"name": "t", "groups": [{"portal": 1}]})
    box("iscsi.targetextent.create", {"target": 1, "extent": 1})
    box("pool.snapshot.create", {"dataset": "tank/a", "name": "s"})
    found = by_id(box("pool.dataset.details"))
    assert list(found) == ["tank", "tank/a", "tank/a/b", "tank/a/v"]
    shares = {name: [share["path"] for share in entry["nfs_shares"]] for name, entry in found.items()}
    assert shares == {"tank": [], "tank/a": [path, path + "/dir"], "tank/a/b": [path + "/b"], "tank/a/v": []}
    assert found["tank/a/b"]["smb_shares"] == [{"enabled": False, "path": path + "/b", "share_name": "s"}]
    assert found["tank/a/v"]["iscsi_shares"] == [
        {"enabled": True, "type": "DISK", "path": "/dev/zvol/tank/a/v", "thick_provisioned": True}
    ]
    assert [found[name]["snapshot_count"] for name in found] == [0, 1, 0, 0]
    assert [found[name]["thick_provisioned"] for name in found] == [False, False, False, True]
    a = found["tank/a"]
    assert (a["atime"], a["casesensitive"], a["locked"], a["vms"], a["apps"]) == (False, True, False, [], [])
    assert [a[f"{kind}_tasks_count"] for kind in ("replication", "snapshot", "cloudsync", "rsync")] == [0, 0, 0, 0]


def test_periodic_snapshot_tasks_are_counted(box):
    box.filesystem("tank/a")
    box("pool.snapshottask.create", {"dataset": "tank/a"})
    assert [found["snapshot_tasks_count"] for found in by_id(box("pool.dataset.details")).values()] == [0, 1]


def test_every_choice_can_be_set(box):
    box.filesystem("tank/a")
    for field in ("checksum", "compression", "recordsize"):
        for value in box(f"pool.dataset.{field}_choices"):
            assert box("pool.dataset.update", "tank/a", {field: value})[field]["source"] == "LOCAL"
    assert box("pool.dataset.recordsize_choices", "tank") == box("pool.dataset.recordsize_choices")
    assert list(box("pool.dataset.encryption_algorithm_choices"))[-1] == "AES-256-GCM"


def test_an_unknown_pool_recommends_nothing(box):
    with pytest.raises(MatchNotFound):
        box("pool.dataset.recommended_zvol_blocksize", "other")


@pytest.mark.parametrize("method", ["attachments", "processes"])
def test_a_dataset_that_is_not_there_has_no_users(box, method):
    assert box.refused(f"pool.dataset.{method}", "tank/no") == [(None, "PoolDataset tank/no does not exist", 2)]


async def test_nothing_is_encrypted_so_nothing_locks(box):
    with pytest.raises(CallError, match="tank is not encrypted"):
        await box.nas.call("pool.dataset.lock", "tank", {"force_umount": True})
    key = {"name": "tank", "key": "0" * 64, "recursive": True}
    assert await box.nas.call("pool.dataset.unlock", "tank", {"datasets": [key]}) == {"unlocked": [], "failed": {}}
    for verb in ("lock", "unlock"):
        with pytest.raises(ValidationErrors, match="PoolDataset tank/no does not exist"):
            await box.nas.call(f"pool.dataset.{verb}", "tank/no")
