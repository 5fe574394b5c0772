"""core.*: ping, connection options, subscriptions and jobs (TrueNAS API 25.10)."""

import asyncio
import errno
from typing import Any

from fake_truenas import extended_json
from fake_truenas.context import Ctx
from fake_truenas.describe import method_entry, services
from fake_truenas.errors import ENOMETHOD, ApiError, CallError, ValidationErrors
from fake_truenas.fill import fill
from fake_truenas.jobs import JobRun
from fake_truenas.query import QUERY_PARAMS, filter_list
from fake_truenas.redaction import REDACTED, hide_arguments, secret_names
from fake_truenas.registry import Job, Method, Namespace
from fake_truenas.roles import FULL_ADMIN, may_call, may_subscribe
from fake_truenas.schema import ABSENT, Bool, Enum, Field, Int, Json, List, Nullable, Obj, Str
from fake_truenas.session import Session

MAX_BULK_BYTES = 64 << 20
"""Of one core.bulk's arguments and results; what is left to do is refused then. A limit of this server."""
_ARGUMENT_SIZE = 20  # bytes of memory per byte of JSON, at worst

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
    session = _session(ctx)
    if session.credentials is not None and not may_subscribe(session.credentials.roles, event):
        raise CallError("Not authorized", errno.EACCES)
    subscription_id = ctx.nas.new_uuid()
    ctx.nas.events.subscribe(session, subscription_id, event)
    return subscription_id


@core.method("unsubscribe", Field("id", Str()))
def unsubscribe(ctx: Ctx, subscription_id: str) -> None:
    """End a subscription."""
    ctx.nas.events.unsubscribe(_session(ctx), subscription_id)


_TARGET = Field("target", Enum("WS", "CLI", "REST"), default="WS")


@core.method("get_services", _TARGET)
def get_services(ctx: Ctx, target: str) -> dict[str, Any]:  # noqa: ARG001 - nothing is hidden from any of them
    """Tell the namespaces, and of which kind each is."""
    return services(ctx.nas.registry)


@core.method("get_methods", Field("service", Nullable(Str()), default=None), _TARGET)
def get_methods(ctx: Ctx, service: str | None, target: str) -> dict[str, Any]:  # noqa: ARG001 - nothing is hidden from any
    """Tell the methods that the caller may call, or those of one service, with the schemas of their parameters."""
    credentials = _session(ctx).credentials
    return {
        name: method_entry(method)
        for name, method in sorted(ctx.nas.registry.methods.items())
        if not method.private
        and (service is None or name.rpartition(".")[0] == service)
        and (method.public or credentials is None or may_call(credentials.roles, name))
    }


@core.method("get_jobs", *QUERY_PARAMS)
def get_jobs(ctx: Ctx, filters: list[Any], options: dict[str, Any]) -> Any:
    """Query the jobs of this process.

    Who has not all privileges sees its own. Secrets in results are hidden, unless `extra.raw_result` is true.
    """
    session = _session(ctx)
    raw_result = options["extra"].get("raw_result", False) is True
    if raw_result and session.credentials is not None and FULL_ADMIN not in session.credentials.roles:
        raise CallError("Unredacted job results require full administrative privileges.", errno.EPERM)
    by_id = [item[2] for item in filters if isinstance(item, list) and item[:2] == ["id", "="] and len(item) == 3]
    only = by_id[0] if by_id and type(by_id[0]) is int else None
    return filter_list(ctx.nas.jobs.entries(session, only=only, raw_result=raw_result), filters, options)


@core.method("job_abort", Field("id", Int()))
def job_abort(ctx: Ctx, job_id: int) -> None:
    """End a job that waits, or one that runs and can be aborted."""
    ctx.nas.jobs.abort(job_id, ctx.session)


@core.method("job_wait", Field("id", Int()), job=Job())
async def job_wait(ctx: Ctx, job: JobRun, job_id: int) -> Any:
    """A job that ends when another ends, with the same progress and outcome."""
    return await job.wrap(ctx.nas.jobs.get(job_id, ctx.session))


def _shown_bulk(ctx: Ctx, args: list[Any]) -> list[Any]:
    """The arguments of core.bulk without the secrets of the calls that it is to make."""
    method = ctx.nas.registry.methods.get(args[0])
    return [args[0], [_shown_item(method, params) for params in args[1]], *args[2:]]


def _shown_item(method: Method | None, params: list[Any]) -> list[Any]:
    if method is None:
        return [REDACTED] * len(params)
    try:
        method.validate(params)
    except ValidationErrors:  # a secret may be anywhere
        return [REDACTED] * len(params) if secret_names(method.params) else params
    return hide_arguments(method.params, params)


@core.method(
    "bulk",
    Field("method", Str()),
    Field("params", List(List(Json()))),
    Field("description", Nullable(Str()), default=None),
    job=Job(lock=lambda method, *_: f"bulk:{method}", arguments=_shown_bulk),
)
async def bulk(ctx: Ctx, job: JobRun, method: str, params: list[list[Any]], description: str | None) -> list[Any]:
    """Call a method once per item of `params`, one after the other; the job succeeds even where items fail.

    `description` is a format for the progress, such as "Deleting snapshot {0[dataset]}@{0[name]}". Gives
    {job_id, error, result} per item.
    """
    session = _session(ctx)
    _check_bulk(ctx, session, method)
    statuses: list[dict[str, Any]] = []
    job.size_bytes = _ARGUMENT_SIZE * len(extended_json.dumps(params))
    for number, args in enumerate(params):
        text = "" if description is None else f": {fill(description, _shown_bulk(ctx, [method, [args]])[1][0])}"
        job.progress(100 * number / len(params), f"{number} / {len(params)}{text}")
        status: dict[str, Any] = {"job_id": None, "error": None, "result": None}
        try:
            _check_item(job, method, args)
            inner, result = await ctx.nas.apply_inner(session, method, args)
            status["job_id"] = None if inner is None else inner.id
            result = result if inner is None else await job.wait_for(inner)
            job.size_bytes += len(extended_json.dumps(result))
            status["result"] = result
        except ApiError as error:
            status["error"] = error.reason if isinstance(error, (CallError, ValidationErrors)) else error.message
        statuses.append(status)
        await asyncio.sleep(0)  # the other connections want their turn
    return statuses


def _check_item(job: JobRun, method: str, args: list[Any]) -> None:
    if method == "core.bulk" and args[:1] == ["core.bulk"]:  # its lock is the one that this job has
        raise CallError("core.bulk of core.bulk inside of core.bulk would wait for itself", errno.EDEADLK)
    if job.size_bytes > MAX_BULK_BYTES:
        raise CallError(f"Not done: the results so far have more than {MAX_BULK_BYTES} bytes", errno.E2BIG)


def _check_bulk(ctx: Ctx, session: Session, method: str) -> None:
    served = ctx.nas.registry.methods.get(method)
    if served is None or (served.private and not session.private_methods):
        service, dot, name = method.rpartition(".")
        if not dot:
            raise CallError("Invalid method name", errno.EBADMSG)
        raise CallError(f"Method {name!r} not found in {service!r}", ENOMETHOD)
    if session.credentials is not None and not may_call(session.credentials.roles, method):
        raise CallError("Not authorized", errno.EPERM)


def _session(ctx: Ctx) -> Session:
    if ctx.session is None:
        raise LookupError("connection options need a session")
    return ctx.session
