"""auth.*: logging in and out, tokens and sessions (TrueNAS API 25.10)."""

import asyncio
import hmac
import ipaddress
import re
from typing import Any

from fake_truenas.context import Ctx
from fake_truenas.credentials import Credentials, Kind, Token
from fake_truenas.query import QUERY_PARAMS, filter_list
from fake_truenas.registry import Namespace
from fake_truenas.schema import AnyOf, Bool, Enum, Field, Int, Json, Map, Nullable, Obj, Str
from fake_truenas.session import Session

auth = Namespace("auth")
namespaces = (auth,)

DEFAULT_TTL_S = 600
_LOGIN_OPTIONS = Field("login_options", Obj(Field("user_info", Bool(), default=True)), default={})


@auth.method(
    "login",
    Field("username", Str()),
    Field("password", Str()),
    Field("otp_token", Nullable(Str()), default=None),
    public=True,
)
async def login(ctx: Ctx, username: str, password: str, otp_token: str | None) -> bool:  # noqa: ARG001 - nobody has two factors
    """Log in with a password; a wrong one gives false after a second or two."""
    return await _log_in_with_password(ctx, username, password)


@auth.method("login_with_api_key", Field("api_key", Str()), public=True)
async def login_with_api_key(ctx: Ctx, api_key: str) -> bool:
    """Log in; a wrong key gives false after a second or two, not an error."""
    return await _log_in_with_key(ctx, ctx.nas.config.username, api_key)


@auth.method("login_with_token", Field("token", Str()), public=True)
async def login_with_token(ctx: Ctx, token: str) -> bool:
    """Log in with what auth.generate_token gave; a wrong one gives false after a second or two."""
    return await _log_in_with_token(ctx, token)


@auth.method(
    "login_ex",
    Field(
        "login_data",
        AnyOf(
            Obj(
                Field("mechanism", Enum("PASSWORD_PLAIN")),
                Field("username", Str()),
                Field("password", Str()),
                _LOGIN_OPTIONS,
            ),
            Obj(
                Field("mechanism", Enum("API_KEY_PLAIN")),
                Field("username", Str()),
                Field("api_key", Str()),
                _LOGIN_OPTIONS,
            ),
            Obj(Field("mechanism", Enum("TOKEN_PLAIN")), Field("token", Str()), _LOGIN_OPTIONS),
        ),
    ),
    public=True,
)
async def login_ex(ctx: Ctx, login_data: dict[str, Any]) -> dict[str, Any]:
    """Log in by mechanism."""
    match login_data["mechanism"]:
        case "API_KEY_PLAIN":
            right = await _log_in_with_key(ctx, login_data["username"], login_data["api_key"])
        case "PASSWORD_PLAIN":
            right = await _log_in_with_password(ctx, login_data["username"], login_data["password"])
        case _:
            right = await _log_in_with_token(ctx, login_data["token"])
    if not right:
        return {"response_type": "AUTH_ERR"}
    user_info = me(ctx) if login_data["login_options"]["user_info"] else None
    return {"response_type": "SUCCESS", "user_info": user_info, "authenticator": "LEVEL_1"}


@auth.method("mechanism_choices", public=True)
def mechanism_choices(ctx: Ctx) -> list[str]:  # noqa: ARG001 - every handler gets its context
    """How one can log in."""
    return ["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN"]


@auth.method(
    "generate_token",
    Field("ttl", Nullable(Int()), default=DEFAULT_TTL_S),
    Field("attrs", Map(Json()), default={}),
    Field("match_origin", Bool(), default=True),
    Field("single_use", Bool(), default=False),
)
async def generate_token(ctx: Ctx, ttl: int | None, attrs: dict[str, Any], match_origin: bool, single_use: bool) -> str:  # noqa: ARG001 - attrs are for uploads only
    """Make a token that logs in as this session did, until it was not used for `ttl` seconds."""
    session = _session(ctx)
    token = ctx.nas.tokens.create(
        _credentials(ctx),
        ttl_s=DEFAULT_TTL_S if ttl is None else ttl,
        address=session.address,
        match_origin=match_origin,
        single_use=single_use,
        now=_now(),
    )
    return token.text


@auth.method("me")
def me(ctx: Ctx) -> dict[str, Any]:
    """The account logged in."""
    session = _session(ctx)
    by_key = session.credentials is None or session.credentials.root.kind == "API_KEY"
    number = 950 if session.username == ctx.nas.config.username else 3000
    return {
        "pw_name": session.username,
        "pw_gecos": "",
        "pw_dir": "/var/empty",
        "pw_shell": "/usr/sbin/nologin",
        "pw_uid": number,
        "pw_gid": number,
        "grouplist": [544, number],
        "sid": None,
        "source": "LOCAL",
        "local": True,
        "attributes": {},
        "account_attributes": ["LOCAL", "API_KEY"] if by_key else ["LOCAL"],
        "two_factor_config": {"provisioning_uri": None, "secret_configured": False, "interval": 30, "otp_digits": 6},
        "privilege": {"roles": ["FULL_ADMIN"], "web_shell": True, "webui_access": True},
    }


@auth.method("logout")
def logout(ctx: Ctx) -> bool:
    """Back to not authenticated, without subscriptions; the socket stays open."""
    ctx.nas.log_out(_session(ctx))
    return True


@auth.method("sessions", *QUERY_PARAMS)
def sessions(ctx: Ctx, filters: list[Any], options: dict[str, Any]) -> Any:
    """Query the connections that are logged in, oldest login first."""
    logged_in = [session for session in ctx.nas.sessions.values() if session.credentials is not None]
    logged_in.sort(key=lambda session: session.login_at)
    return filter_list([_entry(ctx, session) for session in logged_in], filters, options)


@auth.method("terminate_session", Field("id", Str()))
def terminate_session(ctx: Ctx, session_id: str) -> bool:
    """Log a session out while its socket stays open; false if there is none of this id."""
    session = ctx.nas.sessions.get(session_id)
    if session is None or session.credentials is None:
        return False
    ctx.nas.log_out(session)
    return True


@auth.method("terminate_other_sessions")
def terminate_other_sessions(ctx: Ctx) -> bool:
    """Log out every session but the caller's."""
    for session in ctx.nas.sessions.values():
        if session is not ctx.session and session.credentials is not None:
            ctx.nas.log_out(session)
    return True


async def _log_in_with_key(ctx: Ctx, username: str, api_key: str) -> bool:
    config = ctx.nas.config
    right = hmac.compare_digest(api_key.encode(), config.api_key.encode())
    return await _log_in(ctx, "API_KEY", username if right and username == config.username else None)


async def _log_in_with_password(ctx: Ctx, username: str, password: str) -> bool:
    account = next((account for account in ctx.nas.config.accounts if account.name == username), None)
    right = account is not None and account.matches(password)
    return await _log_in(ctx, "LOGIN_PASSWORD", username if right else None)


async def _log_in_with_token(ctx: Ctx, text: str) -> bool:
    token = ctx.nas.tokens.log_in(text, _session(ctx).address, _now())
    return await _log_in(ctx, "TOKEN", token.parent.username if token is not None else None, token)


async def _log_in(ctx: Ctx, kind: Kind, username: str | None, token: Token | None = None) -> bool:
    if username is None:
        await asyncio.sleep(ctx.rng.uniform(*ctx.nas.config.login_failure_delay_s))
        return False
    _session(ctx).log_in(Credentials(kind, username, ctx.now(), token))
    return True


def _entry(ctx: Ctx, session: Session) -> dict[str, Any]:
    credentials = session.credentials
    if credentials is None:
        raise LookupError("a session without a login is not listed")
    key_id = re.match(r"\d{1,9}(?=-)", ctx.nas.config.api_key)
    return {
        "id": session.id,
        "current": session is ctx.session,
        "internal": False,
        "origin": session.origin,
        "credentials": credentials.kind,
        "credentials_data": credentials.data(int(key_id[0]) if key_id else 1),
        "created_at": {"$date": int(session.login_at * 1000)},
        "secure_transport": _is_loopback(session.address),
    }


def _is_loopback(address: str | None) -> bool:
    # A connection that does not come over TCP is as safe as one from the same machine.
    return address is None or ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _now() -> float:
    return asyncio.get_running_loop().time()


def _credentials(ctx: Ctx) -> Credentials:
    session = _session(ctx)
    if session.credentials is None:
        raise LookupError("only a session that has logged in has credentials")
    return session.credentials


def _session(ctx: Ctx) -> Session:
    if ctx.session is None:
        raise LookupError("a login needs a session")
    return ctx.session
