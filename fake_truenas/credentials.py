"""What a session has logged in with, and the tokens made from it (TrueNAS API 25.10)."""

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fake_truenas import roles

Kind = Literal["API_KEY", "LOGIN_PASSWORD", "LOGIN_TWOFACTOR", "TOKEN"]


@dataclass(frozen=True, slots=True)
class KeyName:
    """What may be told of an API key."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class OtpAttempt:
    """A login whose password was right, and that a one-time password was asked for; `failures` were wrong."""

    username: str
    failures: int = 0


@dataclass(slots=True, eq=False)
class Token:
    """Lets another connection log in as `parent` did.

    Attributes:
        text: the secret.
        ttl_s: it lapses when no session that came in by it has called for this long.
        parent: the login by key or password that it stems from.
        address: it is good for clients at this address only; see `match_origin`.
        match_origin: whether `address` counts.
        single_use: gone with the first login.
        used_at: monotonic time of the last use.
        attributes: what it is for; with any, nobody can log in by it.
    """

    text: str
    ttl_s: int
    parent: "Credentials"
    address: str | None
    match_origin: bool
    single_use: bool
    used_at: float
    attributes: dict[str, Any]

    def __repr__(self) -> str:
        return f"Token(ttl_s={self.ttl_s}, parent={self.parent!r})"

    def valid(self, now: float) -> bool:
        """Whether neither it nor the login it stems from has lapsed; `now` is monotonic time in seconds."""
        return now < self.used_at + self.ttl_s and self.parent.valid(now)


@dataclass(slots=True, eq=False)
class Credentials:
    """One login.

    Attributes:
        kind: how.
        username: as whom.
        login_at: when, by the wall clock.
        roles: what the account may do, expanded.
        ends_at: monotonic time from which on it is no longer good.
        max_inactivity_s: how long it may stay unused; None for any time.
        used_at: monotonic time of the last call.
        api_key: by which key; None if not by a key.
        login_id: a uuid, shown from 26.0 on; empty before.
        token: by which token.
    """

    kind: Kind
    username: str
    login_at: float
    roles: frozenset[str] = frozenset((roles.FULL_ADMIN,))
    ends_at: float = float("inf")
    max_inactivity_s: float | None = None
    used_at: float = 0.0
    api_key: KeyName | None = None
    login_id: str = ""
    token: Token | None = None

    @property
    def root(self) -> "Credentials":
        """The login by key or password behind it."""
        return self.token.parent if self.token is not None else self

    def valid(self, now: float) -> bool:
        """Whether calls are still answered; `now` is monotonic time in seconds."""
        if self.token is not None:
            return self.token.valid(now)
        if now > self.ends_at:
            return False
        return self.max_inactivity_s is None or now <= self.used_at + self.max_inactivity_s

    def use(self, now: float) -> None:
        """Note a call."""
        self.used_at = now
        if self.token is not None:
            self.token.used_at = self.token.parent.used_at = now

    def data(self) -> dict[str, Any]:
        """`credentials_data` as auth.sessions shows it."""
        login_id = {"login_id": self.login_id} if self.login_id else {}
        if self.token is not None:
            parent = self.token.parent
            shown = {"credentials": parent.kind, "credentials_data": parent.data()}
            return {"parent": shown, **login_id, "username": self.username}
        data = {"username": self.username, **login_id, "login_at": {"$date": int(self.login_at * 1000)}}
        if self.api_key is not None:
            data["api_key"] = {"id": self.api_key.id, "name": self.api_key.name}
        return data


class Tokens:
    """All tokens that can still log somebody in. Times are monotonic seconds."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._tokens: dict[str, Token] = {}

    def create(
        self,
        parent: Credentials,
        *,
        ttl_s: int,
        address: str | None,
        match_origin: bool,
        single_use: bool,
        now: float,
        attributes: dict[str, Any] | None = None,
    ) -> Token:
        """Make a token; those that have lapsed are forgotten."""
        self._tokens = {text: token for text, token in self._tokens.items() if token.valid(now)}
        text = base64.urlsafe_b64encode(self._rng.randbytes(48)).decode()
        token = Token(text, ttl_s, parent.root, address, match_origin, single_use, now, attributes or {})
        self._tokens[text] = token
        return token

    def log_in(self, text: str, address: str | None, now: float) -> Token | None:
        """The token for a login from this address; None if it is unknown, lapsed, for elsewhere or something else."""
        token = self._tokens.get(text)
        if token is None or not token.valid(now) or token.attributes:
            return None
        if token.match_origin and token.address != address:
            return None
        if token.single_use:
            del self._tokens[text]
        token.used_at = now
        return token

    def destroy(self, token: Token) -> None:
        """No login by it any more."""
        self._tokens.pop(token.text, None)

    def revoke(self, stems_from: Callable[[Credentials], bool]) -> None:
        """Destroy the tokens whose login this is true of."""
        self._tokens = {text: token for text, token in self._tokens.items() if not stems_from(token.parent)}
