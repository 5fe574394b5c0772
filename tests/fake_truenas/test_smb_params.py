"""The forms of SMB shares."""

import pytest

from fake_truenas.smb_params import PURPOSES, SHARE, SHARE_UPDATE


def check(declared, value):
    problems = []
    return declared.compile()(value, problems), problems


@pytest.mark.parametrize("purpose", sorted(PURPOSES.keys() - {"EXTERNAL_SHARE"}))
def test_null_options_are_those_of_the_purpose(purpose):
    base = {"name": "a", "path": "/mnt/tank", "purpose": purpose}
    value, problems = check(SHARE, {**base, "options": None})
    assert problems == []
    assert value["options"].keys() == {field.name for field in PURPOSES[purpose].fields}
    assert check(SHARE, base)[0] == value


def test_an_update_fills_nothing_in():
    assert check(SHARE_UPDATE, {"comment": "c"}) == ({"comment": "c"}, [])
    assert check(SHARE_UPDATE, {"purpose": "DEFAULT_SHARE"})[0]["options"] == {"aapl_name_mangling": False}


@pytest.mark.parametrize("value", [7, [], None, {"name": 7, "path": ""}, {"purpose": [], "name": "a", "path": "p"}])
def test_anything_can_be_sent(value):
    assert check(SHARE, value)[1] != []
