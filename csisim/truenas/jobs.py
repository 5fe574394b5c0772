"""The jobs that calls wait for: ends told by events, whether early, in time or never (TrueNAS API 25.10)."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from errno import EFAULT
from typing import Any, Final

from csisim.errors import NasIndeterminate, NasRefused
from csisim.truenas import jsonrpc
from csisim.truenas.jsonrpc import Json

JOB_EVENTS: Final = "core.get_jobs"
_ENDED = frozenset({"SUCCESS", "FAILED", "ABORTED"})
_MAX_EARLY = 256

Item = dict[str, Any]


class Watch:
    """One job that somebody waits for.

    Attributes:
        stale: the session in which the job was started is over, so that its number may be another job's now.
        item: the job as it ended; None until then.
        news: set when there is reason to look.
        settled: completes once a job that was given up can no longer take effect unseen.
    """

    __slots__ = ("item", "job_id", "method", "news", "params", "settled", "stale")

    def __init__(self, job_id: int, method: str, params: Sequence[Json], *, stale: bool) -> None:
        self.job_id = job_id
        self.method = method
        self.params = params
        self.stale = stale
        self.news = asyncio.Event()
        self.item: Item | None = None
        self.settled: asyncio.Future[None] | None = None

    def is_of(self, item: Item) -> bool:
        """Whether the item found under the number is this job."""
        return not self.stale or same_job(item, self.method, self.params)

    def unknown(self, why: str) -> NasIndeterminate:
        """The error for a job whose end cannot be learnt any more."""
        return NasIndeterminate(self.method, f"job {self.job_id}: its state is unknown: {why}", sent=True)

    def ended(self, item: Item) -> None:
        """The job has come to its end."""
        self.item = item
        self.news.set()


class JobBook:
    """Job ends by number, within one session: the numbers start anew when the middleware restarts."""

    def __init__(self) -> None:
        self._watches: dict[int, list[Watch]] = {}
        self._early: dict[int, Item] = {}
        self._starting = 0

    @contextmanager
    def starting(self) -> Iterator[None]:
        """While a job is being started its end may be told before its number is: such ends are kept."""
        self._starting += 1
        try:
            yield
        finally:
            self._starting -= 1
            if not self._starting:
                self._early.clear()

    def add(self, watch: Watch) -> None:
        """Wait for this job; call `leave` afterwards."""
        early = self._early.get(watch.job_id)
        if early is not None and watch.is_of(early):
            watch.ended(early)
        self._watches.setdefault(watch.job_id, []).append(watch)

    def leave(self, watch: Watch, unsettled: "list[asyncio.Future[None]] | None") -> None:
        """Nobody waits any more; `unsettled` takes a future for the end of a job that goes on."""
        if watch.item is not None or watch.stale or unsettled is None:
            self._forget(watch)
            return
        watch.settled = asyncio.get_running_loop().create_future()
        unsettled.append(watch.settled)

    def _forget(self, watch: Watch) -> None:
        others = [each for each in self._watches.get(watch.job_id, ()) if each is not watch]
        if others:
            self._watches[watch.job_id] = others
        else:
            self._watches.pop(watch.job_id, None)

    def new_session(self) -> None:
        """Numbers and subscriptions are those of another session now: everybody looks again."""
        self.session_lost()
        for watches in self._watches.values():
            for watch in watches:
                watch.stale = True
                watch.news.set()

    def session_lost(self) -> None:
        """No event comes any more: what was given up counts as settled, as calls do."""
        self._early.clear()
        for watches in list(self._watches.values()):
            for watch in watches:
                self._settle(watch)

    def _settle(self, watch: Watch) -> None:
        if watch.settled is None:
            return
        self._forget(watch)
        if not watch.settled.done():
            watch.settled.set_result(None)

    def hear(self, message: jsonrpc.Notification) -> None:
        """Take any notification; those that do not tell a job's end are ignored. Never raises."""
        params = message.params
        if message.method != "collection_update" or not isinstance(params, dict):
            return
        item = params.get("fields")
        if params.get("collection") != JOB_EVENTS or not isinstance(item, dict) or not has_ended(item):
            return
        job_id = item.get("id", params.get("id"))
        if not isinstance(job_id, int):
            return
        for watch in self._watches.get(job_id, ()):
            if watch.is_of(item):
                watch.ended(item)
                self._settle(watch)
        if self._starting:
            self._early[job_id] = item
            if len(self._early) > _MAX_EARLY:
                del self._early[next(iter(self._early))]


def has_ended(item: Item) -> bool:
    """Whether the job is in a final state and the item tells its result."""
    state = item.get("state")
    return isinstance(state, str) and state in _ENDED and (state != "SUCCESS" or "result" in item)


def same_job(item: Item, method: str, params: Sequence[Json]) -> bool:
    """Whether an item found under the number after a reconnect can be the job that was started."""
    arguments = item.get("arguments")
    return (
        item.get("method") == method
        and isinstance(arguments, list)
        and len(arguments) >= len(params)
        and all(map(_covers, arguments, params))
    )


def _covers(shown: Json, given: Json) -> bool:
    """Whether the NAS shows what was given; it may have filled in defaults."""
    if isinstance(given, dict) and isinstance(shown, dict):
        return all(key in shown and _covers(shown[key], value) for key, value in given.items())
    return bool(shown == given)


def result_of(item: Item, method: str) -> Json:
    """The result of a job that has ended.

    Raises:
        NasRefused: it failed, or was aborted.
        NasIndeterminate: the NAS does not tell the result.
    """
    state = item.get("state")
    if state == "SUCCESS":
        if "result" not in item:
            raise NasIndeterminate(method, f"job {item.get('id')} succeeded without telling its result", sent=True)
        return item["result"]
    info = item.get("exc_info")
    info = info if isinstance(info, dict) else {}
    validation = info.get("type") == "VALIDATION"
    details = jsonrpc.parse_details(info.get("extra")) if validation else ()
    text = str(item.get("error") or info.get("repr") or "no reason given").strip()
    raise NasRefused(
        method,
        f"job {item.get('id')} ended as {state}: {text}",
        code=jsonrpc.INVALID_PARAMS if validation else jsonrpc.METHOD_CALL_ERROR,
        errno=jsonrpc.true_errno(info.get("errno"), None, text, details) or EFAULT,
        details=details,
    )
