"""Accounts that log in with a password. Only a salted hash of it is kept."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_ITERATIONS = 20_000


@dataclass(frozen=True, slots=True)
class Account:
    """A user name and what its password is compared with; make it with `Account.with_password`."""

    name: str
    salt: bytes = field(repr=False)
    password_hash: bytes = field(repr=False)

    @classmethod
    def with_password(cls, name: str, password: str, salt: bytes) -> "Account":
        """Hash the password.

        Raises:
            ValueError: not a user name, or no password; the password is not in the text.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"user name {name!r} is not valid: a letter or _, then up to 31 letters, digits and _ . -")
        if not password:
            raise ValueError(f"user {name} needs a password")
        return cls(name, salt, _hash(password, salt))

    def matches(self, password: str) -> bool:
        """Whether this is the password."""
        return hmac.compare_digest(_hash(password, self.salt), self.password_hash)


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode("utf-8", "surrogatepass"), salt, _ITERATIONS)
