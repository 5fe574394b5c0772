"""Parameters of pool.dataset.create and update, without a store."""

from typing import Any

import pytest

from fake_truenas.dataset_params import (
    CREATE,
    UPDATE,
    Problems,
    check_acl_settings,
    check_type_fields,
    follow_acltype,
    settings_of,
    user_properties_of,
    with_share_type,
)
from fake_truenas.errors import ValidationErrors
from fake_truenas.schema import Problem, Type
from tests.fake_truenas.rpc import GIB


def checked(kind: Type, data: Any) -> tuple[Any, list[Problem]]:
    problems: list[Problem] = []
    return kind.compile()(data, problems), problems


def test_a_create_has_these_defaults_and_nothing_else() -> None:
    data, problems = checked(CREATE, {"name": "tank/a"})
    assert problems == []
    assert {key: list(value) if key == "user_properties" else value for key, value in data.items()} == {
        "name": "tank/a", "type": "FILESYSTEM", "share_type": "GENERIC", "user_properties": [], "encryption": False,
        "encryption_options": {}, "inherit_encryption": True, "create_ancestors": False,
    }  # fmt: skip
    assert checked(UPDATE, {}) == ({}, [])


@pytest.mark.parametrize(
    "field",
    ["name", "type", "sparse", "volblocksize", "share_type", "casesensitivity", "encryption", "encryption_options",
     "inherit_encryption", "create_ancestors"],
)  # fmt: skip
def test_what_is_fixed_at_creation_cannot_be_updated(field: str) -> None:
    assert checked(UPDATE, {field: "x"})[1] == [(field, "Extra inputs are not permitted")]
    assert (field, "Extra inputs are not permitted") not in checked(CREATE, {"name": "tank/a", field: "x"})[1]


@pytest.mark.parametrize("field", ["quota", "refquota"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [(None, ""), (0, ""), (GIB, ""), ((1 << 63) - 1, ""), (1, "greater than"), (GIB - 1, "greater than"),
     (-GIB, "greater than"), (1 << 63, "less than"), (True, "valid integer"), ("1G", "valid integer"),
     (2.0 * GIB, "valid integer")],
)  # fmt: skip
def test_a_quota_is_none_or_at_least_a_gibibyte(field: str, value: Any, problem: str) -> None:
    data, problems = checked(UPDATE, {field: value})
    if problem:
        ((path, text),) = problems
        assert (path, problem in text) == (field, True)
    else:
        assert (data, problems) == ({field: value or 0}, [])


@pytest.mark.parametrize(
    ("share_type", "preset"),
    [
        ("SMB", {"casesensitivity": "insensitive", "acltype": "nfsv4", "aclmode": "restricted"}),
        *(
            (kind, {"casesensitivity": "sensitive", "atime": "off", "acltype": "nfsv4", "aclmode": "passthrough"})
            for kind in ("APPS", "MULTIPROTOCOL", "NFS")
        ),
        ("GENERIC", {"acltype": "posix"}),
    ],
)
def test_what_a_share_type_presets_wins_over_what_is_given(share_type: str, preset: dict[str, str]) -> None:
    data = with_share_type({"share_type": share_type, "acltype": "POSIX", "aclmode": "INHERIT"})
    assert settings_of(data) == (preset, ["aclmode"] if share_type == "GENERIC" else [])


@pytest.mark.parametrize(
    ("acltype", "aclmode", "text"),
    [("posix", "discard", ""), ("off", "passthrough", "Must be set to DISCARD"), ("nfsv4", "restricted", ""),
     ("posix", "restricted", "Must be set to DISCARD"), ("nfsv4", "discard", "DISCARD aclmode may not be set")],
)  # fmt: skip
def test_an_aclmode_has_to_go_with_the_acltype(acltype: str, aclmode: str, text: str) -> None:
    problems = Problems("pool_dataset_create")
    check_acl_settings(problems, acltype, aclmode)
    if not text:
        problems.check()
        return
    with pytest.raises(ValidationErrors, match=f"pool_dataset_create.aclmode: {text}"):
        problems.check()


def test_the_aclmode_follows_an_acltype_that_knows_one_only() -> None:
    chosen, inherited = {"acltype": "off", "sync": "always"}, ["atime"]
    follow_acltype(chosen, inherited)
    assert (chosen, inherited) == ({"acltype": "off", "sync": "always", "aclmode": "discard"}, ["atime"])
    chosen, inherited = {"aclmode": "passthrough"}, ["acltype"]
    follow_acltype(chosen, inherited)
    assert (chosen, inherited) == ({}, ["acltype", "aclmode"])


def test_settings_get_zfss_names_and_values() -> None:
    data = {"deduplication": "VERIFY", "recordsize": "64K", "special_small_block_size": "INHERIT", "sync": "INHERIT"}
    assert settings_of(data) == (
        {"dedup": "verify", "recordsize": "65536"}, ["sync", "special_small_blocks"],
    )  # fmt: skip


def test_comments_are_user_properties_and_inheriting_them_removes_them() -> None:
    data = {
        "comments": "mine",
        "quota_warning": 80,
        "managedby": "INHERIT",
        "user_properties": [{"key": "a:b", "value": "1"}],
        "user_properties_update": [
            {"key": "a:c", "value": "2", "remove": False}, {"key": "a:d", "remove": True},
        ],
    }  # fmt: skip
    assert user_properties_of(data, creating=True) == {
        "org.freenas:description": "mine", "org.freenas:quota_warning": "80", "org.truenas:managedby": None,
        "a:b": "1", "a:c": "2", "a:d": None,
    }  # fmt: skip


def test_an_update_takes_the_word_inherit_for_a_comment() -> None:
    data = {"comments": "INHERIT", "managedby": "INHERIT"}
    comment, manager = "org.freenas:description", "org.truenas:managedby"
    assert user_properties_of(data, creating=False) == {comment: "INHERIT", manager: None}
    assert user_properties_of(data, creating=True) == {comment: None, manager: None}


@pytest.mark.parametrize(
    ("is_volume", "refused"),
    [(True, ["quota", "atime"]), (False, ["volsize", "sparse"])],
)
def test_fields_of_the_other_type_are_refused_together(is_volume: bool, refused: list[str]) -> None:
    given = {"quota": 0, "atime": "ON", "refquota_critical": 1, "volsize": 1, "sparse": True, "compression": "ON"}
    problems = Problems("pool_dataset_update")
    check_type_fields(problems, given, is_volume=is_volume)
    with pytest.raises(ValidationErrors) as caught:
        problems.check()
    kind = "VOLUME" if is_volume else "FILESYSTEM"
    assert sorted(caught.value.items) == sorted(
        (f"pool_dataset_update.{field}", f"This field is not valid for {kind}", 22) for field in refused
    )


def test_a_field_that_the_rest_depends_on_ends_the_check_with_what_was_found_before() -> None:
    problems = Problems("pool_dataset_create")
    problems.check()
    problems.add("volsize", "is wrong")
    assert [item.attribute for item in problems.refused("name", "is taken").items] == [
        "pool_dataset_create.volsize", "pool_dataset_create.name",
    ]  # fmt: skip
