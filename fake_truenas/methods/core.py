"""core.*: ping, connection options, subscriptions and jobs (TrueNAS API 25.10)."""

from typing import Any

from fake_truenas.context import Ctx
from fake_truenas.errors import ApiError, CallError, ValidationErrors
from fake_truenas.jobs import JobRun
from fake_truenas.query import QUERY_PARAMS, filter_list
from fake_truenas.registry import Job, Namespace
from fake_truenas.schema import ABSENT, Bool, Field, Int, Json, List, Nullable, Obj, Str
from fake_truenas.session import Session

core = Namespace("core")
namespaces = (core,)


@core.method("ping", public=True)
def ping(ctx: Ctx) -> str:  # noqa: ARG001 - every handler gets its context
    """Answer "pong"."""
    return "pong"


@core.method(
    "set_options",
    Field(
        "options",
        Obj(
            Field("legacy_jobs", Bool(), ABSENT),
            Field("private_methods", Bool(), ABSENT),
            Field("py_exceptions", Bool(), ABSENT),
            ignore_unknown=True,
        ),
    ),
    public=True,
)
def set_options(ctx: Ctx, options: dict[str, Any]) -> dict[str, bool]:
    """Change how this connection is served; gives all options."""
    session = _session(ctx)
    for name, value in options.items():
        setattr(session, name, value)
    return {
        "legacy_jobs": session.legacy_jobs,
        "private_methods": session.private_methods,
        "py_exceptions": session.py_exceptions,
    }


@core.method("subscribe", Field("event", Str()))
def subscribe(ctx: Ctx, event: str) -> str:
    """Have the changes of a collection, such as `pool.dataset.query`, sent; gives the subscription's id."""
    subscription_id = ctx.nas.new_uuid()
    ctx.nas.events.subscribe(_session(ctx), subscription_id, event)
    return subscription_id


@core.method("unsubscribe", Field("id", Str()))
def unsubscribe(ctx: Ctx, subscription_id: str) -> None:
    """End a subscription."""
    ctx.nas.events.unsubscribe(_session(ctx), subscription_id)


@core.method("get_jobs", *QUERY_PARAMS)
def get_jobs(ctx: Ctx, filters: list[Any], options: dict[str, Any]) -> Any:
    """Query the jobs of this process."""
    jobs = ctx.nas.jobs
    by_id = [item[2] for item in filters if isinstance(item, list) and item[:2] == ["id", "="] and len(item) == 3]
    entries = jobs.find(by_id[0]) if by_id and type(by_id[0]) is int else jobs.entries()
    return filter_list(entries, filters, options)


@core.method("job_abort", Field("id", Int()))
def job_abort(ctx: Ctx, job_id: int) -> None:
    """End a job that waits, or one that runs and can be aborted."""
    ctx.nas.jobs.abort(job_id)


@core.method("job_wait", Field("id", Int()), job=Job())
async def job_wait(ctx: Ctx, job: JobRun, job_id: int) -> Any:  # noqa: ARG001 - every job gets itself
    """A job that ends when another ends, with the same outcome."""
    return await ctx.nas.jobs.get(job_id).outcome()


@core.method(
    "bulk",
    Field("method", Str()),
    Field("params", List(List(Json()))),
    Field("description", Nullable(Str()), default=None),
    job=Job(),
)
async def bulk(ctx: Ctx, job: JobRun, method: str, params: list[list[Any]], description: str | None) -> list[Any]:
    """Call a method once per item of `params`; the job succeeds even where items fail."""
    session = _session(ctx)
    statuses: list[dict[str, Any]] = []
    for number, args in enumerate(params, 1):
        job.progress(100 * (number - 1) / len(params), f"{number} / {len(params)}", description)
        status: dict[str, Any] = {"job_id": None, "error": None, "result": None}
        try:
            run, result = await ctx.nas.apply_inner(session, method, args)
            status |= {"job_id": run, "result": result}
        except ApiError as error:
            status["error"] = error.reason if isinstance(error, (CallError, ValidationErrors)) else error.message
        statuses.append(status)
    return statuses


def _session(ctx: Ctx) -> Session:
    if ctx.session is None:
        raise LookupError("connection options need a session")
    return ctx.session
