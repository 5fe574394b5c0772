"""The users and groups of a fresh TrueNAS 25.10, as far as owners and access lists name them. Pure."""

from typing import Final

USERS: Final = {
    "root": 0, "daemon": 1, "bin": 2, "sys": 3, "www-data": 33, "apps": 568, "truenas_admin": 950, "nobody": 65534,
}  # fmt: skip
GROUPS: Final = {
    "root": 0, "wheel": 0, "daemon": 1, "bin": 2, "sys": 3, "www-data": 33, "users": 100,
    "builtin_administrators": 544, "builtin_users": 545, "builtin_guests": 546, "apps": 568, "truenas_admin": 950,
    "nogroup": 65534, "nobody": 65534,
}  # fmt: skip

SMB_GROUP_SIDS: Final = {544: "S-1-5-32-544", 545: "S-1-5-32-545", 546: "S-1-5-32-546"}
"""Group ids that SMB knows; no user is an SMB user."""

_USER_NAMES = {number: name for name, number in reversed(USERS.items())}
_GROUP_NAMES = {number: name for name, number in reversed(GROUPS.items())}


def user_name(uid: int) -> str | None:
    """The name of a user id, or None."""
    return _USER_NAMES.get(uid)


def group_name(gid: int) -> str | None:
    """The name of a group id, the first one where there are several, or None."""
    return _GROUP_NAMES.get(gid)
