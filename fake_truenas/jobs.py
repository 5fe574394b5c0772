"""Jobs: long calls with a state, progress and events. Known to the process only; ids start at 1 after a restart."""

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from fake_truenas.context import Ctx
from fake_truenas.errors import ApiError, CallError, Unexpected, ValidationErrors, invalid
from fake_truenas.registry import Method

if TYPE_CHECKING:
    from fake_truenas.nas import Nas

MAX_FINISHED = 1000
_EBUSY = 16
_ENOENT = 2

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
        self.percent: float = 0
        self.progress_text = ""
        self.progress_extra: Any = None
        self.result: Any = None
        self.failure: ApiError | None = None
        self.started_at = ctx.now()
        self.finished_at: float | None = None
        self.message_ids = [] if ctx.request_id is None else [ctx.request_id]
        self.task: asyncio.Task[None] | None = None
        self.finished = asyncio.Event()

    def progress(self, percent: float, text: str = "", extra: Any = None) -> None:
        """Report progress to whoever listens."""
        self.percent, self.progress_text, self.progress_extra = percent, text, extra
        self._jobs.changed(self)

    async def outcome(self) -> Any:
        """Wait for the end; gives the result.

        Raises:
            ApiError: the job failed or was aborted.
        """
        await self.finished.wait()
        if self.failure is not None:
            raise self.failure
        return self.result

    def entry(self) -> dict[str, Any]:
        """The job as core.get_jobs shows it."""
        username = self.ctx.session.username if self.ctx.session is not None else None
        return {
            "id": self.id,
            "message_ids": self.message_ids,
            "method": self.method.name,
            "arguments": self.args,
            "transient": self.spec.transient,
            "description": self.description,
            "abortable": self.spec.abortable,
            "logs_path": None,
            "logs_excerpt": None,
            "progress": {"percent": self.percent, "description": self.progress_text, "extra": self.progress_extra},
            "result": self.result,
            "result_encoding_error": None,
            "error": _reason(self.failure),
            "exception": None if self.failure is None else f"{type(self.failure).__name__}: {_reason(self.failure)}",
            "exc_info": _exc_info(self.failure),
            "state": self.state,
            "time_started": _date(self.started_at),
            "time_finished": _date(self.finished_at),
            "credentials": {"type": "API_KEY", "data": {"username": username}} if username else None,
        }


class Jobs:
    """All jobs of this process and the locks they wait for."""

    def __init__(self, nas: "Nas") -> None:
        self._nas = nas
        self._by_id: dict[int, JobRun] = {}
        self._finished: deque[int] = deque()
        self._next_id = 1
        self._holders: dict[str, JobRun] = {}
        self._queues: dict[str, deque[JobRun]] = {}

    def submit(self, method: Method, ctx: Ctx, args: list[Any]) -> JobRun:
        """Queue a job and start it when its lock is free.

        Raises:
            CallError: EBUSY, where the lock's queue is full.
        """
        job = JobRun(self, self._next_id, method, ctx, args)
        holder = self._holders.get(job.lock) if job.lock is not None else None
        waiting = self._queues.get(job.lock, deque()) if job.lock is not None else deque()
        if holder is not None and job.spec.queue is not None and len(waiting) >= job.spec.queue:
            raise CallError("This job is already being performed", _EBUSY)
        self._next_id += 1
        self._by_id[job.id] = job
        self._event(job, "added")
        if holder is None:
            self._start(job)
        else:
            self._queues.setdefault(str(job.lock), deque()).append(job)
        return job

    def get(self, job_id: int) -> JobRun:
        """A job by its id.

        Raises:
            ValidationErrors: unknown, or finished long ago (ENOENT).
        """
        job = self._by_id.get(job_id)
        if job is None:
            raise invalid("id", f"Job with id {job_id} does not exist", _ENOENT)
        return job

    def find(self, job_id: int) -> list[dict[str, Any]]:
        """The entry of one job, or an empty list."""
        job = self._by_id.get(job_id)
        return [] if job is None else [job.entry()]

    def entries(self) -> list[dict[str, Any]]:
        """All jobs, oldest first."""
        return [job.entry() for job in self._by_id.values()]

    def abort(self, job_id: int) -> None:
        """End a job that waits, or one that runs and is abortable.

        Raises:
            ValidationErrors: unknown.
            CallError: it runs and cannot be aborted.
        """
        job = self.get(job_id)
        if job.state == "WAITING":
            if job.task is None:
                self._queues[str(job.lock)].remove(job)
            else:
                job.task.cancel()  # created, but its first step has not run: its handlers never will
            self._finish(job, "ABORTED", failure=CallError("Job aborted"))
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
                self._finish(job, "ABORTED", failure=CallError("Job aborted"))
            elif job.task is not None:
                job.task.cancel()

    def _start(self, job: JobRun) -> None:
        if job.lock is not None:
            self._holders[job.lock] = job
        job.task = asyncio.get_running_loop().create_task(self._run(job), name=f"job {job.id} {job.method.name}")

    async def _run(self, job: JobRun) -> None:
        job.state = "RUNNING"
        self.changed(job)
        try:
            job.result = await job.method.handler(job.ctx, job, *job.args)
        except asyncio.CancelledError:
            self._finish(job, "ABORTED", failure=CallError("Job aborted"))
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
            while len(self._finished) > MAX_FINISHED:
                self._by_id.pop(self._finished.popleft(), None)
        if job.lock is not None and self._holders.get(job.lock) is job:
            del self._holders[job.lock]
            queue = self._queues.get(job.lock)
            if queue:
                self._start(queue.popleft())
            if not queue:
                self._queues.pop(job.lock, None)

    def _event(self, job: JobRun, msg: str) -> None:
        if self._nas.events.wanted("core.get_jobs"):
            self._nas.events.send("core.get_jobs", msg, job.id, job.entry())


def _date(epoch_s: float | None) -> dict[str, int] | None:
    return None if epoch_s is None else {"$date": int(epoch_s * 1000)}


def _reason(failure: ApiError | None) -> str | None:
    if failure is None:
        return None
    return failure.reason if isinstance(failure, (CallError, ValidationErrors)) else str(failure)


def _exc_info(failure: ApiError | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    if isinstance(failure, ValidationErrors):
        items = [list(item) for item in failure.items]
        return {"repr": repr(failure), "type": "VALIDATION", "errno": None, "extra": items}
    errno = failure.errno if isinstance(failure, CallError) else None
    extra = failure.extra if isinstance(failure, CallError) else None
    return {"repr": repr(failure), "type": type(failure).__name__, "errno": errno, "extra": extra}
