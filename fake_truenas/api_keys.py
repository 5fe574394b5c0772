"""API keys in the store: which there are, whose, until when, and what they are compared with (TrueNAS API 25.10).

A key is `<id>-<64 letters and digits>`. Neither it nor anything it could be made from is stored: a salted hash, and
for SCRAM (26.0) a verifier. The hash is a fast one because a key has 380 random bits.
"""

import hashlib
import hmac
import random
import re
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fake_truenas import scram
from fake_truenas.redaction import REDACTED
from fake_truenas.store import Row, Store, StoreError

if TYPE_CHECKING:
    from fake_truenas.context import Ctx

TABLES = """
create table api_key (
    id integer primary key autoincrement,
    name text not null,
    username text not null,
    created_at real not null,
    expires_at real,
    revoked_reason text,
    salt blob not null,
    hash blob not null,
    iterations integer,
    scram_salt blob,
    stored_key blob,
    server_key blob
);
-- The key of the last start as it was then: one that was revoked, reset or deleted since does not come back.
create table configured_key (id integer primary key, salt blob not null, hash blob not null);
"""

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 64


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, without its secret.

    Attributes:
        id: the number before the dash.
        name: unique.
        username: whose.
        created_at: seconds since the epoch.
        expires_at: seconds since the epoch; None for never.
        revoked_reason: why it is refused; None if it is not.
        verifier: for SCRAM; None if the key was made by a release without it.
    """

    id: int
    name: str
    username: str
    created_at: float
    expires_at: float | None = None
    revoked_reason: str | None = None
    verifier: scram.Verifier | None = field(default=None, repr=False)

    def expired(self, now: float) -> bool:
        """Whether its time is over; `now` is seconds since the epoch."""
        return self.expires_at is not None and self.expires_at <= now


def split(text: str) -> tuple[int, str]:
    """Id and rest of a key; one without an id has the id 1."""
    match = re.fullmatch(r"([0-9]{1,9})-(.*)", text, re.ASCII | re.DOTALL)
    return (int(match[1]), match[2]) if match else (1, text)


def load(row: Row) -> ApiKey:
    """The key of a row."""
    verifier = None
    if row["stored_key"] is not None:
        verifier = scram.Verifier(row["scram_salt"], row["stored_key"], row["server_key"], row["iterations"])
    return ApiKey(
        row["id"], row["name"], row["username"], row["created_at"], row["expires_at"], row["revoked_reason"], verifier
    )


def get(db: Store, key_id: int) -> ApiKey | None:
    """A key by its id."""
    row = db.one("select * from api_key where id = ?", (key_id,))
    return None if row is None else load(row)


def find(db: Store, text: str) -> ApiKey | None:
    """The key that this is, revoked and expired ones too; None if it is none of them."""
    row = db.one("select * from api_key where id = ?", (split(text)[0],))
    return load(row) if row is not None and _is(row, text) else None


def name_taken(db: Store, name: str, but: int | None = None) -> bool:
    """Whether another key has this name."""
    return db.one("select 1 from api_key where name = ? and id is not ?", (name, but)) is not None


def create(
    db: Store, rng: random.Random, *, name: str, username: str, now: float, expires_at: float | None
) -> tuple[ApiKey, str]:
    """Make a key; gives it and its text, which is nowhere else."""
    sql = "insert into api_key (name, username, created_at, expires_at, salt, hash) values (?, ?, ?, ?, x'', x'')"
    key_id = db.insert(sql, (name, username, now, expires_at))
    return reset(db, rng, key_id)


def reset(db: Store, rng: random.Random, key_id: int) -> tuple[ApiKey, str]:
    """Give a key a new secret, revoked or not; gives it and its text."""
    text = f"{key_id}-{''.join(rng.choices(_ALPHABET, k=_LENGTH))}"
    db.run("update api_key set revoked_reason = null where id = ?", (key_id,))
    _set_secret(db, rng, key_id, text)
    _set_verifier(db, rng, key_id, text)
    key = get(db, key_id)
    if key is None:
        raise LookupError(f"API key {key_id} vanished")
    return key, text


def change(db: Store, key_id: int, name: str, expires_at: float | None) -> None:
    """Give it another name or time to end."""
    db.run("update api_key set name = ?, expires_at = ? where id = ?", (name, expires_at, key_id))


def revoke(db: Store, key_id: int, reason: str) -> None:
    """Have it refused for good."""
    db.run("update api_key set revoked_reason = ? where id = ?", (reason, key_id))


def delete(db: Store, key_id: int) -> None:
    """Forget it."""
    db.run("delete from api_key where id = ?", (key_id,))


def key_entry(ctx: "Ctx", key: ApiKey) -> dict[str, Any]:
    """A key as api_key.query shows it, to whoever asks: without what it is compared with."""
    known = ctx.nas.accounts.get(key.username) is not None
    reason = key.revoked_reason if known else "User does not exist"
    if ctx.nas.persona.scram:
        iterations = key.verifier.iterations if key.verifier is not None else scram.ITERATIONS
        secrets = {"iterations": iterations, **dict.fromkeys(("salt", "stored_key", "server_key"), REDACTED)}
    else:
        secrets = {"keyhash": REDACTED}
    return {
        "id": key.id,
        "name": key.name,
        "username": key.username if known else None,
        "user_identifier": ctx.nas.accounts.uid(key.username) if known else key.username,
        **secrets,
        "created_at": {"$date": int(key.created_at * 1000)},
        "expires_at": {"$date": int(key.expires_at * 1000)} if key.expires_at is not None else None,
        "local": True,
        "revoked": reason is not None,
        **({"revoked_reason": reason} if ctx.nas.persona.at_least("25.10") else {}),
    }


def ensure_configured(
    db: Store, rng: random.Random, *, text: str, username: str, now: float, with_verifier: bool
) -> None:
    """Make the key that the NAS was configured with, unless an earlier start did; that one's other key is forgotten.

    A key that was revoked, reset or deleted stays so over restarts.

    Raises:
        StoreError: its id is that of a key made since.
    """
    key_id = split(text)[0]
    seen = db.one("select * from configured_key")
    if seen is None or not _is(seen, text):
        if seen is not None:
            db.run("delete from api_key where id = ? and hash = ?", (seen["id"], seen["hash"]))
        row = db.one("select name from api_key where id = ?", (key_id,))
        if row is not None:
            raise StoreError(
                f"the API key to start with has the id {key_id}, as has the key {row['name']!r} in the data directory: "
                "start with one that begins with another number and a dash"
            )
        _insert_configured(db, rng, key_id, text, username, now)
    row = db.one("select * from api_key where id = ?", (key_id,))
    if with_verifier and row is not None and row["stored_key"] is None and _is(row, text):
        _set_verifier(db, rng, key_id, text)


def _insert_configured(db: Store, rng: random.Random, key_id: int, text: str, username: str, now: float) -> None:
    name, number = f"key {key_id}", 2
    while name_taken(db, name):
        name, number = f"key {key_id} ({number})", number + 1
    sql = "insert into api_key (id, name, username, created_at, salt, hash) values (?, ?, ?, ?, x'', x'')"
    db.run(sql, (key_id, name, username, now))
    _set_secret(db, rng, key_id, text)
    db.run("delete from configured_key")
    db.run("insert into configured_key (id, salt, hash) select id, salt, hash from api_key where id = ?", (key_id,))


def _set_secret(db: Store, rng: random.Random, key_id: int, text: str) -> None:
    salt = rng.randbytes(scram.SALT_BYTES)
    db.run("update api_key set salt = ?, hash = ? where id = ?", (salt, _hash(text, salt), key_id))


def _set_verifier(db: Store, rng: random.Random, key_id: int, text: str) -> None:
    made = scram.make_verifier(split(text)[1], rng.randbytes(scram.SALT_BYTES))
    sql = "update api_key set iterations = ?, scram_salt = ?, stored_key = ?, server_key = ? where id = ?"
    db.run(sql, (made.iterations, made.salt, made.stored_key, made.server_key, key_id))


def _is(row: Row, text: str) -> bool:
    return hmac.compare_digest(_hash(text, row["salt"]), row["hash"])


def _hash(text: str, salt: bytes) -> bytes:
    return hashlib.sha512(salt + text.encode("utf-8", "surrogatepass")).digest()
