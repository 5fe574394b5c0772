"""What an account is told of itself, and the attributes that it keeps (TrueNAS API 25.10, auth.me)."""

from typing import Any

import orjson

from fake_truenas import roles, totp
from fake_truenas.context import Ctx
from fake_truenas.credentials import Credentials

TABLES = "create table user_attribute (username text primary key, doc text not null);"


def user_info(ctx: Ctx, login: Credentials | None) -> dict[str, Any]:
    """The entry of auth.me for a login by key or password; None is a call from inside of the process.

    Unlike the real system, it does not show the secret of one-time passwords in `two_factor_config`.
    """
    name = login.username if login is not None else "root"
    account = ctx.nas.accounts.get(name)
    uid = ctx.nas.accounts.uid(name) if account is not None else 0
    two_factors = account is not None and account.otp_secret is not None
    facts = (("SYS_ADMIN", uid in {0, 950}), ("LOCAL", True), ("2FA", two_factors))
    attributes = [text for text, holds in facts if holds]
    if login is not None and login.kind == "API_KEY":
        attributes.append("API_KEY")
    return {
        "pw_name": name,
        "pw_gecos": "",
        "pw_dir": "/var/empty",
        "pw_shell": "/usr/sbin/nologin",
        "pw_uid": uid,
        "pw_gid": uid,
        "grouplist": [544, uid],
        "sid": None,
        "source": "LOCAL",
        "local": True,
        "attributes": attributes_of(ctx, name),
        "account_attributes": attributes,
        "two_factor_config": {
            "provisioning_uri": None,
            "secret_configured": two_factors,
            "interval": totp.INTERVAL_S,
            "otp_digits": totp.DIGITS,
        },
        "privilege": _privilege(ctx, login.roles if login is not None else roles.expand([roles.FULL_ADMIN])),
    }


def attributes_of(ctx: Ctx, username: str) -> dict[str, Any]:
    """What auth.set_attribute stored for an account."""
    stored = ctx.db.value("select doc from user_attribute where username = ?", (username,))
    attributes: dict[str, Any] = orjson.loads(stored) if stored is not None else {}
    return attributes


def set_attribute(ctx: Ctx, username: str, key: str, value: Any) -> None:
    """Store one of them."""
    doc = orjson.dumps({**attributes_of(ctx, username), key: value}).decode()
    ctx.db.run("insert or replace into user_attribute (username, doc) values (?, ?)", (username, doc))


def _privilege(ctx: Ctx, granted: frozenset[str]) -> dict[str, Any]:
    full = roles.FULL_ADMIN in granted
    if full:
        allowed = [{"method": "*", "resource": "*"}]
    else:
        names = [name for name, method in ctx.nas.registry.methods.items() if not method.public]
        # Methods that any login may call are not listed.
        listed = sorted(name for name in names if roles.needed(name) and roles.may_call(granted, name))
        allowed = [{"method": "CALL", "resource": name} for name in listed]
    return {"allowlist": allowed, "roles": {"$set": sorted(granted)}, "web_shell": full, "webui_access": True}
