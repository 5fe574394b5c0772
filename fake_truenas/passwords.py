"""Accounts: who may log in, with which password and second factor, and what they may do.

Only a salted hash of a password is kept.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from fake_truenas import roles as role_table

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_ITERATIONS = 20_000
_ADMIN_UID = 950
_FIRST_UID = 3000


@dataclass(frozen=True, slots=True)
class Account:
    """A user; make one that logs in with a password by `Account.with_password`.

    Attributes:
        name: as in auth.me.
        salt: of the hash.
        password_hash: what a password is compared with; empty, nobody logs in with a password.
        roles: as granted, without what they include; an account without any has no access to the API.
        otp_secret: of its one-time passwords (`fake_truenas.totp`); None, the password is enough.

    Raises:
        ValueError: not a user name, or a role that does not exist.
    """

    name: str
    salt: bytes = field(default=b"", repr=False)
    password_hash: bytes = field(default=b"", repr=False)
    roles: tuple[str, ...] = (role_table.FULL_ADMIN,)
    otp_secret: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"user name {self.name!r} is not valid: a letter or _, then up to 31 letters, digits and _ . -"
            )
        role_table.expand(self.roles)

    @classmethod
    def with_password(
        cls,
        name: str,
        password: str,
        salt: bytes,
        *,
        roles: tuple[str, ...] = (role_table.FULL_ADMIN,),
        otp_secret: bytes | None = None,
    ) -> "Account":
        """Hash the password.

        Raises:
            ValueError: not a user name, no password, or no such role; the password is not in the text.
        """
        if not password:
            raise ValueError(f"user {name:.32} needs a password")
        return cls(name, salt, _hash(password, salt), roles, otp_secret)

    def matches(self, password: str) -> bool:
        """Whether this is the password."""
        return bool(self.password_hash) and hmac.compare_digest(_hash(password, self.salt), self.password_hash)


class Accounts:
    """All accounts of a NAS, by name. The first one owns the key that the NAS was configured with.

    Raises:
        ValueError: two of one name.
    """

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_name: dict[str, Account] = {}
        self._uids: dict[str, int] = {}
        for account in accounts:
            if account.name in self._by_name:
                raise ValueError(f"user {account.name} is there twice: user names must differ")
            self._uids[account.name] = _FIRST_UID + len(self._uids) - 1 if self._uids else _ADMIN_UID
            self._by_name[account.name] = account

    def get(self, name: str) -> Account | None:
        """The account of this name, or None."""
        return self._by_name.get(name)

    def uid(self, name: str) -> int:
        """Its number: 950 for the first one, as for the administrator of a real system."""
        return self._uids[name]


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode("utf-8", "surrogatepass"), salt, _ITERATIONS)
