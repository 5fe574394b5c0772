"""Access lists: modes, inheritance, order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_truenas import acls

KINDS = (acls.NFS4, acls.POSIX1E)


def ace(tag="everyone@", kind="ALLOW", perms=("READ_DATA",), flags=()):
    given = {"perms": dict.fromkeys(perms, True), "flags": dict.fromkeys(flags, True)}
    return acls.full_nfs4({"tag": tag, "type": kind, "id": -1, **given})


@given(mode=st.integers(0, 0o777), kind=st.sampled_from(KINDS))
def test_a_trivial_list_has_the_mode_that_it_was_made_from(mode, kind):
    assert acls.mode_of(kind, acls.trivial(kind, mode)) == mode


@given(before=st.integers(0, 0o777), after=st.integers(0, 0o777), kind=st.sampled_from(KINDS))
def test_chmod_of_a_trivial_list_is_the_trivial_list_of_the_new_mode(before, after, kind):
    assert acls.chmod(kind, acls.trivial(kind, before), after) == acls.trivial(kind, after)


def test_who_may_do_less_than_others_is_denied_it():
    shown = [(one["tag"], one["type"]) for one in acls.trivial(acls.NFS4, 0o604)]
    assert shown[:2] == [("owner@", "ALLOW"), ("group@", "DENY")]
    assert shown[2:] == [("owner@", "ALLOW"), ("group@", "ALLOW"), ("everyone@", "ALLOW")]
    assert acls.trivial(acls.NFS4, 0o077)[0]["type"] == "DENY"
    assert len(acls.trivial(acls.NFS4, 0o755)) == 3


def test_the_first_entry_that_names_a_permission_decides():
    denied_first = [ace(kind="DENY"), ace()]
    assert acls.mode_of(acls.NFS4, denied_first) == 0
    assert acls.mode_of(acls.NFS4, denied_first[::-1]) == 0o444
    assert acls.mode_of(acls.NFS4, [ace(flags=("FILE_INHERIT", "INHERIT_ONLY"))]) == 0


def test_canonical_order_has_denials_first_and_the_inherited_last():
    mixed = [ace(flags=("INHERITED",)), ace(kind="DENY", flags=("INHERITED",)), ace(), ace(kind="DENY")]
    assert acls.canonical(mixed) == mixed[::-1]


@pytest.mark.parametrize(
    ("flags", "result"),
    [
        ((), None),
        (("FILE_INHERIT", "NO_PROPAGATE_INHERIT"), None),
        (("FILE_INHERIT",), ["FILE_INHERIT", "INHERIT_ONLY", "INHERITED"]),
        (("DIRECTORY_INHERIT", "INHERIT_ONLY"), ["DIRECTORY_INHERIT", "INHERITED"]),
        (("FILE_INHERIT", "DIRECTORY_INHERIT", "NO_PROPAGATE_INHERIT"), ["INHERITED"]),
    ],
)
def test_what_a_new_directory_inherits(flags, result):
    found = acls.inherited(acls.NFS4, [ace(flags=flags)])
    assert (found and [name for name, on in found[0]["flags"].items() if on]) == result


def test_posix_defaults_become_the_list_and_stay_the_default():
    plain = acls.trivial(acls.POSIX1E, 0o750)
    assert acls.inherited(acls.POSIX1E, plain) is None
    defaults = [{**one, "default": True} for one in plain]
    assert acls.inherited(acls.POSIX1E, [*plain, *defaults]) == [*plain, *defaults]


def test_the_mask_stands_for_the_group_and_defaults_for_nothing():
    mask = {**acls.trivial(acls.POSIX1E, 0o010)[1], "tag": "MASK"}
    plain = acls.trivial(acls.POSIX1E, 0o751)
    acl = [*plain, mask, *({**one, "default": True} for one in acls.trivial(acls.POSIX1E, 0o222))]
    assert acls.mode_of(acls.POSIX1E, acl) == 0o711
    changed = acls.chmod(acls.POSIX1E, acl, 0o620)
    assert changed is not None
    assert (acls.mode_of(acls.POSIX1E, changed), changed[1], changed[4:]) == (0o620, plain[1], acl[4:])


def test_posix_lists_need_the_three_owners_and_masks_for_names():
    assert [text for _, text in acls.posix_problems([], recursive=True)] == [
        "Default ACL entries are required in order to apply ACL recursively.",
        "Presence of [USER_OBJ] entry is required.",
        "Presence of [GROUP_OBJ] entry is required.",
        "Presence of [OTHER] entry is required.",
    ]
    plain = acls.trivial(acls.POSIX1E, 0o750)
    assert acls.posix_problems(plain, recursive=False) == []
    twice = acls.posix_problems([*plain, plain[0]], recursive=False)
    assert [attribute for attribute, _ in twice] == [".3"]
    named = {**plain[0], "tag": "USER", "default": True}
    texts = [text for _, text in acls.posix_problems([*plain, named], recursive=True)]
    assert len(texts) == 4
    assert texts[0].startswith("Named default")


ALICE = acls.Who(5, frozenset((6,)))


@pytest.mark.parametrize(
    ("mode", "owners", "passes"),
    [
        (0o100, (5, 0), True), (0o677, (5, 6), False), (0o010, (0, 6), True), (0o701, (0, 6), False),
        (0o001, (0, 0), True), (0o770, (0, 0), False),
    ],
)  # fmt: skip
def test_bits_let_through_the_first_class_that_an_account_is_in(mode, owners, passes):
    assert acls.may_traverse(acls.POSIX1E, None, mode, owners, ALICE) is passes
    assert acls.may_traverse(acls.POSIX1E, None, 0, owners, acls.Who(0, frozenset())) is True


def nfs4_ace(tag, kind="ALLOW", number=-1, perms="TRAVERSE", **flags):
    ace = acls.full_nfs4({"tag": tag, "id": number, "type": kind, "perms": {"BASIC": perms}, "flags": {}})
    return {**ace, "flags": ace["flags"] | flags}


@pytest.mark.parametrize(
    ("acl", "passes"),
    [
        ([nfs4_ace("everyone@")], True),
        ([nfs4_ace("USER", "DENY", 5), nfs4_ace("everyone@")], False),
        ([nfs4_ace("everyone@"), nfs4_ace("USER", "DENY", 5)], True),
        ([nfs4_ace("GROUP", number=6)], True),
        ([nfs4_ace("GROUP", number=7), nfs4_ace("owner@"), nfs4_ace("group@")], False),
        ([nfs4_ace("everyone@", INHERIT_ONLY=True)], False),
    ],
)
def test_the_first_nfsv4_entry_that_speaks_of_passing_decides(acl, passes):
    assert acls.may_traverse(acls.NFS4, acl, 0o777, (0, 0), ALICE) is passes


def posix_ace(tag, passes, number=-1, *, default=False):
    perms = {"READ": False, "WRITE": False, "EXECUTE": passes}
    return {"tag": tag, "id": number, "default": default, "perms": perms}


@pytest.mark.parametrize(
    ("acl", "owners", "passes"),
    [
        ([posix_ace("USER_OBJ", True), posix_ace("OTHER", False)], (5, 0), True),
        ([posix_ace("USER", True, 5), posix_ace("MASK", False), posix_ace("OTHER", True)], (0, 0), False),
        ([posix_ace("USER", True, 5), posix_ace("MASK", True)], (0, 0), True),
        ([posix_ace("GROUP_OBJ", False), posix_ace("GROUP", True, 6)], (0, 6), True),
        ([posix_ace("GROUP", False, 6), posix_ace("OTHER", True)], (0, 0), False),
        ([posix_ace("OTHER", True)], (0, 0), True),
        ([posix_ace("OTHER", True, default=True)], (0, 0), False),
    ],
)
def test_posix_entries_are_asked_by_class_and_masked(acl, owners, passes):
    assert acls.may_traverse(acls.POSIX1E, acl, 0o777, owners, ALICE) is passes
