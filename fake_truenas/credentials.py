"""What a session has logged in with, and the tokens made from it (TrueNAS API 25.10)."""

import base64
import random
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["API_KEY", "LOGIN_PASSWORD", "TOKEN"]


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
    """

    text: str
    ttl_s: int
    parent: "Credentials"
    address: str | None
    match_origin: bool
    single_use: bool
    used_at: float

    def __repr__(self) -> str:
        return f"Token(ttl_s={self.ttl_s}, parent={self.parent!r})"

    def valid(self, now: float) -> bool:
        """Whether it has not lapsed; `now` is monotonic time in seconds."""
        return now < self.used_at + self.ttl_s


@dataclass(frozen=True, slots=True)
class Credentials:
    """One login: how, as whom, and when by the wall clock."""

    kind: Kind
    username: str
    login_at: float
    token: Token | None = None

    @property
    def root(self) -> "Credentials":
        """The login by key or password behind it."""
        return self.token.parent if self.token is not None else self

    def data(self, api_key_id: int) -> dict[str, Any]:
        """`credentials_data` as auth.sessions shows it."""
        if self.token is not None:
            parent = self.token.parent
            shown = {"credentials": parent.kind, "credentials_data": parent.data(api_key_id)}
            return {"parent": shown, "username": self.username}
        data: dict[str, Any] = {"username": self.username, "login_at": {"$date": int(self.login_at * 1000)}}
        if self.kind == "API_KEY":
            data["api_key"] = {"id": api_key_id, "name": f"key {api_key_id}"}
        return data


class Tokens:
    """All tokens that can still log somebody in. Times are monotonic seconds."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._tokens: dict[str, Token] = {}

    def create(
        self, parent: Credentials, *, ttl_s: int, address: str | None, match_origin: bool, single_use: bool, now: float
    ) -> Token:
        """Make a token; those that have lapsed are forgotten."""
        self._tokens = {text: token for text, token in self._tokens.items() if token.valid(now)}
        text = base64.urlsafe_b64encode(self._rng.randbytes(48)).decode()
        token = Token(text, ttl_s, parent.root, address, match_origin, single_use, now)
        self._tokens[text] = token
        return token

    def log_in(self, text: str, address: str | None, now: float) -> Token | None:
        """The token for a login from this address; None if there is none, it lapsed, or is for another address."""
        token = self._tokens.get(text)
        if token is None or not token.valid(now):
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
