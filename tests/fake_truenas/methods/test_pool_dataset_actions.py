"""Renaming, promoting and destroying snapshots: places, space and what is in the way."""

import pytest

from tests.fake_truenas.methods.conftest import GIB, Box

FORCE = {"force": True}


def snap(box, *names):
    for name in names:
        dataset, short = name.split("@")
        box("pool.snapshot.create", {"dataset": dataset, "name": short})


def clone(box, snapshot, name):
    box("pool.snapshot.clone", {"snapshot": snapshot, "dataset_dst": name})


@pytest.mark.parametrize(
    ("name", "new", "errno", "words"),
    [
        ("tank", "tank/x", 14, "operation does not apply to pools"),
        ("tank/a", "tank/b", 14, "dataset already exists"),
        ("tank/a", "tank/no/a", 14, "parent does not exist"),
        ("tank/a", "tank/v/a", 14, "parent does not exist"),
        ("tank/a", "tank/a/in/x", 14, "cannot be a descendant of current dataset name"),
        ("tank/no", "tank/x", 2, "Dataset 'tank/no' not found"),
    ],
)
def test_a_rename_needs_a_free_place_in_the_same_pool(box, name, new, errno, words):
    for one in ("tank/a", "tank/a/in", "tank/b"):
        box.filesystem(one)
    box.zvol("tank/v")
    found, reason = box.failed("pool.dataset.rename", name, {"new_name": new, **FORCE})
    assert (found, words in reason) == (errno, True)


@pytest.mark.parametrize("new", ["pool", "tank//a", "tank/a@b", ""])
def test_a_new_name_has_to_be_one(box, new):
    box.filesystem("tank/a")
    text = "Please provide a valid dataset name according to ZFS standards"
    assert box.refused("pool.dataset.rename", "tank/a", {"new_name": new, **FORCE}) == [("data.new_name", text, 22)]


@pytest.mark.parametrize("version", ["24.10", "25.04"])
def test_releases_before_25_10_rename_without_force(version):
    box = Box(version)
    box.filesystem("tank/a")
    assert box("pool.dataset.rename", "tank/a", {"new_name": "tank/b"}) is None
    box.nas.close()


def test_what_moves_has_to_fit_into_its_new_place(box):
    box("pool.dataset.create", {"name": "tank/small", "quota": 2 * GIB})
    box("pool.dataset.create", {"name": "tank/big", "reservation": 3 * GIB})
    errno, reason = box.failed("pool.dataset.rename", "tank/big", {"new_name": "tank/small/big", **FORCE})
    assert (errno, reason[-12:]) == (14, "out of space")
    box("pool.dataset.create", {"name": "tank/small/a/v", "type": "VOLUME", "volsize": GIB, "create_ancestors": True})
    box("pool.dataset.rename", "tank/small/a/v", {"new_name": "tank/small/v", **FORCE})  # what it frees it may take
    assert box("pool.dataset.get_instance", "tank/small")["available"]["parsed"] < GIB


def test_a_clone_whose_place_has_no_room_for_what_it_shared_is_not_promoted(box):
    box("pool.dataset.create", {"name": "tank/small", "quota": GIB})
    box.zvol("tank/v", 4 * GIB)
    with box.nas.db.transaction():
        box.nas.db.run("update dataset set referenced = ?1, head = ?1, uniq = ?1 where name = 'tank/v'", (2 * GIB,))
        box.nas.db.run("update dataset set child = child + ? where name = 'tank'", (2 * GIB,))
        box.nas.db.run("update pool set allocated = ?", (2 * GIB,))
    snap(box, "tank/v@s")
    clone(box, "tank/v@s", "tank/small/c")
    errno, reason = box.failed("pool.dataset.promote", "tank/small/c")
    assert (errno, reason) == (14, "[EFAULT] Failed to promote dataset: cannot promote 'tank/small/c': out of space")
    box("pool.dataset.update", "tank/small", {"quota": 3 * GIB})
    assert box("pool.dataset.promote", "tank/small/c") is None
    assert box("pool.dataset.get_instance", "tank/small/c")["used"]["parsed"] == 2 * GIB


async def test_destroying_snapshots_is_all_or_nothing(box):
    box.zvol("tank/v")
    snap(box, "tank/v@a", "tank/v@b", "tank/v@c")
    clone(box, "tank/v@b", "tank/w")
    for held, words in (
        (False, "'tank/v@b': snapshot has dependent clones"),
        (True, "snapshot tank/v@a: dataset is busy"),
    ):
        if held:
            box("pool.snapshot.hold", "tank/v@a")
        with pytest.raises(Exception, match=words):
            await box.nas.call("pool.dataset.destroy_snapshots", "tank/v", {"all": True})
    assert [row["snapshot_name"] for row in box("pool.snapshot.query")] == ["a", "b", "c"]
    with pytest.raises(Exception, match="could not find any snapshots to destroy"):
        await box.nas.call("pool.dataset.destroy_snapshots", "tank/v", {"snapshots": ["x", {"start": "x", "end": "c"}]})
    spec = {"snapshots": [{"start": "c", "end": "c"}, "x"]}
    assert await box.nas.call("pool.dataset.destroy_snapshots", "tank/v", spec) == ["tank/v@c"]


def test_a_clone_elsewhere_that_is_in_use_keeps_the_whole_tree_in_26():
    box = Box("26.0")
    box.filesystem("tank/t")
    box.zvol("tank/t/v")
    snap(box, "tank/t/v@s")
    clone(box, "tank/t/v@s", "tank/c")
    box("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/c"})
    box("iscsi.target.create", {"name": "t", "groups": [{"portal": 1}]})
    box("iscsi.targetextent.create", {"target": 1, "extent": 1})
    initiator = {"name": "iqn.2005-10.org.freenas.ctl:t", "initiator": "iqn.1993-08.org:n1"}
    session = box("fake.block.connect", {"protocol": "iscsi", **initiator})
    errno, reason = box.failed("pool.dataset.delete", "tank/t", {"recursive": True})
    assert (errno, reason) == (16, "[EBUSY] Failed to destroy 'tank/t' There are clones (tank/c)")
    box("fake.block.disconnect", session)
    assert box("pool.dataset.delete", "tank/t", {"recursive": True}) is True
    assert [row["id"] for row in box("pool.dataset.query")] == ["tank"]
    assert [row["disk"] for row in box("iscsi.extent.query")] == ["zvol/tank/c"]  # only what was named is detached
    box.nas.close()
