"""auth.*: who is logged in, tokens, and what an account keeps (TrueNAS API 25.10)."""

import errno
from functools import partial
from typing import Any

from fake_truenas import users
from fake_truenas.context import Ctx
from fake_truenas.credentials import Credentials
from fake_truenas.errors import CallError
from fake_truenas.logins import loop_now, session_of
from fake_truenas.query import QUERY_PARAMS, filter_list
from fake_truenas.redaction import Secret
from fake_truenas.registry import Namespace
from fake_truenas.schema import Bool, Field, Int, Json, Map, Nullable, Str

auth = Namespace("auth", tables=users.TABLES)
namespaces = (auth,)

DEFAULT_TTL_S = 600


_TTL = Field("ttl", Nullable(Int()), default=DEFAULT_TTL_S)
_ATTRS = Field("attrs", Map(Json()), default={})
_SINGLE_USE = Field("single_use", Bool(), default=False)


@auth.method("generate_token", _TTL, _ATTRS, Field("match_origin", Bool(), default=False), _SINGLE_USE, until="25.04")
@auth.method("generate_token", _TTL, _ATTRS, Field("match_origin", Bool(), default=True), _SINGLE_USE, since="25.04")
async def generate_token(ctx: Ctx, ttl: int | None, attrs: dict[str, Any], match_origin: bool, single_use: bool) -> str:
    """Make a token that logs in as this session did, until it was not used for `ttl` seconds.

    One with `attrs` is for a transfer over HTTP and logs nobody in; no job of the fake has such a transfer.

    Raises:
        CallError: EOPNOTSUPP, a token for more than one login where two factors are needed; or `attrs` is for a job
            that does not exist, or that has nothing to transfer.
    """
    session = session_of(ctx)
    if not single_use and ctx.nas.level.otp_mandatory:
        text = "Multi-use authentication tokens are not supported at current authenticator level."
        raise CallError(text, errno.EOPNOTSUPP)
    if attrs.get("job") is not None:
        _check_job(ctx, attrs["job"])
    token = ctx.nas.tokens.create(
        _credentials(ctx),
        ttl_s=DEFAULT_TTL_S if ttl is None else ttl,
        address=session.address,
        match_origin=match_origin,
        single_use=single_use,
        now=loop_now(),
        attributes=attrs,
    )
    return Secret(token.text)


@auth.method("me")
def me(ctx: Ctx) -> dict[str, Any]:
    """The account logged in."""
    credentials = session_of(ctx).credentials
    return users.user_info(ctx, credentials.root if credentials is not None else None)


@auth.method("set_attribute", Field("key", Str()), Field("value", Json()))
def set_attribute(ctx: Ctx, key: str, value: Any) -> None:
    """Keep a value under the account's `attributes`, as auth.me shows them."""
    users.set_attribute(ctx, session_of(ctx).username or "root", key, value)


@auth.method("sessions", *QUERY_PARAMS)
def sessions(ctx: Ctx, filters: list[Any], options: dict[str, Any]) -> Any:
    """Query the connections that are logged in, oldest login first."""
    logged_in = [session for session in ctx.nas.sessions.values() if session.credentials is not None]
    logged_in.sort(key=lambda session: session.login_at)
    return filter_list([session.entry(current=session is ctx.session) for session in logged_in], filters, options)


@auth.method("terminate_session", Field("id", Str()))
def terminate_session(ctx: Ctx, session_id: str) -> bool:
    """Log a session out while its socket stays open; false if there is none of this id."""
    session = ctx.nas.sessions.get(session_id)
    if session is None or session.credentials is None:
        return False
    ctx.after_commit(lambda: ctx.nas.log_out(session))
    return True


@auth.method("terminate_other_sessions")
def terminate_other_sessions(ctx: Ctx) -> bool:
    """Log out every session but the caller's."""
    for session in ctx.nas.sessions.values():
        if session is not ctx.session and session.credentials is not None:
            ctx.after_commit(partial(ctx.nas.log_out, session))
    return True


def _check_job(ctx: Ctx, job_id: Any) -> None:
    if type(job_id) is not int or not ctx.nas.jobs.entries(only=job_id):
        raise CallError(f"{job_id!r:.40}: job does not exist.")
    raise CallError(f"{job_id}: job is not suitable for download token")


def _credentials(ctx: Ctx) -> Credentials:
    session = session_of(ctx)
    if session.credentials is None:
        raise LookupError("only a session that has logged in has credentials")
    return session.credentials
