"""Logging in: every mechanism of auth.login_ex and what it answers (TrueNAS API 25.10 and 26.0).

A login that fails is answered after a second or two, as by PAM. Nothing is awaited between a check and its effect, so
attempts that run side by side count all.
"""

import asyncio
import errno
from dataclasses import dataclass, replace
from typing import Any

from fake_truenas import api_keys, roles, scram, totp
from fake_truenas.context import Ctx
from fake_truenas.credentials import Credentials, KeyName, Kind, OtpAttempt
from fake_truenas.errors import CallError
from fake_truenas.passwords import Account
from fake_truenas.session import Session
from fake_truenas.users import user_info

INSECURE = "Attempt to use over an insecure transport"
RECONNECT_TTL_S = 600
_MAX_OTP_FAILURES = 3

Response = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nobody is logged in (yet): what to answer, and whether after a delay."""

    response: Response
    delayed: bool = True


AUTH_ERR = Refused({"response_type": "AUTH_ERR"})
EXPIRED = Refused({"response_type": "EXPIRED"})


def session_of(ctx: Ctx) -> Session:
    """The session that calls."""
    if ctx.session is None:
        raise LookupError("a login needs a session")
    return ctx.session


def loop_now() -> float:
    """Monotonic time in seconds."""
    return asyncio.get_running_loop().time()


async def log_in(ctx: Ctx, data: dict[str, Any]) -> Response:
    """Try a mechanism; gives login_ex's answer, SUCCESS with the session logged in.

    Raises:
        CallError: the mechanism is not for now (EINVAL) or not at this authenticator level (EOPNOTSUPP).
    """
    session = session_of(ctx)
    mechanism = data["mechanism"]
    _check_mechanism(ctx, session, mechanism)
    match mechanism:
        case "API_KEY_PLAIN":
            found = by_key(ctx, data["api_key"], data["username"])
        case "PASSWORD_PLAIN":
            found = by_password(ctx, data["username"], data["password"])
        case "OTP_TOKEN":
            found = _by_otp(ctx, session, data["otp_token"])
        case "SCRAM":
            return await _by_scram(ctx, session, data)
        case _:
            found = by_token(ctx, data["token"])
    if isinstance(found, Refused):
        return await _refuse(ctx, found)
    ctx.nas.log_in(session, found)
    return _success(ctx, found, data["login_options"])


async def log_in_plainly(ctx: Ctx, data: dict[str, Any]) -> bool:
    """`log_in` for the methods that answer true or false."""
    data["login_options"] = {"user_info": False}
    response = await log_in(ctx, data)
    return bool(response["response_type"] == "SUCCESS")


def by_key(ctx: Ctx, text: str, username: str) -> Credentials | Refused:
    """Check a key sent as it is. Over an insecure transport a right one is revoked for good."""
    key = api_keys.find(ctx.db, text)
    if key is None or key.username != username:
        return AUTH_ERR
    if key.revoked_reason is not None:
        return AUTH_ERR if ctx.nas.persona.at_least("26.0") else EXPIRED
    if key.expired(ctx.now()):
        return EXPIRED
    if not session_of(ctx).secure and not ctx.nas.config.insecure_keys:
        with ctx.transaction():
            api_keys.revoke(ctx.db, key.id, INSECURE)
            revoked = replace(key, revoked_reason=INSECURE)
            ctx.emit("api_key.query", "changed", key.id, lambda: api_keys.key_entry(ctx, revoked))
            ctx.after_commit(lambda: ctx.nas.end_logins_by_key(key.id))
        return EXPIRED
    return _credentials(ctx, "API_KEY", ctx.nas.accounts.get(username), KeyName(key.id, key.name))


def by_password(ctx: Ctx, username: str, password: str) -> Credentials | Refused:
    """Check a password; one that is right may not be enough."""
    account = ctx.nas.accounts.get(username)
    if account is None or not account.matches(password):
        return AUTH_ERR
    if account.otp_secret is not None:
        session_of(ctx).attempt = OtpAttempt(username)
        return Refused({"response_type": "OTP_REQUIRED", "username": username}, delayed=False)
    if ctx.nas.level.otp_mandatory:
        return AUTH_ERR
    return _credentials(ctx, "LOGIN_PASSWORD", account)


def by_token(ctx: Ctx, text: str) -> Credentials | Refused:
    """Check a token: the login is one more of whoever made it."""
    token = ctx.nas.tokens.log_in(text, session_of(ctx).address, loop_now())
    if token is None:
        return AUTH_ERR
    parent = token.parent
    return Credentials(
        "TOKEN",
        parent.username,
        ctx.now(),
        roles=parent.roles,
        login_id=_login_id(ctx),
        token=token,
        used_at=loop_now(),
    )


def _check_mechanism(ctx: Ctx, session: Session, mechanism: str) -> None:
    expected = {OtpAttempt: "OTP_TOKEN", scram.Exchange: "SCRAM"}.get(type(session.attempt))
    if mechanism != expected:
        session.attempt = None
        if mechanism == "OTP_TOKEN":
            raise CallError(f"{mechanism}: no authentication in progress", errno.EINVAL)
    if mechanism != "OTP_TOKEN" and mechanism not in ctx.nas.level.mechanisms:
        text = f"{mechanism}: mechanism is not supported at current authenticator level."
        raise CallError(text, errno.EOPNOTSUPP)


def _by_otp(ctx: Ctx, session: Session, given: str) -> Credentials | Refused:
    attempt, session.attempt = session.attempt, None
    assert isinstance(attempt, OtpAttempt)  # noqa: S101 - asked for, or the mechanism was refused
    account = ctx.nas.accounts.get(attempt.username)
    if account is not None and account.otp_secret is not None and totp.matches(account.otp_secret, given, ctx.now()):
        return _credentials(ctx, "LOGIN_TWOFACTOR", account)
    # From 26.0 on PAM checks the code, and the whole login begins anew.
    if attempt.failures < _MAX_OTP_FAILURES and not ctx.nas.persona.at_least("26.0"):
        session.attempt = OtpAttempt(attempt.username, attempt.failures + 1)
        return Refused({"response_type": "OTP_REQUIRED", "username": attempt.username})
    return AUTH_ERR


async def _by_scram(ctx: Ctx, session: Session, data: dict[str, Any]) -> Response:
    exchange, session.attempt = session.attempt, None
    if data["scram_type"] == "CLIENT_FIRST_MESSAGE":
        begun = _begin_scram(ctx, data["rfc_str"])
        if begun is None:
            return await _refuse(ctx, AUTH_ERR)
        session.attempt = begun
        return _scram_response("SERVER_FIRST_RESPONSE", begun.server_first, None)
    if not isinstance(exchange, scram.Exchange):
        raise CallError("SCRAM authentication is not in progress")
    key = api_keys.get(ctx.db, exchange.first.key_id or 0)
    try:
        answer = exchange.finish(data["rfc_str"])
    except scram.ScramError:
        return await _refuse(ctx, AUTH_ERR)
    if key is None or key.verifier != exchange.verifier or key.revoked_reason is not None or key.expired(ctx.now()):
        return await _refuse(ctx, AUTH_ERR)  # gone while the client computed its proof
    found = _credentials(ctx, "API_KEY", ctx.nas.accounts.get(key.username), KeyName(key.id, key.name))
    if isinstance(found, Refused):
        return await _refuse(ctx, found)
    ctx.nas.log_in(session, found)
    return _scram_response("SERVER_FINAL_RESPONSE", answer, user_info(ctx, found.root))


def _begin_scram(ctx: Ctx, text: str) -> scram.Exchange | None:
    try:
        first = scram.parse_client_first(text)
    except scram.ScramError:
        return None
    key = api_keys.get(ctx.db, first.key_id) if first.key_id is not None else None
    if key is None or key.username != first.username or key.revoked_reason is not None or key.expired(ctx.now()):
        return None
    if key.verifier is None:
        return None
    nonce = first.nonce + ctx.rng.randbytes(scram.NONCE_BYTES)
    return scram.Exchange(first, key.verifier, nonce, session_of(ctx).end_point)


def _scram_response(scram_type: str, rfc_str: str, info: Response | None) -> Response:
    return {"response_type": "SCRAM_RESPONSE", "scram_type": scram_type, "rfc_str": rfc_str, "user_info": info}


async def _refuse(ctx: Ctx, refused: Refused) -> Response:
    if refused.delayed:
        await asyncio.sleep(ctx.rng.uniform(*ctx.nas.config.login_failure_delay_s))
    return dict(refused.response)


def _success(ctx: Ctx, found: Credentials, options: dict[str, Any]) -> Response:
    info = user_info(ctx, found.root) if options["user_info"] else None
    response = {"response_type": "SUCCESS", "user_info": info, "authenticator": ctx.nas.level.name}
    if ctx.nas.persona.at_least("26.0"):
        response["reconnect_token"] = _reconnect_token(ctx, found) if options.get("reconnect_token") else None
    return response


def _reconnect_token(ctx: Ctx, found: Credentials) -> str:
    token = ctx.nas.tokens.create(
        found,
        ttl_s=RECONNECT_TTL_S,
        address=session_of(ctx).address,
        match_origin=True,
        single_use=True,
        now=loop_now(),
    )
    return token.text


def _credentials(ctx: Ctx, kind: Kind, account: Account | None, key: KeyName | None = None) -> Credentials | Refused:
    if account is None or not account.roles:  # known, but without access to the API
        return Refused({"response_type": "DENIED"}) if account and ctx.nas.persona.at_least("26.0") else AUTH_ERR
    level, now = ctx.nas.level, loop_now()
    return Credentials(
        kind,
        account.name,
        ctx.now(),
        roles=roles.expand(account.roles),
        ends_at=now + level.max_age_s,
        max_inactivity_s=level.max_inactivity_s,
        used_at=now,
        api_key=key,
        login_id=_login_id(ctx),
    )


def _login_id(ctx: Ctx) -> str:
    return ctx.nas.new_uuid() if ctx.nas.persona.at_least("26.0") else ""
