"""api_key.*: keys of accounts (TrueNAS API 25.10; SCRAM's members 26.0). A key is shown once, when it is made."""

import base64
import errno
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fake_truenas import api_keys, scram
from fake_truenas.api_keys import key_entry
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry, Source, add_queries, get_entry
from fake_truenas.documents import Problems
from fake_truenas.errors import CallError
from fake_truenas.logins import session_of
from fake_truenas.plan import Column
from fake_truenas.redaction import Secret
from fake_truenas.registry import Namespace
from fake_truenas.roles import FULL_ADMIN
from fake_truenas.schema import Bool, Check, Field, Int, Nullable, Obj, Problem, Str
from fake_truenas.store import Row

api_key = Namespace("api_key")
namespaces = (api_key,)


class _Time:
    """A point in time, `{"$date": milliseconds since the epoch}`; gives seconds since the epoch."""

    def compile(self) -> Check:
        """Compile."""

        def check(value: Any, problems: list[Problem]) -> Any:
            if isinstance(value, datetime):
                return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
            if type(value) is dict and list(value) == ["$date"] and type(value["$date"]) is int:
                return value["$date"] / 1000
            problems.append(("", "Input should be a valid datetime"))
            return value

        return check

    def json_schema(self) -> dict[str, Any]:
        """As core.get_methods gives it."""
        return {"type": "string", "format": "date-time"}


_NAME = Field("name", Str(min_length=1, max_length=200))
_EXPIRES_AT = Field("expires_at", Nullable(_Time()), default=None)
_CREATE = Obj(_NAME, Field("username", Str(min_length=1)), _EXPIRES_AT)


def _entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:  # noqa: ARG001 - given shape
    return [key_entry(ctx, api_keys.load(row)) for row in rows]


_KEYS = Source("ApiKey", "api_key", {"id": Column("id", int), "name": Column("name")}, _entries)
add_queries(api_key, _KEYS, Int())


@api_key.method("create", Field("api_key_create", _CREATE))
def create(ctx: Ctx, data: dict[str, Any]) -> Entry:
    """Make a key; the answer is the only place that ever shows it."""
    _check_owner(ctx, data["username"])
    problems = Problems("api_key_create")
    _check_fields(ctx, data, problems, None)
    account = ctx.nas.accounts.get(data["username"])
    if account is None:
        problems.add("", "User does not exist.")
    elif not account.roles:
        problems.add("", "User lacks privilege role membership.")
    problems.check()
    key, text = api_keys.create(
        ctx.db, ctx.rng, name=data["name"], username=data["username"], now=ctx.now(), expires_at=data["expires_at"]
    )
    ctx.emit("api_key.query", "added", key.id, lambda: key_entry(ctx, key))
    return _with_secret(ctx, key, text)


@api_key.method(
    "update", Field("id", Int()), Field("api_key_update", _CREATE.patch(Field("reset", Bool()), without=["username"]))
)
def update(ctx: Ctx, key_id: int, data: dict[str, Any]) -> Entry:
    """Change name and expiry. `reset` gives a new secret, also to a revoked key, and logs out who uses the old one."""
    old = _existing(ctx, key_id)
    _check_owner(ctx, old.username)
    problems = Problems("api_key_update")
    _check_fields(ctx, data, problems, old)
    problems.check()
    api_keys.change(ctx.db, key_id, data.get("name", old.name), data.get("expires_at", old.expires_at))
    text = None
    if data.get("reset"):
        text = api_keys.reset(ctx.db, ctx.rng, key_id)[1]
    key = _existing(ctx, key_id)
    ctx.emit("api_key.query", "changed", key_id, lambda: key_entry(ctx, key))
    if text is None:
        return key_entry(ctx, key)
    ctx.after_commit(lambda: ctx.nas.end_logins_by_key(key_id))
    return _with_secret(ctx, key, text)


@api_key.method("delete", Field("id", Int()))
def delete(ctx: Ctx, key_id: int) -> bool:
    """Delete a key; sessions that logged in with it are logged out."""
    _check_owner(ctx, _existing(ctx, key_id).username)
    api_keys.delete(ctx.db, key_id)
    ctx.emit("api_key.query", "removed", key_id)
    ctx.after_commit(lambda: ctx.nas.end_logins_by_key(key_id))
    return True


@api_key.method("my_keys")
def my_keys(ctx: Ctx) -> list[Entry]:
    """The keys of the account logged in."""
    rows = ctx.db.rows("select * from api_key where username = ? order by id", (session_of(ctx).username,))
    return _entries(ctx, rows, {})


def _existing(ctx: Ctx, key_id: int) -> api_keys.ApiKey:
    get_entry(ctx, _KEYS, key_id)  # refuses one that does not exist
    key = api_keys.get(ctx.db, key_id)
    if key is None:
        raise LookupError(f"API key {key_id} vanished")
    return key


def _check_owner(ctx: Ctx, username: str) -> None:
    session = session_of(ctx)
    roles = session.credentials.roles if session.credentials is not None else frozenset((FULL_ADMIN,))
    if not roles.isdisjoint((FULL_ADMIN, "API_KEY_WRITE")) or session.username == username:
        return
    text = f"{session.username}: authenticated user lacks privileges to create or modify API keys of other users."
    raise CallError(text, errno.EACCES)


def _check_fields(ctx: Ctx, data: dict[str, Any], problems: Problems, old: api_keys.ApiKey | None) -> None:
    if "name" in data and api_keys.name_taken(ctx.db, data["name"], old.id if old else None):
        if ctx.nas.persona.at_least("26.0"):
            problems.add("", "name must be unique")
        else:
            problems.add("name", "Object with this name already exists")
    expires_at = data.get("expires_at", old.expires_at if old else None)
    if expires_at is not None and expires_at < ctx.now():
        problems.add("", "Expiration date is in the past")


def _with_secret(ctx: Ctx, key: api_keys.ApiKey, text: str) -> Entry:
    entry = {**key_entry(ctx, key), "key": Secret(text)}
    if ctx.nas.persona.at_least("26.0") and key.verifier is not None:
        made = scram.client_key(api_keys.split(text)[1], key.verifier.salt, key.verifier.iterations)
        shown = {
            "salt": key.verifier.salt,
            "stored_key": key.verifier.stored_key,
            "server_key": key.verifier.server_key,
        }
        entry |= {name: Secret(_base64(value)) for name, value in {**shown, "client_key": made}.items()}
    return entry


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
