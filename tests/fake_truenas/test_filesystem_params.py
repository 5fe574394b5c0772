"""The forms of setacl, setperm and chown."""

import pytest

from fake_truenas.filesystem_params import CHOWN, SETACL, SETPERM


def check(declared, value):
    problems = []
    return declared.compile()({"path": "/mnt/tank/fs", **value}, problems), problems


def test_absent_members_have_the_servers_defaults():
    value, problems = check(SETACL, {"dacl": []})
    assert problems == []
    assert value["options"] == {
        "stripacl": False, "recursive": False, "traverse": False, "canonicalize": True, "validate_effective_acl": True,
    }  # fmt: skip
    assert (value["uid"], value["gid"], value["nfs41_flags"]["protected"]) == (-1, -1, False)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (SETACL, {"dacl": [{}]}),
        (SETPERM, {"options": {"stripacl": False}}),
        (CHOWN, {"uid": -1}),
        (CHOWN, {"uid": 1 << 31}),
    ],
)
def test_what_would_change_nothing_or_does_not_fit_is_refused(declared, value):
    assert check(declared, value)[1] != []


def test_what_changes_something_passes():
    assert check(SETPERM, {"options": {"stripacl": True}})[1] == []
    assert check(CHOWN, {"group": "wheel"})[1] == []
