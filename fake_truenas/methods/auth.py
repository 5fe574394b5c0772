"""auth.*: logging in and out (TrueNAS API 25.10; SCRAM and reconnect tokens 26.0).

Of login_ex's answers, REDIRECT is never given: it is for the standby half of a pair of machines.
"""

import asyncio
from typing import Any

from fake_truenas import api_keys
from fake_truenas.context import Ctx
from fake_truenas.logins import log_in, log_in_plainly, session_of
from fake_truenas.registry import Namespace
from fake_truenas.schema import SECRET, Bool, Enum, Field, Nullable, Obj, Str
from fake_truenas.tagged import Tagged

auth = Namespace("auth")
namespaces = (auth,)

_USER_INFO = Field("user_info", Bool(), default=True)
_OPTIONS = Field("login_options", Obj(_USER_INFO), default={})
_OPTIONS_26 = Field("login_options", Obj(_USER_INFO, Field("reconnect_token", Bool(), default=False)), default={})


def _otp_token(options: Field) -> Obj:
    return Obj(Field("mechanism", Enum("OTP_TOKEN")), Field("otp_token", SECRET), options)


def _mechanisms(options: Field) -> dict[str, Obj]:
    username = Field("username", Str())
    return {
        "API_KEY_PLAIN": Obj(Field("mechanism", Enum("API_KEY_PLAIN")), username, Field("api_key", SECRET), options),
        "PASSWORD_PLAIN": Obj(Field("mechanism", Enum("PASSWORD_PLAIN")), username, Field("password", SECRET), options),
        "TOKEN_PLAIN": Obj(Field("mechanism", Enum("TOKEN_PLAIN")), Field("token", SECRET), options),
        "OTP_TOKEN": _otp_token(options),
    }


_SCRAM = Obj(
    Field("mechanism", Enum("SCRAM")),
    Field("scram_type", Enum("CLIENT_FIRST_MESSAGE", "CLIENT_FINAL_MESSAGE")),
    Field("rfc_str", SECRET),
)


@auth.method(
    "login",
    Field("username", Str()),
    Field("password", SECRET),
    Field("otp_token", Nullable(SECRET), default=None),
    public=True,
)
async def login(ctx: Ctx, username: str, password: str, otp_token: str | None) -> bool:
    """Log in with a password, and a one-time password if the account needs one; false after a second or two if not."""
    options = {"login_options": {"user_info": False}}
    first = {"mechanism": "PASSWORD_PLAIN", "username": username, "password": password, **options}
    response = await log_in(ctx, first)
    if response["response_type"] == "OTP_REQUIRED" and otp_token is not None:
        return await log_in_plainly(ctx, {"mechanism": "OTP_TOKEN", "otp_token": otp_token})
    return bool(response["response_type"] == "SUCCESS")


@auth.method("login_with_api_key", Field("api_key", SECRET), public=True)
async def login_with_api_key(ctx: Ctx, api_key: str) -> bool:
    """Log in; a wrong key gives false after a second or two, not an error."""
    key = api_keys.get(ctx.db, api_keys.split(api_key)[0])
    if key is None:
        await asyncio.sleep(ctx.rng.uniform(*ctx.nas.config.login_failure_delay_s))
        return False
    return await log_in_plainly(ctx, {"mechanism": "API_KEY_PLAIN", "username": key.username, "api_key": api_key})


@auth.method("login_with_token", Field("token", SECRET), public=True)
async def login_with_token(ctx: Ctx, token: str) -> bool:
    """Log in with what auth.generate_token gave; a wrong one gives false after a second or two."""
    return await log_in_plainly(ctx, {"mechanism": "TOKEN_PLAIN", "token": token})


@auth.method("login_ex", Field("login_data", Tagged("mechanism", _mechanisms(_OPTIONS))), public=True, until="26.0")
async def login_ex(ctx: Ctx, login_data: dict[str, Any]) -> dict[str, Any]:
    """Log in by mechanism; gives SUCCESS, AUTH_ERR, EXPIRED, or OTP_REQUIRED with the account's name."""
    return await log_in(ctx, login_data)


@auth.method(
    "login_ex",
    Field("login_data", Tagged("mechanism", {**_mechanisms(_OPTIONS_26), "SCRAM": _SCRAM})),
    public=True,
    since="26.0",
)
async def login_ex_26(ctx: Ctx, login_data: dict[str, Any]) -> dict[str, Any]:
    """Log in by mechanism.

    Gives SUCCESS, AUTH_ERR, EXPIRED, OTP_REQUIRED with the account's name, SCRAM_RESPONSE with the server's message, or
    DENIED for an account without roles.
    """
    return await log_in(ctx, login_data)


@auth.method("login_ex_continue", Field("login_data", _otp_token(_OPTIONS)), public=True, until="26.0")
async def login_ex_continue(ctx: Ctx, login_data: dict[str, Any]) -> dict[str, Any]:
    """Give the one-time password that login_ex asked for; a wrong one may be tried again three times."""
    return await log_in(ctx, login_data)


@auth.method("login_ex_continue", Field("login_data", _otp_token(_OPTIONS_26)), public=True, since="26.0")
async def login_ex_continue_26(ctx: Ctx, login_data: dict[str, Any]) -> dict[str, Any]:
    """Give the one-time password that login_ex asked for; after a wrong one the login begins anew."""
    return await log_in(ctx, login_data)


@auth.method("mechanism_choices", public=True)
def mechanism_choices(ctx: Ctx) -> list[str]:
    """How one can log in."""
    return ctx.nas.level.choices(scram=ctx.nas.persona.scram)


@auth.method("logout")
def logout(ctx: Ctx) -> bool:
    """Back to not authenticated, without subscriptions; the socket stays open."""
    session = session_of(ctx)
    ctx.after_commit(lambda: ctx.nas.log_out(session))
    return True
