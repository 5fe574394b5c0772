"""auth.*: logging in and out (TrueNAS API 25.10)."""

import asyncio
import hmac
from typing import Any

from fake_truenas.context import Ctx
from fake_truenas.registry import Namespace
from fake_truenas.schema import AnyOf, Bool, Enum, Field, Obj, Str
from fake_truenas.session import Session

auth = Namespace("auth")
namespaces = (auth,)

_LOGIN_OPTIONS = Field("login_options", Obj(Field("user_info", Bool(), default=True)), default={})


@auth.method("login_with_api_key", Field("api_key", Str()), public=True)
async def login_with_api_key(ctx: Ctx, api_key: str) -> bool:
    """Log in; a wrong key gives false after a second or two, not an error."""
    return await _log_in(ctx, ctx.nas.config.username, api_key)


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
    """Log in by mechanism; no password or token is ever right here."""
    if login_data["mechanism"] != "API_KEY_PLAIN":
        await _delay(ctx)
        return {"response_type": "AUTH_ERR"}
    if not await _log_in(ctx, login_data["username"], login_data["api_key"]):
        return {"response_type": "AUTH_ERR"}
    user_info = me(ctx) if login_data["login_options"]["user_info"] else None
    return {"response_type": "SUCCESS", "user_info": user_info, "authenticator": "LEVEL_1"}


@auth.method("mechanism_choices", public=True)
def mechanism_choices(ctx: Ctx) -> list[str]:  # noqa: ARG001 - every handler gets its context
    """How one can log in."""
    return ["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN"]


@auth.method("me")
def me(ctx: Ctx) -> dict[str, Any]:
    """The account logged in."""
    username = _session(ctx).username
    return {
        "pw_name": username,
        "pw_gecos": "",
        "pw_dir": "/var/empty",
        "pw_shell": "/usr/sbin/nologin",
        "pw_uid": 950,
        "pw_gid": 950,
        "grouplist": [544, 950],
        "sid": None,
        "source": "LOCAL",
        "local": True,
        "attributes": {},
        "account_attributes": ["LOCAL", "API_KEY"],
        "two_factor_config": {"provisioning_uri": None, "secret_configured": False, "interval": 30, "otp_digits": 6},
        "privilege": {"roles": ["FULL_ADMIN"], "web_shell": True, "webui_access": True},
    }


@auth.method("logout")
def logout(ctx: Ctx) -> bool:
    """Back to not authenticated, without subscriptions; the socket stays open."""
    ctx.nas.log_out(_session(ctx))
    return True


async def _log_in(ctx: Ctx, username: str, api_key: str) -> bool:
    config = ctx.nas.config
    right = hmac.compare_digest(api_key.encode(), config.api_key.encode())
    if not right or username != config.username:
        await _delay(ctx)
        return False
    _session(ctx).username = username
    return True


async def _delay(ctx: Ctx) -> None:
    await asyncio.sleep(ctx.rng.uniform(*ctx.nas.config.login_failure_delay_s))


def _session(ctx: Ctx) -> Session:
    if ctx.session is None:
        raise LookupError("a login needs a session")
    return ctx.session
