"""Jobs: long calls with a state, progress and events. Known to the process only; ids start at 1 after a restart."""

import asyncio
import errno
import logging
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from fake_truenas.context import Ctx
from fake_truenas.credentials import Credentials
from fake_truenas.errors import ApiError, CallError, InstanceNotFound, Unexpected, ValidationErrors
from fake_truenas.redaction import hide_arguments, hide_members
from fake_truenas.registry import Method
from fake_truenas.roles import FULL_ADMIN
from fake_truenas.session import Session
from fake_truenas.traces import trace

if TYPE_CHECKING:
    from fake_truenas.nas import Nas

MAX_FINISHED = 1000
MAX_FINISHED_BYTES = 128 << 20
MAX_UNFINISHED = 1000
"""The real server has no such limit: its memory ends instead."""
_EXCERPT_LINES = 10

logger = logging.getLogger(__name__)


class JobRun:
    """One job. WAITING, RUNNING, then SUCCESS, FAILED or ABORTED.

    The handler reports progress through `progress` and returns the result.
    """

    def __init__(self, jobs: "Jobs", job_id: int, method: Method, ctx: Ctx, args: list[Any]) -> None:
        self._jobs = jobs
        self.id = job_id
        self.method = method
        self.ctx = ctx
        self.args = args
        spec = method.job
        assert spec is not None  # noqa: S101 - only methods with a job come here
        self.spec = spec
        self.lock = spec.lock(*args) if spec.lock else None
        self.description = spec.description(*args) if spec.description else None
        self.state = "WAITING"
        self.percent = 0
        self.progress_text = ""
        self.progress_extra: Any = None
        self.result: Any = None
        self.failure: ApiError | None = None
        self.started_at = ctx.now()
        self.finished_at: float | None = None
        self.credentials = ctx.session.credentials if ctx.session is not None else None
        self.size_bytes = 0  # of what is kept of it, where that may be much
        self.message_ids = [] if ctx.request_id is None else [ctx.request_id]
        self.log_lines: list[str] = []
        self.task: asyncio.Task[None] | None = None
        self.finished = asyncio.Event()
        self._wrapped_by: list[JobRun] = []
        self._waits_for: JobRun | None = None
        self._shown_args = spec.arguments(ctx, args) if spec.arguments else hide_arguments(method.params, args)

    def progress(self, percent: float | None = None, text: str = "", extra: Any = None) -> None:
        """Report progress, in whole percent, to whoever listens; what is not given stays as it was."""
        before = self.percent, self.progress_text, self.progress_extra
        self.percent = self.percent if percent is None else int(percent)
        self.progress_text = text or self.progress_text
        self.progress_extra = extra or self.progress_extra
        if (self.percent, self.progress_text, self.progress_extra) != before:
            self._jobs.changed(self)
        for outer in self._wrapped_by:
            outer.progress(percent, text, extra)

    def log(self, line: str) -> None:
        """Add a line to the job's log; for jobs with `logs`."""
        self.log_lines.append(f"{line}\n")

    async def outcome(self) -> Any:
        """Wait for the end; gives the result, null for a job that was aborted.

        Raises:
            ApiError: the job failed.
        """
        await self.finished.wait()
        if self.failure is not None:
            raise self.failure
        return self.result

    async def wrap(self, inner: "JobRun") -> Any:
        """Wait for another job, with its progress and its outcome as one's own.

        Raises:
            ApiError: the other job failed, or waits for this one (EDEADLK).
        """
        self.progress(inner.percent, inner.progress_text, inner.progress_extra)
        inner._wrapped_by.append(self)  # noqa: SLF001 - of the same class
        return await self.wait_for(inner)

    async def wait_for(self, inner: "JobRun") -> Any:
        """Wait for the outcome of another job.

        Raises:
            ApiError: the other job failed, or waits for this one (EDEADLK).
        """
        link: JobRun | None = inner
        while link is not None:
            if link is self:
                raise CallError(f"Job {self.id} would wait for itself", errno.EDEADLK)
            link = link._waits_for  # noqa: SLF001 - of the same class
        self._waits_for = inner
        try:
            return await inner.outcome()
        finally:
            self._waits_for = None

    def entry(self, *, raw_result: bool = False) -> dict[str, Any]:
        """The job as core.get_jobs shows it; secrets among the arguments are hidden, and in the result if not raw."""
        result = self.result if raw_result else hide_members(self.result, self._jobs.secret_names)
        return {
            "id": self.id,
            "message_ids": self.message_ids,
            "method": self.method.name,
            "arguments": self._shown_args,
            "transient": self.spec.transient,
            "description": self.description,
            "abortable": self.spec.abortable,
            "logs_path": f"/var/log/jobs/{self.id}.log" if self.spec.logs and self.state != "WAITING" else None,
            "logs_excerpt": _excerpt(self.log_lines) if self.spec.logs and self.finished_at is not None else None,
            "progress": {"percent": self.percent, "description": self.progress_text, "extra": self.progress_extra},
            "result": result,
            "result_encoding_error": None,
            "error": _reason(self.failure),
            "exception": None if self.failure is None else trace(self.failure.cause)["formatted"],
            "exc_info": _exc_info(self.failure),
            "state": self.state,
            "time_started": _date(self.started_at),
            "time_finished": _date(self.finished_at),
            "credentials": None
            if self.credentials is None
            else {"type": self.credentials.kind, "data": self.credentials.data()},
        }


class Jobs:
    """All jobs of this process and the locks they wait for."""

    def __init__(self, nas: "Nas") -> None:
        self._nas = nas
        self._by_id: dict[int, JobRun] = {}
        self._finished: deque[int] = deque()
        self._finished_bytes = 0
        self._next_id = 1
        self._holders: dict[str, JobRun] = {}
        self._queues: dict[str, deque[JobRun]] = {}
        self.secret_names = nas.registry.secret_names

    def submit(self, method: Method, ctx: Ctx, args: list[Any]) -> JobRun:
        """Queue a job and start it when its lock is free.

        Gives a job that waits already, where as many wait for the lock as may.

        Raises:
            CallError: EBUSY, where none may wait, or those that do are another account's; or a great many jobs are
                under way.
        """
        if len(self._by_id) - len(self._finished) >= MAX_UNFINISHED:
            raise CallError(f"{MAX_UNFINISHED} jobs run or wait already: wait until some have ended", errno.EBUSY)
        job = JobRun(self, self._next_id, method, ctx, args)
        holder = self._holders.get(job.lock) if job.lock is not None else None
        if holder is not None and job.spec.queue is not None:
            waiting = self._queues.get(str(job.lock), deque())
            if len(waiting) >= job.spec.queue:
                return self._join(job, waiting)
        self._next_id += 1
        self._by_id[job.id] = job
        self._event(job, "added")
        if holder is None:
            self._start(job)
        else:
            self._queues.setdefault(str(job.lock), deque()).append(job)
        return job

    def get(self, job_id: int, session: Session | None = None) -> JobRun:
        """A job by its id, if the session may read it.

        Raises:
            InstanceNotFound: unknown, or finished long ago.
            CallError: EPERM, another account's.
        """
        job = self._by_id.get(job_id)
        if job is None:
            raise InstanceNotFound(f"Job with id {job_id} does not exist")
        if session is not None and not _readable(job, session):
            raise CallError("Job is not owned by current session", errno.EPERM)
        return job

    def entries(
        self, session: Session | None = None, *, only: int | None = None, raw_result: bool = False
    ) -> list[dict[str, Any]]:
        """The jobs that the session may read, oldest first; `only` one of them, if it is there."""
        jobs = self._by_id.values() if only is None else [job for job in [self._by_id.get(only)] if job is not None]
        return [job.entry(raw_result=raw_result) for job in jobs if session is None or _readable(job, session)]

    def abort(self, job_id: int, session: Session | None = None) -> None:
        """End a job that waits, or one that runs and is abortable.

        Raises:
            InstanceNotFound: unknown.
            CallError: it runs and cannot be aborted, or is another account's.
        """
        job = self.get(job_id, session)
        if job.state == "WAITING":
            if job.task is None:
                self._queues[str(job.lock)].remove(job)
            else:
                job.task.cancel()  # created, but its first step has not run: its handlers never will
            self._finish(job, "ABORTED")
        elif job.state == "RUNNING":
            if not job.spec.abortable or job.task is None:
                raise CallError(f"Job {job_id} ({job.method.name}) is not abortable")
            job.task.cancel()

    def changed(self, job: JobRun) -> None:
        """Announce progress or a new state."""
        self._event(job, "changed")

    def close(self) -> None:
        """Abort what waits and what runs; a job that has not begun never will."""
        self._queues.clear()  # first, because a job that ends starts the next one of its lock
        for job in list(self._by_id.values()):
            if job.state == "WAITING":
                if job.task is not None:
                    job.task.cancel()
                self._finish(job, "ABORTED")
            elif job.task is not None:
                job.task.cancel()

    def _join(self, job: JobRun, waiting: Sequence[JobRun]) -> JobRun:
        for other in reversed(waiting):
            if job.credentials is None or _may_read(job.credentials, other):
                if job.message_ids:
                    other.message_ids += job.message_ids
                    self.changed(other)
                return other
        by = " by another user" if waiting else ""
        raise CallError(f"This job is already being performed{by}", errno.EBUSY)

    def _start(self, job: JobRun) -> None:
        if job.lock is not None:
            self._holders[job.lock] = job
        job.task = asyncio.get_running_loop().create_task(self._run(job), name=f"job {job.id} {job.method.name}")

    async def _run(self, job: JobRun) -> None:
        job.state = "RUNNING"
        self.changed(job)
        try:
            await self._nas.take_time(job.method)
            job.result = await job.method.handler(job.ctx, job, *job.args)
        except asyncio.CancelledError:
            self._finish(job, "ABORTED")
            raise
        except ApiError as error:
            self._finish(job, "FAILED", failure=error)
        except Exception as error:
            logger.exception("job %d (%s) failed unexpectedly", job.id, job.method.name)
            self._finish(job, "FAILED", failure=Unexpected(error))
        else:
            job.percent = 100
            self._finish(job, "SUCCESS")

    def _finish(self, job: JobRun, state: str, failure: ApiError | None = None) -> None:
        job.state, job.failure, job.finished_at, job.task = state, failure, self._nas.clock(), None
        self.changed(job)
        job.finished.set()
        if job.spec.transient:
            del self._by_id[job.id]
        else:
            self._finished.append(job.id)
            self._finished_bytes += job.size_bytes
            while len(self._finished) > (MAX_FINISHED if self._finished_bytes <= MAX_FINISHED_BYTES else 1):
                self._finished_bytes -= self._by_id.pop(self._finished.popleft()).size_bytes
        if job.lock is not None and self._holders.get(job.lock) is job:
            del self._holders[job.lock]
            queue = self._queues.get(job.lock)
            if queue:
                self._start(queue.popleft())
            if not queue:
                self._queues.pop(job.lock, None)

    def _event(self, job: JobRun, msg: str) -> None:
        if not job.spec.transient and self._nas.events.wanted("core.get_jobs"):
            self._nas.events.send("core.get_jobs", msg, job.id, job.entry(), may_see=partial(_readable, job))


def _readable(job: JobRun, session: Session) -> bool:
    return session.credentials is None or _may_read(session.credentials, job)


def _may_read(credentials: Credentials, job: JobRun) -> bool:
    """Whether it is the account's own job, or the account may do everything."""
    if FULL_ADMIN in credentials.roles:
        return True
    return job.credentials is not None and job.credentials.username == credentials.username


def _date(epoch_s: float | None) -> dict[str, int] | None:
    return None if epoch_s is None else {"$date": int(epoch_s * 1000)}


def _reason(failure: ApiError | None) -> str | None:
    if failure is None:
        return None
    return failure.reason if isinstance(failure, (CallError, ValidationErrors)) else str(failure)


def _exc_info(failure: ApiError | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    info = {"repr": repr(failure.cause), "type": type(failure.cause).__name__, "errno": None, "extra": None}
    if isinstance(failure, ValidationErrors):
        return {**info, "type": "VALIDATION", "extra": [list(item) for item in failure.items]}
    if isinstance(failure, CallError) and not isinstance(failure, Unexpected):
        return {**info, "errno": failure.errno, "extra": failure.extra}
    return info


def _excerpt(lines: Sequence[str]) -> str:
    """The first and the last ten lines."""
    more = len(lines) - 2 * _EXCERPT_LINES
    if more <= 0:
        return "".join(lines)
    return "".join([*lines[:_EXCERPT_LINES], f"... {more} more lines ...\n", *lines[-_EXCERPT_LINES:]])
