"""Names and numbers of accounts."""

from fake_truenas import unix_ids


def test_numbers_have_the_first_of_their_names():
    assert (unix_ids.user_name(0), unix_ids.group_name(0), unix_ids.group_name(65534)) == ("root", "root", "nogroup")
    assert unix_ids.GROUPS["wheel"] == 0
    assert (unix_ids.user_name(4711), unix_ids.group_name(4711)) == (None, None)


def test_the_groups_of_smb_exist():
    assert [unix_ids.group_name(gid) for gid in unix_ids.SMB_GROUP_SIDS] == [
        "builtin_administrators",
        "builtin_users",
        "builtin_guests",
    ]
