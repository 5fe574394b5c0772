"""Who is at the other end of a connection, and what they asked for."""

from typing import TYPE_CHECKING, Any

from fake_truenas.credentials import Credentials, OtpAttempt

if TYPE_CHECKING:
    from fake_truenas.connection import Connection
    from fake_truenas.scram import Exchange


class Session:
    """One connection's login, options and subscriptions. Not kept across restarts.

    Attributes:
        id: a uuid.
        connection: where replies and events go; None inside of the process.
        address: the client's IP address, None if it did not come over TCP.
        port: the client's port, with an address.
        username: the account logged in, or None.
        credentials: what it logged in with; None before, and inside of the process.
        attempt: a login that waits for its next message.
        login_at: when the first login since the last logout was, in seconds since the epoch.
        secure: nobody can listen: over TLS, from the loopback, or not over a network at all.
        end_point: what a login over this connection's TLS can be bound to; None without TLS.
        legacy_jobs: job methods answer with the job's id instead of its result.
        legacy_protocol: came in by `/websocket`, where they do whatever `legacy_jobs` says.
        subscriptions: event name by subscription id.
    """

    __slots__ = (
        "address", "attempt", "connection", "created_at", "credentials", "end_point", "id", "legacy_jobs",
        "legacy_protocol", "login_at", "port", "private_methods", "py_exceptions", "secure", "subscriptions",
        "username",
    )  # fmt: skip

    def __init__(self, session_id: str, connection: "Connection | None" = None, created_at: float = 0.0) -> None:
        self.id = session_id
        self.connection = connection
        self.created_at = created_at
        self.address: str | None = None
        self.port: int | None = None
        self.secure = True
        self.end_point: bytes | None = None
        self.username: str | None = None
        self.credentials: Credentials | None = None
        self.attempt: OtpAttempt | Exchange | None = None
        self.login_at = 0.0
        self.legacy_jobs = True
        self.legacy_protocol = False
        self.private_methods = False
        self.py_exceptions = False
        self.subscriptions: dict[str, str] = {}

    @property
    def authenticated(self) -> bool:
        """Whether somebody is logged in."""
        return self.username is not None

    @property
    def origin(self) -> str:
        """Address and port of the client, as the API writes them."""
        if self.address is None:
            return "UNIX_SOCKET"
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def log_in(self, credentials: Credentials) -> None:
        """Somebody is logged in from now on; a second login replaces the first in the same session."""
        if self.username is None:
            self.login_at = credentials.login_at
        self.username = credentials.username
        self.credentials = credentials

    def entry(self, *, current: bool = False) -> dict[str, Any]:
        """The session as auth.sessions shows it; `current` if it is the caller's. Only for one that is logged in."""
        if self.credentials is None:
            raise LookupError("a session without a login is not listed")
        return {
            "id": self.id,
            "current": current,
            "internal": False,
            "origin": self.origin,
            "credentials": self.credentials.kind,
            "credentials_data": self.credentials.data(),
            "created_at": {"$date": int(self.login_at * 1000)},
            "secure_transport": self.secure,
        }
