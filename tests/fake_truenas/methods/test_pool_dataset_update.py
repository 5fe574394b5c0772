"""pool.dataset.update beyond the table of the contract, and quotas of users and groups."""

import pytest

from tests.fake_truenas.methods.conftest import GIB, Box

SMALL = "size is less than current used or reserved space"


@pytest.mark.parametrize(
    ("version", "field", "words"),
    [
        ("25.04", "", "[EFAULT] Failed to update dataset: cannot set property for 'tank/v': out of space"),
        ("25.10", "pool_dataset_update.volsize", "out of space"),
        ("26.0", "pool.dataset.update", "Failed to update properties: out of space"),
    ],
)
def test_a_volume_that_finds_no_space_to_grow_is_refused_in_the_form_of_the_release(version, field, words):
    box = Box(version)
    box("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB})
    params = ("pool.dataset.update", "tank/v", {"volsize": 200 * GIB, "force_size": True})
    if field:
        assert box.refused(*params) == [(field, words, 22)]
    else:
        assert box.failed(*params) == (14, words)
    assert box("pool.dataset.get_instance", "tank/v")["volsize"]["parsed"] == GIB
    box.nas.close()


def test_a_limit_below_what_is_used_is_refused(box):
    box("pool.dataset.create", {"name": "tank/fs"})
    box("pool.dataset.create", {"name": "tank/fs/in", "reservation": 2 * GIB})
    assert box.refused("pool.dataset.update", "tank/fs", {"quota": GIB}) == [("pool_dataset_update.quota", SMALL, 22)]
    assert box("pool.dataset.update", "tank/fs", {"quota": 2 * GIB})["available"]["parsed"] == 0


def test_the_size_of_a_volume_is_judged_by_what_its_parent_has_left_and_it_uses_already(box):
    box("pool.dataset.create", {"name": "tank/q", "quota": 10 * GIB})
    box("pool.dataset.create", {"name": "tank/q/v", "type": "VOLUME", "volsize": 4 * GIB})
    text = "It is not recommended to use more than 80% of your available space for VOLUME"
    wrong = [("pool_dataset_update.volsize", text, 22)]
    assert box.refused("pool.dataset.update", "tank/q/v", {"volsize": 8 * GIB + 16384}) == wrong
    assert box("pool.dataset.update", "tank/q/v", {"volsize": 8 * GIB})["volsize"]["parsed"] == 8 * GIB


def test_the_acltype_cannot_change_under_a_share_that_is_on(box):
    path = box.filesystem("tank/fs")
    box("sharing.smb.create", {"name": "s", "path": path})
    data = {"acltype": "NFSV4", "aclmode": "RESTRICTED"}
    [(attribute, text, _)] = box.refused("pool.dataset.update", "tank/fs", data)
    assert (attribute, "must be disabled: ['s']." in text) == ("pool_dataset_update.acltype", True)
    box("pool.dataset.update", "tank/fs", {"acltype": "POSIX"})  # no change
    box("sharing.smb.update", 1, {"enabled": False})
    assert box("pool.dataset.update", "tank/fs", data)["acltype"]["value"] == "NFSV4"


def test_settings_that_volumes_do_not_have_are_refused_by_zfs(box):
    box.zvol("tank/v")
    text = "'snapdir' does not apply to datasets of this type"
    assert box.refused("pool.dataset.update", "tank/v", {"snapdir": "VISIBLE"}) == [
        ("pool_dataset_update.snapdir", text, 22)
    ]
    data = {"name": "tank/w", "type": "VOLUME", "volsize": GIB, "exec": "OFF"}
    errno, reason = box.failed("pool.dataset.create", data)
    assert (errno, "'exec' does not apply" in reason) == (14, True)
    assert box("pool.dataset.update", "tank/v", {"quota_warning": 5})["quota_warning"]["value"] == "5"


def test_user_properties_that_are_given_are_all_there_are(box):
    properties = [{"key": key, "value": "1"} for key in ("a:x", "a:y")]
    box("pool.dataset.create", {"name": "tank/fs", "user_properties": properties, "comments": "kept"})
    box("pool.dataset.update", "tank", {"user_properties": [{"key": "a:up", "value": "2"}]})
    entry = box("pool.dataset.update", "tank/fs", {"user_properties": [{"key": "a:y", "value": "3"}]})
    shown = {key: (item["value"], item["source"]) for key, item in entry["user_properties"].items()}
    assert shown == {"a:y": ("3", "LOCAL"), "a:up": ("2", "INHERITED")}
    assert entry["comments"]["value"] == "kept"
    assert box("pool.dataset.update", "tank/fs", {"comments": "INHERIT"})["comments"]["value"] == "INHERIT"


@pytest.mark.parametrize("key", ["A:b", "a:b c", "a:é", "a:b/c"])
def test_names_of_user_properties_are_lower_case_without_blanks(box, key):
    box.filesystem("tank/fs")
    text = f"invalid property '{key}'"
    item = {"key": key, "value": "1"}
    wrong = box.refused("pool.dataset.update", "tank/fs", {"user_properties_update": [item]})
    assert wrong == [(f"pool_dataset_update.{key}", text, 22)]
    errno, reason = box.failed("pool.dataset.create", {"name": "tank/x", "user_properties": [item]})
    assert (errno, reason) == (14, f"[EFAULT] Failed to create dataset: cannot create 'tank/x': {text}")


def test_quotas_of_owners_are_kept_per_kind_and_removed_by_zero(box):
    box.filesystem("tank/fs")
    quotas = [("USER", "apps", 5), ("USEROBJ", "568", 7), ("USER", "1000", 9), ("GROUP", "users", 11)]
    given = [{"quota_type": kind, "id": owner, "quota_value": value} for kind, owner, value in quotas]
    assert box("pool.dataset.set_quota", "tank/fs", given) is None
    unused = {"used_bytes": 0, "obj_used": 0}
    assert box("pool.dataset.get_quota", "tank/fs", "USER") == [
        {"quota_type": "USER", "id": 568, "name": "apps", **unused, "quota": 5, "obj_quota": 7},
        {"quota_type": "USER", "id": 1000, "name": None, **unused, "quota": 9},
    ]
    assert [one["name"] for one in box("pool.dataset.get_quota", "tank/fs", "GROUP")] == ["users"]
    assert box("pool.dataset.get_quota", "tank/fs", "PROJECT") == []
    assert box("pool.dataset.get_quota", "tank/fs", "USER", [["id", ">", 600]], {"count": True}) == 1
    box("pool.dataset.set_quota", "tank/fs", [{"quota_type": "USER", "id": "1000", "quota_value": None}])
    assert [one["id"] for one in box("pool.dataset.get_quota", "tank/fs", "USER")] == [568]
    box("pool.dataset.delete", "tank/fs")
    assert box.nas.db.value("select count(*) from dataset_quota") == 0


@pytest.mark.parametrize(
    ("kind", "owner", "text"),
    [("USER", "0", "Setting user quota on uid [0] is not permitted"), ("GROUP", "root", "Setting group quota on gid [0] is not permitted"),
     ("USEROBJ", "nobody-there", "userobj nobody-there is not valid."),
     ("DATASET", "SIZE", 'id for quota_type DATASET must be either "QUOTA" or "REFQUOTA"')],
)  # fmt: skip
def test_a_quota_needs_an_owner_that_is_not_root(box, kind, owner, text):
    box.filesystem("tank/fs")
    item = {"quota_type": kind, "id": owner, "quota_value": 5}
    assert box.refused("pool.dataset.set_quota", "tank/fs", [item]) == [("quotas.0.id", text, 22)]


def test_quotas_of_the_dataset_itself(box):
    box.filesystem("tank/fs")
    quota = {"quota_type": "DATASET", "id": "QUOTA", "quota_value": GIB}
    box("pool.dataset.set_quota", "tank/fs", [quota])
    assert box("pool.dataset.get_instance", "tank/fs")["quota"]["parsed"] == GIB
    assert "multiple values for quota" in box.refused("pool.dataset.set_quota", "tank/fs", [quota, quota])[0][1]
    assert box.refused("pool.dataset.set_quota", "tank/fs", [quota] * 101)[0][0] == "quotas"
    box.zvol("tank/v")
    assert box.failed("pool.dataset.set_quota", "tank/v", [quota])[0] == 14
    assert box.refused("pool.dataset.get_quota", "tank/no", "USER")[0][2] == 2
