"""Who is at the other end of a connection, and what they asked for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fake_truenas.server import Connection


class Session:
    """One connection's login, options and subscriptions. Not kept across restarts.

    Attributes:
        id: a uuid.
        connection: where replies and events go; None inside of the process.
        username: the account logged in, or None.
        legacy_jobs: job methods answer with the job's id instead of its result.
        subscriptions: event name by subscription id.
    """

    __slots__ = (
        "connection", "created_at", "id", "legacy_jobs", "private_methods", "py_exceptions", "subscriptions",
        "username",
    )  # fmt: skip

    def __init__(self, session_id: str, connection: "Connection | None" = None, created_at: float = 0.0) -> None:
        self.id = session_id
        self.connection = connection
        self.created_at = created_at
        self.username: str | None = None
        self.legacy_jobs = True
        self.private_methods = False
        self.py_exceptions = False
        self.subscriptions: dict[str, str] = {}

    @property
    def authenticated(self) -> bool:
        """Whether somebody is logged in."""
        return self.username is not None
