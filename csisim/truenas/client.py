"""The NAS client: concurrent JSON-RPC calls over one websocket (TrueNAS API 25.10)."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from errno import E2BIG
from typing import Any, ClassVar, TypeVar

import structlog
from websockets.asyncio.client import connect as websocket_connect

from csisim.deadline import remaining_s, within
from csisim.errors import NasIndeterminate, NasRefused, NasTimeout
from csisim.truenas import jsonrpc, retry
from csisim.truenas.connection import Connection, FrameCounts, NotSent, Pending
from csisim.truenas.jobs import JOB_EVENTS, Item, JobBook, Watch, has_ended, result_of
from csisim.truenas.jsonrpc import Json
from csisim.truenas.session import SUBSCRIBE, Session
from csisim.truenas.settings import NasSettings
from csisim.truenas.task_map import NasTask, TaskMap

__all__ = ["Json", "NasClient", "NasSettings", "NasTask", "TaskMap", "unsettled"]

T = TypeVar("T")
_log = structlog.get_logger(__name__)

# Set it to a list before a mutation: if the call is given up (cancelled, timed out) after its bytes may have left, a
# future is added that completes when its answer came or its connection ended.
unsettled: ContextVar[list[asyncio.Future[None]] | None] = ContextVar("unsettled", default=None)

_MAX_LOGIN_LOSSES = 3


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked, until when (loop time), and whether giving it up is worth a note."""

    method: str
    params: Sequence[Json]
    ends: float
    unsettled: list[asyncio.Future[None]] | None


class NasClient:
    """One websocket to the NAS, kept up in the background; any number of concurrent calls.

    `csisim.deadline` bounds every wait, beside the time-outs of the settings. Calls never start on their own: once a
    task is cancelled, none that it made is sent any more.

    All calling methods raise:
        NasRefused: definite, the NAS said no. `errno` tells the cause.
        NasIndeterminate: unreachable or cut off; `sent` is False where the call certainly had no effect.
        NasTimeout: the same, because time ran out.

    Args:
        settings: of the client.
        rng: for the jitter of all delays.
        connect: as `websockets.asyncio.client.connect`; bind its `ssl` for a NAS whose certificate has a private CA.
        ids: numbers of the requests; its own by default.

    Attributes:
        tasks: calls in flight, given-up ones included; may be read from any thread.
        frames: what came in that fits no call; may be read from any thread.
    """

    tasks_kind: ClassVar[type[TaskMap]] = TaskMap
    session_kind: ClassVar[type[Session]] = Session

    def __init__(
        self,
        settings: NasSettings,
        *,
        rng: random.Random,
        connect: Callable[..., Any] = websocket_connect,
        ids: jsonrpc.RequestIds | None = None,
    ) -> None:
        self.tasks = self.tasks_kind()
        self.frames = FrameCounts()
        self._settings = settings
        self._ids = ids or jsonrpc.RequestIds()
        self._jobs = JobBook()
        self._slots = asyncio.Semaphore(settings.in_flight)
        self._session = self.session_kind(
            settings,
            rng=rng,
            connect=connect,
            tasks=self.tasks,
            frames=self.frames,
            ids=self._ids,
            on_notification=self._jobs.hear,
            on_login=self._jobs.new_session,
            on_lost=self._jobs.session_lost,
        )
        backoff = retry.JitteredBackoff(rng, base_s=settings.backoff_s, max_s=min(2.0, settings.backoff_max_s))
        self._policy = retry.RetryPolicy(settings.query_attempts, backoff)
        self._crowded = retry.JitteredBackoff(rng, base_s=settings.backoff_s / 10, max_s=settings.backoff_s * 5)

    async def start(self) -> None:
        """Begin connecting; returns at once, the NAS may be down."""
        self._session.start()

    async def close(self) -> None:
        """End the connection and answer every pending call, for good. May run twice or in parallel."""
        await self._session.close()

    @property
    def connected(self) -> bool:
        """Whether calls would be sent now: connected and logged in."""
        return self._session.connection is not None

    @property
    def logins(self) -> int:
        """How many logins succeeded so far, for metrics."""
        return self._session.generation

    async def wait_connected(self, timeout_s: float) -> bool:
        """Wait until connected and logged in; False where that took longer."""
        return await self._session.wait_ready(timeout_s)

    async def call(self, method: str, *params: Json, timeout_s: float | None = None) -> Json:
        """Call once: never repeated after bytes may have left, except where the NAS said that it ran nothing.

        For mutations. Should the call be given up, `unsettled` notes it.

        Args:
            method: such as pool.dataset.create.
            params: positional, JSON values.
            timeout_s: instead of the setting; the caller's deadline ends it sooner.
        """
        result, _ = await self._call(method, params, timeout_s, unsettled.get())
        return result

    async def query(self, method: str, *params: Json) -> Json:
        """Call a method that only reads; repeated after a lost answer while attempts and deadline last."""
        try:
            return (await self._call(method, params, None, None))[0]
        except NasIndeterminate as error:
            if not error.sent:
                raise  # it has waited for a connection already
            lost = error

        async def again() -> Json:
            return (await self._call(method, params, None, None))[0]

        return await retry.retry(lost, again, self._policy, lambda error: error.sent)

    async def job(self, method: str, *params: Json) -> Json:
        """Call a job method and wait for the job to end; returns the job's result.

        Should it be given up, `unsettled` notes the call, or the job by then. A plain answer, as some versions give
        where others start a job, is returned as it is.

        Raises:
            NasRefused: also where the job failed or was aborted; it may have done part of its work.
            NasIndeterminate: also where nothing is known of the job after a reconnect.
        """
        with within(self._settings.job_timeout_s):
            if self._session.listen_for(JOB_EVENTS):
                await self._subscribe_jobs(method)
            note = unsettled.get()
            with self._jobs.starting():
                job_id, generation = await self._call(method, params, None, note)
                if isinstance(job_id, bool) or not isinstance(job_id, int):
                    return job_id
                watch = Watch(job_id, method, params, stale=generation != self._session.generation)
                self._jobs.add(watch)
            try:
                item = await self._end_of(watch)
            finally:
                self._jobs.leave(watch, note)
            return result_of(item, method)

    async def settle(self, do: Callable[[], Awaitable[T]], lookup: Callable[[], Awaitable[T | None]]) -> T:
        """Carry out a mutation to a known end; `retry.settle` with this client's delays and attempts.

        Args:
            do: performs it (with `call` or `job`) and returns what was made.
            lookup: finds the same by name (with `query`); None where it does not exist.
        """
        return await retry.settle(do, lookup, self._policy)

    async def _call(
        self, method: str, params: Sequence[Json], timeout_s: float | None, note: list[asyncio.Future[None]] | None
    ) -> tuple[Json, int]:
        """The result, and the login under which it was given."""
        budget_s = remaining_s(self._settings.call_timeout_s if timeout_s is None else timeout_s)
        request = _Request(method, params, asyncio.get_running_loop().time() + budget_s, note)
        attempt = 0
        losses = 0
        while True:
            attempt += 1
            connection, pending, generation = await self._send(request, attempt)
            answer = await connection.answer(pending, note)
            if isinstance(answer, jsonrpc.Reply):
                return answer.result, generation
            if answer.code == jsonrpc.TOO_MANY_CALLS:
                await self._pause(request, attempt, answer.reason)
            elif answer.errno == jsonrpc.ENOTAUTHENTICATED:
                losses += 1
                if losses == _MAX_LOGIN_LOSSES:
                    raise NasIndeterminate(method, "the NAS ends the session after each login; nothing ran", sent=False)
                self._session.login_lost(generation)
            else:
                raise answer.refusal(method)

    async def _send(self, request: _Request, attempt: int) -> tuple[Connection, Pending, int]:
        """Send as soon as there are a session and a free slot; the slot is given back when the answer came."""
        loop = asyncio.get_running_loop()
        while True:
            connection = await self._admit(request)
            generation = self._session.generation
            request_id = self._ids.take()
            try:
                text = jsonrpc.encode(request_id, request.method, request.params)
                if len(text) > self._settings.max_request_bytes:
                    raise _too_large(request.method, len(text), self._settings.max_request_bytes)
                pending = connection.submit(
                    request_id,
                    request.method,
                    text,
                    timeout_s=request.ends - loop.time(),
                    attempt=attempt,
                    on_settled=self._slots.release,
                )
            except NotSent:
                self._slots.release()
                continue
            except NasRefused:
                self._slots.release()
                raise
            return connection, pending, generation

    async def _admit(self, request: _Request) -> Connection:
        """Wait for a session and a slot, and take the slot."""
        loop = asyncio.get_running_loop()
        while True:
            left_s = request.ends - loop.time()
            if left_s <= 0 and self._session.connection is not None:
                raise NasTimeout(request.method, "no time left to send it", sent=False)
            if self._session.connection is None:
                await self._await_session(request, left_s)
            # Without a wait in the usual case: then nothing has to be timed.
            if not self._slots.locked():
                await self._slots.acquire()
            else:
                await self._await_slot(request)
            connection = self._session.connection
            if connection is not None:
                return connection
            self._slots.release()

    async def _await_session(self, request: _Request, left_s: float) -> None:
        # Also where the caller's time is what ran out: that the NAS is away is what the caller has to know.
        if left_s <= 0 or not await self._session.wait_ready(min(self._settings.wait_connected_s, left_s)):
            raise NasIndeterminate(request.method, self._session.trouble(), sent=False)

    async def _await_slot(self, request: _Request) -> None:
        try:
            async with asyncio.timeout_at(request.ends):
                await self._slots.acquire()
        except TimeoutError:
            in_flight = self._settings.in_flight
            raise NasTimeout(request.method, f"{in_flight} calls are in flight, and none ended", sent=False) from None

    async def _pause(self, request: _Request, failures: int, reason: str) -> None:
        """Let a crowded NAS breathe; it ran nothing, so the call stays without effect."""
        delay_s = self._crowded.delay_s(failures)
        if asyncio.get_running_loop().time() + delay_s >= request.ends:
            raise NasTimeout(request.method, f"refused until the time ran out: {reason}", sent=False)
        await asyncio.sleep(delay_s)

    async def _subscribe_jobs(self, method: str) -> None:
        # Without the subscription jobs are polled: slower, not wrong.
        try:
            await self._call(SUBSCRIBE, (JOB_EVENTS,), None, None)
        except NasRefused as error:
            _log.warning("nas.not_subscribed", subscription=JOB_EVENTS, reason=error.reason)
        except NasIndeterminate as error:
            if not error.sent:
                raise type(error)(method, error.reason, sent=False) from error

    async def _end_of(self, watch: Watch) -> Item:
        """Wait for the event that tells the job's end, with a look at the job list from time to time."""
        poll_s = self._settings.job_poll_s
        while watch.item is None:
            left_s = remaining_s(poll_s)
            if left_s <= 0:
                raise NasTimeout(watch.method, f"job {watch.job_id} has not ended in the time given", sent=True)
            try:
                async with asyncio.timeout(left_s):
                    await watch.news.wait()
            except TimeoutError:
                poll_s = min(poll_s * 2, self._settings.job_poll_s * 10)
            if watch.item is None:
                watch.news.clear()
                await self._look_at(watch)
        return watch.item

    async def _look_at(self, watch: Watch) -> None:
        if remaining_s(1.0) <= 0:
            return
        try:
            rows = await self.query("core.get_jobs", [["id", "=", watch.job_id]])
        except (NasIndeterminate, NasRefused) as error:
            if remaining_s(1.0) <= 0:
                return  # out of time: the caller of this says so, in the job's own name
            raise watch.unknown(str(error)) from error
        item = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else None
        if item is None:
            raise watch.unknown("the NAS does not list it any more")
        if not watch.is_of(item):
            raise watch.unknown("after a reconnect its number is another job's")
        if has_ended(item) or item.get("state") == "SUCCESS":
            watch.ended(item)


def _too_large(method: str, size: int, limit: int) -> NasRefused:
    reason = f"the request has {size} bytes, the NAS takes {limit}: shorten its values"
    return NasRefused(method, reason, code=jsonrpc.INVALID_PARAMS, errno=E2BIG)
