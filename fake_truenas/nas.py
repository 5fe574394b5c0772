"""The NAS itself: state, methods and sessions, without a network. `server.py` puts it on a port."""

import asyncio
import errno
import logging
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Final

from fake_truenas import api_keys, pools, tables
from fake_truenas.assurance import LEVELS
from fake_truenas.config import NasConfig
from fake_truenas.context import Ctx
from fake_truenas.credentials import Credentials, Tokens
from fake_truenas.errors import ENOTAUTHENTICATED, CallError, MethodNotFound
from fake_truenas.events import Events
from fake_truenas.jobs import JobRun, Jobs
from fake_truenas.latency import resolve
from fake_truenas.methods import default_registry
from fake_truenas.persona import persona
from fake_truenas.pieces import MAX_ENTRIES, Answers, gather
from fake_truenas.rate_limit import RateLimiter
from fake_truenas.registry import DatasetHooks, Method, Registry
from fake_truenas.roles import may_call
from fake_truenas.session import Session
from fake_truenas.steps import Unfinished, begin, complete
from fake_truenas.store import Store

if TYPE_CHECKING:
    from fake_truenas.connection import Connection
    from fake_truenas.server import Server

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
    params: list[Any] = field(repr=False)
    request_id: Any
    session: Session
    connection: "Connection"


@dataclass(frozen=True, slots=True)
class Shaped:
    """What an interceptor returns to have the reply sent in its own way.

    Attributes:
        outcome: the result, or the error to answer with.
        send: gets the encoded reply and the function that writes a text frame: it may write it changed, later, more
            than once, or not at all.
    """

    outcome: Any
    send: Callable[[bytes, Callable[[bytes], None]], None]


Proceed = Callable[[], Awaitable[Any]]
"""Applies the call (authorise, validate, change, commit); gives the result or raises an ApiError. Await it once."""

Intercept = Callable[[Call, Proceed], Awaitable[Any]]
"""The one hook for faults, around every call that arrives over a connection.

What it returns is the reply's result. It may wait before or after `await proceed()`, raise an ApiError without calling
it (refused, no effect) or after it (refused, but the effect is there), return NO_REPLY or `Shaped`, or cut the
connection. When the connection ends while it waits, it goes on to its end; only closing the NAS cancels it. A result of
very many entries is `Pieces` of JSON.
"""


ShapeEvent = Callable[["Connection", bytes, Callable[[bytes], None]], None]
"""The hook for faults of notifications: gets each encoded one and the function that writes a text frame."""

_SESSION_NAMESPACES: Final = ("auth.", "core.")


def can_rehearse(method: Method) -> bool:
    """Whether a rollback undoes all of the method's effect: it neither waits nor is a job, nor changes a session."""
    return not method.is_async and not method.name.startswith(_SESSION_NAMESPACES)


class Nas:
    """One NAS with its store, jobs and sessions.

    Args:
        config: pools, key, persona.
        rng: source of guids, serial numbers, session ids and random delays.
        clock: gives seconds since the epoch.
        intercept: hook for faults, see `Intercept`.
        registry: the methods served; all of `fake_truenas.methods` by default.
        store: what a crashed NAS left behind (`Nas.crash`); a new one, or that of the data directory, by default.

    Raises:
        StoreError: the data directory is in use, or of another version, or has other pools.
        UnknownMethod: a rule of `config.latency` is for methods that this release does not have.
    """

    def __init__(
        self,
        config: NasConfig,
        *,
        rng: random.Random,
        clock: Callable[[], float],
        intercept: Intercept | None = None,
        registry: Registry | None = None,
        store: Store | None = None,
    ) -> None:
        self.config = config
        self.rng = rng
        self.clock = clock
        self.intercept = intercept
        self.shape_event: ShapeEvent | None = None
        self.persona = persona(config.version)
        self.registry = (registry or default_registry()).serving(self.persona)
        self.hooks: list[DatasetHooks] = self.registry.hooks
        self.crashed = False
        self.boot_id = self.new_uuid()
        self.started_at = clock()
        self.events = Events()
        self.jobs = Jobs(self)
        self.sessions: dict[str, Session] = {}
        self.tokens = Tokens(rng)
        self.accounts = config.make_accounts()
        self.level = LEVELS[config.authenticator_level]
        self.servers: list[Server] = []
        self._answers = Answers()
        self._latency = resolve(config.latency, self.registry.methods)
        self._rate_limiter = RateLimiter(config.rate_limit) if config.rate_limit is not None else None
        all_tables = [tables.TABLES, api_keys.TABLES, *self.registry.tables]
        self.db = Store(all_tables, config.data_dir) if store is None else store
        try:
            with self.db.transaction():
                pools.ensure(self.db, config.pools, rng, clock())
                api_keys.ensure_configured(
                    self.db, rng, text=config.api_key, username=config.username, now=clock(),
                    with_verifier=self.persona.scram,
                )  # fmt: skip
        except BaseException:
            self.db.close()
            raise
        self._inside = Session("inside")
        self._inside.username = "root"

    async def serve(self, host: str, port: int, ssl: SSLContext | None = None) -> "Server":
        """Listen for websocket connections, with `ssl` over TLS; port 0 takes a free one.

        May be called more than once, for one NAS on several ports.
        """
        from fake_truenas.server import Server  # noqa: PLC0415 - a NAS called directly needs no network code

        server = await Server.start(self, host, port, ssl)
        self.servers.append(server)
        return server

    def close(self) -> None:
        """Close the store and end the jobs; close the servers first. May be called twice."""
        self.jobs.close()
        self.db.close()

    def crash(self) -> Store:
        """End without a goodbye: jobs and sessions are gone; gives what was committed, for the NAS that comes next.

        A call that still runs is cancelled before it changes anything.
        """
        self.crashed = True
        self.jobs.close()
        self.db.rollback()
        return self.db

    def new_uuid(self) -> str:
        """A random uuid from the NAS's own source."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def open_session(self, connection: "Connection") -> Session:
        """Begin the session of a new connection, not logged in."""
        session = Session(self.new_uuid(), connection, self.clock())
        self.sessions[session.id] = session
        return session

    def end_session(self, session: Session) -> None:
        """The connection is gone: forget its login and subscriptions. Calls that run complete, still logged in."""
        self.events.drop(session)
        self._end_login(session)
        session.connection = None
        self.sessions.pop(session.id, None)

    def invalidate_sessions(self) -> None:
        """Log everybody out while the sockets stay open: calls are answered with 207 until they log in again."""
        for session in self.sessions.values():
            self.log_out(session)

    def end_logins_by_key(self, key_id: int) -> None:
        """An API key is no longer good: log out who came in by it, or by a token made by them, and end such tokens."""

        def by_key(credentials: Credentials) -> bool:
            key = credentials.root.api_key
            return key is not None and key.id == key_id

        self.tokens.revoke(by_key)
        for session in self.sessions.values():
            if session.credentials is not None and by_key(session.credentials):
                self.log_out(session)

    def log_in(self, session: Session, credentials: Credentials) -> None:
        """Somebody is logged in from now on; a second login replaces the first in the same session."""
        is_new = session.credentials is None and session.id in self.sessions
        session.log_in(credentials)
        if is_new and self.events.wanted("auth.sessions"):
            self.events.send("auth.sessions", "added", session.id, session.entry())

    def log_out(self, session: Session) -> None:
        """Back to not authenticated, without subscriptions; the token it came in by is gone."""
        self.events.drop(session)
        self._end_login(session)
        session.username = session.credentials = session.attempt = None

    def _end_login(self, session: Session) -> None:
        if session.credentials is None:
            return
        if session.credentials.token is not None:
            self.tokens.destroy(session.credentials.token)
        if session.id in self.sessions and self.events.wanted("auth.sessions"):
            self.events.send("auth.sessions", "removed", session.id, {"id": session.id})

    async def apply(self, session: Session, name: str, params: list[Any], request_id: Any = None) -> Any:
        """Run one call of a session: authorise, validate, apply and commit.

        Gives the result, that of very many entries as `Pieces` of JSON; for a job its id, or its result where the
        session has switched legacy_jobs off.

        Raises:
            ApiError: refused, nothing was changed (a failed job may have changed something).
        """
        method = self._admit(session, name)
        if session.username is None and self._rate_limiter is not None:
            await self._limit_rate(self._rate_limiter, session, name)
        job, result = await self._perform(method, Ctx(self, session, request_id), params)
        if job is None:
            if isinstance(result, Unfinished):
                return await self._answers.encode(result, lambda: session.connection is not None and not self.crashed)
            return result
        return job.id if session.legacy_jobs or session.legacy_protocol else await job.outcome()

    async def apply_inner(self, session: Session, name: str, params: list[Any]) -> tuple[JobRun | None, Any]:
        """One call of a session from inside another; gives the job, which goes on, or None and the call's result.

        Raises:
            ApiError: refused; E2BIG, the result is a list of more than `MAX_ENTRIES`.
        """
        job, result = await self._perform(self._admit(session, name), Ctx(self, session), params)
        return job, await gather(result, MAX_ENTRIES) if isinstance(result, Unfinished) else result

    async def _perform(self, method: Method, ctx: Ctx, params: list[Any]) -> tuple[JobRun | None, Any]:
        args = method.validate(params)
        if method.job is not None:
            return self.jobs.submit(method, ctx, args), None
        await self.take_time(method)
        return None, await method.handler(ctx, *args) if method.is_async else self._run(method, ctx, args)

    def rehearse(self, session: Session, name: str, params: list[Any]) -> Any:
        """What a call would answer, without its effect.

        Raises:
            ApiError: it would be refused.
            TypeError: its effect could not be undone, see `can_rehearse`.
        """
        method = self._admit(session, name)
        if not can_rehearse(method):
            raise TypeError(f"{name} cannot be rehearsed: it may wait, or changes what is not in the store")
        ctx = Ctx(self, session, rehearsal=True)
        try:
            return complete(method.handler(ctx, *method.validate(params)))
        finally:
            self.db.rollback()
            ctx.discard()

    async def call(self, name: str, *params: Any) -> Any:
        """Call a method from inside the process, as a logged-in user; jobs are awaited. The interceptor is not asked.

        Raises:
            ApiError: refused, or the job failed.
        """
        job, result = await self._perform(self._admit(self._inside, name), Ctx(self, self._inside), list(params))
        if isinstance(result, Unfinished):
            return await gather(result)
        return result if job is None else await job.outcome()

    def call_direct(self, name: str, *params: Any) -> Any:
        """`call` for methods that neither wait nor are jobs, without an event loop.

        Raises:
            TypeError: the method waits; use `await nas.call(...)`.
        """
        method = self._admit(self._inside, name)
        if method.is_async:
            raise TypeError(f"{name} may wait: use await nas.call({name!r}, ...)")
        result = self._run(method, Ctx(self, self._inside), method.validate(params))
        return result.complete() if isinstance(result, Unfinished) else result

    async def take_time(self, method: Method) -> None:
        """Wait as long as this call of the method takes, by `NasConfig.latency`."""
        times = self._latency.get(method.name)
        if times is not None:
            await asyncio.sleep(times.draw(self.rng))

    def _admit(self, session: Session, name: str) -> Method:
        method = self.registry.methods.get(name)
        if method is None or (method.private and not session.private_methods):
            raise MethodNotFound
        credentials = session.credentials
        if credentials is not None:
            now = asyncio.get_running_loop().time()
            if credentials.valid(now):
                credentials.use(now)
            else:
                self.log_out(session)
        if method.public:
            return method
        if session.username is None:
            raise CallError("Not authenticated", ENOTAUTHENTICATED)
        if credentials is not None and not may_call(credentials.roles, name):
            raise CallError("Not authorized", errno.EACCES)
        return method

    async def _limit_rate(self, limiter: RateLimiter, session: Session, name: str) -> None:
        if limiter.exceeded(name, session.address, asyncio.get_running_loop().time()):
            await asyncio.sleep(self.rng.uniform(*limiter.limit.delay_s))
            raise CallError("Rate Limit Exceeded", errno.EBUSY)

    def _run(self, method: Method, ctx: Ctx, args: list[Any]) -> Any:
        if self.crashed:
            raise asyncio.CancelledError(f"{method.name}: the NAS has crashed")
        try:
            result = begin(method.handler(ctx, *args))
        except BaseException:
            self.db.rollback()
            raise
        self.db.commit()
        ctx.flush()
        return result
