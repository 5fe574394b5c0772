"""Keeps one logged-in connection to the NAS: connect, log in, serve, and all over again with growing delays."""

import asyncio
import logging
import os
import random
from collections.abc import Callable
from typing import Any, ClassVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_never
from tenacity.wait import wait_base
from websockets.exceptions import WebSocketException

from csisim.errors import NasIndeterminate
from csisim.truenas import jsonrpc
from csisim.truenas.connection import Answer, Connection, FrameCounts, NasSocket, NotSent
from csisim.truenas.retry import JitteredBackoff
from csisim.truenas.settings import NasSettings
from csisim.truenas.task_map import TaskMap

_log = structlog.get_logger(__name__)

# At DEBUG the library logs whole frames, and one of them holds the API key: this logger does not go below WARNING.
_WIRE_LOG = logging.getLogger("csisim.truenas.wire")
_WIRE_LOG.setLevel(logging.WARNING)

LOGIN = "auth.login_with_api_key"
SUBSCRIBE = "core.subscribe"


class _SessionEnded(Exception):
    """Why there is no session any more; `refused`: the NAS turned the login down."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.refused = refused


class _SessionBackoff(wait_base):
    """Counts failures over sessions: one that lasted starts anew, a refused login waits longer."""

    def __init__(self, rng: random.Random, settings: NasSettings) -> None:
        self._backoff = JitteredBackoff(rng, base_s=settings.backoff_s, max_s=settings.backoff_max_s)
        self._refused = JitteredBackoff(
            rng, base_s=settings.backoff_refused_s, max_s=max(settings.backoff_refused_s, settings.backoff_max_s)
        )
        self._stable_s = settings.stable_s
        self._failures = 0

    def __call__(self, retry_state: RetryCallState) -> float:
        """As tenacity asks: the delay after the session that ended."""
        error = retry_state.outcome.exception() if retry_state.outcome is not None else None
        return self.next_s(refused=isinstance(error, _SessionEnded) and error.refused)

    def lasted(self, seconds: float) -> bool:
        """Take note of a session's length; whether it was a stable one."""
        if seconds < self._stable_s:
            return False
        self._failures = 0
        return True

    def next_s(self, *, refused: bool = False) -> float:
        """The delay after one more failure."""
        self._failures += 1
        return (self._refused if refused else self._backoff).delay_s(self._failures)


class Session:
    """The current connection, if one is up and logged in; one connection and one login at a time.

    Args:
        settings: of the client.
        rng: for the jitter.
        connect: as `websockets.asyncio.client.connect`.
        tasks: where calls in flight are shown.
        frames: where odd frames are counted.
        ids: request ids of the client.
        on_notification: called with messages without id; must not raise.
        on_login: called after each login, before any call: subscriptions and job numbers are those of a new session.
        on_lost: called when a connection has ended.
    """

    connection_kind: ClassVar[type[Connection]] = Connection

    def __init__(
        self,
        settings: NasSettings,
        *,
        rng: random.Random,
        connect: Callable[..., Any],
        tasks: TaskMap,
        frames: FrameCounts,
        ids: jsonrpc.RequestIds,
        on_notification: Callable[[jsonrpc.Notification], None],
        on_login: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._backoff = _SessionBackoff(rng, settings)
        self._connect = connect
        self._tasks = tasks
        self._frames = frames
        self._ids = ids
        self._on_notification = on_notification
        self._on_login = on_login
        self._on_lost = on_lost
        self._connection: Connection | None = None
        self._latest: Connection | None = None
        self._ready = asyncio.Event()
        self._disturbed = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._shutdown: asyncio.Task[None] | None = None
        self._trouble = "the client was not started"
        self._tried_at: float | None = None
        self._events: dict[str, int] = {}
        self.generation = 0

    def start(self) -> None:
        """Begin to connect; a second start does nothing."""
        if self._keeper is None and self._shutdown is None:
            self._trouble = "connecting"
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="nas-session")
            self._keeper.add_done_callback(self._keeper_done)

    async def close(self) -> None:
        """End the session for good; every caller waits for the same end."""
        if self._shutdown is None:
            self._shutdown = asyncio.get_running_loop().create_task(self._close(), name="nas-close")
        await asyncio.shield(self._shutdown)

    @property
    def connection(self) -> Connection | None:
        """The connection to send on, None where there is none or its session is not logged in."""
        return self._connection if self._ready.is_set() and self._shutdown is None else None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._shutdown is not None

    async def wait_ready(self, timeout_s: float) -> bool:
        """Wait until logged in; False where that takes longer, or at once where the session is closed for good."""
        if self.closed:
            return False
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return False
        return not self.closed

    def trouble(self) -> str:
        """Why there is no connection, for people."""
        if self.closed:
            return "the NAS client is closed"
        text = f"NAS unreachable at {self._settings.address}: {self._trouble}"
        if self._tried_at is None:
            return text
        return f"{text}; last tried {asyncio.get_running_loop().time() - self._tried_at:.1f} s ago"

    def login_lost(self, generation: int) -> None:
        """A call of this login was told "not authenticated": log in again, unless that has happened already."""
        if generation == self.generation and self._ready.is_set():
            _log.info("nas.session_lost", nas=self._settings.address)
            self._trouble = "the NAS ended the session; logging in again"
            self._ready.clear()
            self._disturbed.set()

    def listen_for(self, event: str) -> bool:
        """Have this event in all later sessions; True where the present one has yet to subscribe to it.

        The caller then does so itself, which keeps the call within its own deadline.
        """
        known = self._events.get(event)
        self._events[event] = self.generation
        return known != self.generation and self.connection is not None

    async def _close(self) -> None:
        self._ready.set()  # whoever waits for a connection goes on, and sees that there will be none
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
        if self._latest is not None:
            # The keeper may have been cancelled while it was doing this itself.
            await self._latest.close(graceful=False)

    async def _keep(self) -> None:
        retrying = AsyncRetrying(
            sleep=asyncio.sleep,
            wait=self._backoff,
            stop=stop_never,
            retry=retry_if_exception_type(_SessionEnded),
            before_sleep=self._log_end,
        )
        await retrying(self._one_session)

    def _keeper_done(self, keeper: "asyncio.Task[None]") -> None:
        if not keeper.cancelled() and (error := keeper.exception()) is not None:
            self._trouble = f"the connection keeper failed with {type(error).__name__}; restart the driver"
            _log.error("nas.keeper_failed", nas=self._settings.address, exc_info=error)

    def _log_end(self, state: RetryCallState) -> None:
        _log.warning(
            "nas.disconnected",
            nas=self._settings.address,
            reason=self._trouble,
            retry_in_s=round(state.upcoming_sleep, 3),
        )

    async def _one_session(self) -> None:
        connection = await self._open()
        try:
            await self._serve(connection)
        finally:
            # close() gets here with the connection still up: then the NAS is owed a goodbye.
            graceful = connection.end_reason is None
            self._unready()
            self._connection = None
            await connection.close(graceful=graceful)

    async def _open(self) -> Connection:
        settings = self._settings
        self._tried_at = asyncio.get_running_loop().time()
        try:
            socket = await self._connect(
                settings.url,
                create_connection=NasSocket,
                compression=None,
                proxy=None,
                open_timeout=settings.connect_timeout_s,
                close_timeout=settings.close_timeout_s,
                ping_interval=None,
                max_size=settings.max_message_bytes,
                max_queue=(256, 64),
                logger=_WIRE_LOG,
            )
        except (OSError, UnicodeError, WebSocketException) as error:
            raise self._ended(_describe(error)) from None
        self._connection = self.connection_kind(
            socket,
            settings,
            self._tasks,
            self._frames,
            on_notification=self._on_notification,
            on_end=self._connection_ended,
        )
        self._latest = self._connection
        return self._connection

    async def _serve(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._disturbed.clear()
            await self._login(connection)
            self.generation += 1
            self._on_login()
            await self._subscribe(connection)
            since = loop.time()
            if connection.end_reason is None:
                _log.info("nas.connected", nas=self._settings.address, generation=self.generation)
                self._ready.set()
                await self._disturbed.wait()
            stable = self._backoff.lasted(loop.time() - since)
            if connection.end_reason is not None:
                raise self._ended(f"connection lost: {connection.end_reason}")
            if not stable:
                # A NAS that drops each session at once must not be flooded with logins: it counts them.
                await asyncio.sleep(self._backoff.next_s())

    async def _login(self, connection: Connection) -> None:
        try:
            answer = await self._request(connection, LOGIN, self._settings.api_key)
        except NasIndeterminate as error:
            raise self._ended(str(error)) from None
        if isinstance(answer, jsonrpc.ErrorReply):
            text = answer.reason.replace(self._settings.api_key, "***")
            raise self._ended(f"{LOGIN}: {text}", refused=True)
        if answer.result is not True:
            raise self._ended("the API key was refused; set one that is valid on this NAS", refused=True)

    async def _subscribe(self, connection: Connection) -> None:
        for event in tuple(self._events):
            self._events[event] = self.generation
            try:
                answer = await self._request(connection, SUBSCRIBE, event)
            except NasIndeterminate as error:
                raise self._ended(str(error)) from None
            if isinstance(answer, jsonrpc.ErrorReply):
                # Jobs are polled too: slower, not wrong.
                _log.warning("nas.not_subscribed", subscription=event, reason=answer.reason)

    async def _request(self, connection: Connection, method: str, param: str) -> Answer:
        request_id = self._ids.take()
        text = jsonrpc.encode(request_id, method, (param,))
        try:
            pending = connection.submit(request_id, method, text, timeout_s=self._settings.connect_timeout_s)
        except NotSent as error:
            raise NasIndeterminate(method, str(error), sent=False) from None
        return await connection.answer(pending)

    def _connection_ended(self) -> None:
        self._unready()
        if self._connection is not None:
            self._trouble = f"connection lost: {self._connection.end_reason}"
        self._on_lost()
        self._disturbed.set()

    def _unready(self) -> None:
        if not self.closed:
            self._ready.clear()

    def _ended(self, reason: str, *, refused: bool = False) -> _SessionEnded:
        self._trouble = reason
        return _SessionEnded(reason, refused=refused)


def _describe(error: Exception) -> str:
    """What went wrong in connecting, in the words of the operating system where it has any."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
