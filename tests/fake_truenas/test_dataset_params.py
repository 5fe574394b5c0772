"""Parameters of pool.dataset.create and update, without a store."""

from typing import Any

import pytest

from fake_truenas.dataset_params import (
    CREATE,
    UPDATE,
    Problems,
    check_type_fields,
    settings_of,
    user_properties_of,
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
        "name": "tank/a", "type": "FILESYSTEM", "force_size": False, "user_properties": [], "encryption": False,
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


@pytest.mark.parametrize("share_type", ["SMB", "APPS", "MULTIPROTOCOL", "NFS", "GENERIC"])
def test_a_share_type_presets_acls_and_what_is_given_too_wins(share_type: str) -> None:
    chosen, inherited = settings_of({"share_type": share_type})
    assert ("acltype" in chosen) is (share_type in {"SMB", "APPS", "MULTIPROTOCOL"})
    assert (chosen.get("casesensitivity") == "insensitive") is (share_type == "SMB")
    assert inherited == []
    chosen, inherited = settings_of({"share_type": share_type, "acltype": "POSIX", "aclmode": "INHERIT"})
    assert (chosen["acltype"], "aclmode" in chosen, inherited) == ("posix", False, ["aclmode"])


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
    assert user_properties_of(data) == {
        "org.freenas:description": "mine", "org.freenas:quota_warning": "80", "org.truenas:managedby": None,
        "a:b": "1", "a:c": "2", "a:d": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("is_volume", "refused"),
    [(True, ["quota", "refquota_critical", "atime"]), (False, ["volsize", "sparse"])],
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
