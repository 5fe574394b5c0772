"""The NAS itself: state, methods and sessions, without a network. `server.py` puts it on a port."""

import asyncio
import errno
import logging
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fake_truenas import pools, tables
from fake_truenas.config import NasConfig
from fake_truenas.context import Ctx
from fake_truenas.credentials import Token, Tokens
from fake_truenas.errors import ENOTAUTHENTICATED, CallError, MethodNotFound
from fake_truenas.events import Events
from fake_truenas.jobs import Jobs
from fake_truenas.methods import default_registry
from fake_truenas.persona import persona
from fake_truenas.rate_limit import RateLimiter
from fake_truenas.registry import DatasetHooks, Method, Registry
from fake_truenas.session import Session
from fake_truenas.store import Store

if TYPE_CHECKING:
    from fake_truenas.server import Connection, Server

logger = logging.getLogger(__name__)


class _NoReply:
    """Type of NO_REPLY."""

    def __repr__(self) -> str:
        return "NO_REPLY"


NO_REPLY: Final = _NoReply()
"""What an interceptor returns to have no reply sent. The call counts as finished; nothing is parked."""


@dataclass(frozen=True, slots=True)
class Call:
    """A method call on its way in, as an interceptor sees it.

    Attributes:
        method: full name, such as "pool.dataset.create"; it may not exist.
        params: the request's own params, not validated yet; must not be changed.
        request_id: the JSON-RPC id, None for a notification.
        session: who calls.
        connection: cuts itself off by `connection.abort()` (like a TCP reset) or `connection.close(code, reason)`.
    """

    method: str
    params: list[Any]
    request_id: Any
    session: Session
    connection: "Connection"


Proceed = Callable[[], Awaitable[Any]]
"""Applies the call (authorise, validate, change, commit); gives the result or raises an ApiError. Await it once."""

Intercept = Callable[[Call, Proceed], Awaitable[Any]]
"""The one hook for faults, around every call that arrives over a connection.

What it returns is the reply's result. It may wait before or after `await proceed()`, raise an ApiError without
calling it (refused, no
effect) or after it (refused, but the effect is there), return NO_REPLY, or cut the connection. When the connection
ends while it
waits, it goes on to its end; only closing the NAS cancels it.
"""


class Nas:
    """One NAS with its store, jobs and sessions.

    Args:
        config: pools, key, persona.
        rng: source of guids, serial numbers, session ids and random delays.
        clock: gives seconds since the epoch.
        intercept: hook for faults, see `Intercept`.
        registry: the methods served; all of `fake_truenas.methods` by default.

    Raises:
        StoreError: the data directory is in use, or of another version, or has other pools.
    """

    def __init__(
        self,
        config: NasConfig,
        *,
        rng: random.Random,
        clock: Callable[[], float],
        intercept: Intercept | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.config = config
        self.rng = rng
        self.clock = clock
        self.intercept = intercept
        self.persona = persona(config.version)
        self.registry = (registry or default_registry()).serving(self.persona)
        self.hooks: list[DatasetHooks] = self.registry.hooks
        self.boot_id = self.new_uuid()
        self.started_at = clock()
        self.events = Events()
        self.jobs = Jobs(self)
        self.sessions: dict[str, Session] = {}
        self.tokens = Tokens(rng)
        self.servers: list[Server] = []
        self._rate_limiter = RateLimiter(config.rate_limit) if config.rate_limit is not None else None
        self.db = Store([tables.TABLES, *self.registry.tables], config.data_dir)
        try:
            with self.db.transaction():
                pools.ensure(self.db, config.pools, rng, clock())
        except BaseException:
            self.db.close()
            raise
        self._inside = Session("inside")
        self._inside.username = "root"

    async def serve(self, host: str, port: int) -> "Server":
        """Listen for websocket connections; port 0 takes a free one."""
        from fake_truenas.server import Server  # noqa: PLC0415 - a NAS called directly needs no network code

        server = await Server.start(self, host, port)
        self.servers.append(server)
        return server

    def close(self) -> None:
        """Close the store and end the jobs; close the servers first. May be called twice."""
        self.jobs.close()
        self.db.close()

    def new_uuid(self) -> str:
        """A random uuid from the NAS's own source."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def open_session(self, connection: "Connection") -> Session:
        """Begin the session of a new connection, not logged in."""
        session = Session(self.new_uuid(), connection, self.clock())
        self.sessions[session.id] = session
        return session

    def end_session(self, session: Session) -> None:
        """The connection is gone: forget its subscriptions. Calls that run complete, still logged in."""
        self.events.drop(session)
        self._end_token(session)
        session.connection = None
        self.sessions.pop(session.id, None)

    def invalidate_sessions(self) -> None:
        """Log everybody out while the sockets stay open: calls are answered with 207 until they log in again."""
        for session in self.sessions.values():
            self.log_out(session)

    def log_out(self, session: Session) -> None:
        """Back to not authenticated, without subscriptions; the token it came in by is gone."""
        self.events.drop(session)
        self._end_token(session)
        session.username = session.credentials = None

    def _end_token(self, session: Session) -> None:
        if session.credentials is not None and session.credentials.token is not None:
            self.tokens.destroy(session.credentials.token)

    async def apply(self, session: Session, name: str, params: list[Any], request_id: Any = None) -> Any:
        """Run one call of a session: authorise, validate, apply and commit.

        Gives the result; for a job its id, or its result where the session has switched legacy_jobs off.

        Raises:
            ApiError: refused, nothing was changed (a failed job may have changed something).
        """
        method = self._admit(session, name)
        if session.username is None and self._rate_limiter is not None:
            await self._limit_rate(self._rate_limiter, session, name)
        args = method.validate(params)
        ctx = Ctx(self, session, request_id)
        if not method.is_async:
            return self._run(method, ctx, args)
        if method.job is not None:
            job = self.jobs.submit(method, ctx, args)
            return job.id if session.legacy_jobs else await job.outcome()
        return await method.handler(ctx, *args)

    async def apply_inner(self, session: Session, name: str, params: list[Any]) -> tuple[int | None, Any]:
        """One call of a session from inside another; gives the job's id, or None, and the finished call's result.

        Raises:
            ApiError: refused, or the job failed.
        """
        method = self._admit(session, name)
        args = method.validate(params)
        ctx = Ctx(self, session)
        if not method.is_async:
            return None, self._run(method, ctx, args)
        if method.job is not None:
            job = self.jobs.submit(method, ctx, args)
            return job.id, await job.outcome()
        return None, await method.handler(ctx, *args)

    async def call(self, name: str, *params: Any) -> Any:
        """Call a method from inside the process, as a logged-in user; jobs are awaited. The interceptor is not asked.

        Raises:
            ApiError: refused, or the job failed.
        """
        return (await self.apply_inner(self._inside, name, list(params)))[1]

    def call_direct(self, name: str, *params: Any) -> Any:
        """`call` for methods that neither wait nor are jobs, without an event loop.

        Raises:
            TypeError: the method waits; use `await nas.call(...)`.
        """
        method = self._admit(self._inside, name)
        if method.is_async:
            raise TypeError(f"{name} may wait: use await nas.call({name!r}, ...)")
        return self._run(method, Ctx(self, self._inside), method.validate(params))

    def _admit(self, session: Session, name: str) -> Method:
        method = self.registry.methods.get(name)
        if method is None or (method.private and not session.private_methods):
            raise MethodNotFound
        if session.credentials is not None and session.credentials.token is not None:
            self._use_token(session, session.credentials.token)
        if session.username is None and not method.public:
            raise CallError("Not authenticated", ENOTAUTHENTICATED)
        return method

    def _use_token(self, session: Session, token: Token) -> None:
        now = asyncio.get_running_loop().time()
        if token.valid(now):
            token.used_at = now
        else:
            self.log_out(session)

    async def _limit_rate(self, limiter: RateLimiter, session: Session, name: str) -> None:
        if limiter.exceeded(name, session.address, asyncio.get_running_loop().time()):
            await asyncio.sleep(self.rng.uniform(*limiter.limit.delay_s))
            raise CallError("Rate Limit Exceeded", errno.EBUSY)

    def _run(self, method: Method, ctx: Ctx, args: list[Any]) -> Any:
        try:
            result = method.handler(ctx, *args)
        except BaseException:
            self.db.rollback()
            raise
        self.db.commit()
        ctx.flush()
        return result
