"""Keys in the store: what is kept of them, and which one a NAS starts with."""

import random
from pathlib import Path

import pytest

from fake_truenas import Nas, NasConfig, api_keys
from fake_truenas.persona import DEFAULT_VERSION
from fake_truenas.store import Store, StoreError
from tests.fake_truenas.rpc import KEY, Clock


@pytest.fixture
def db() -> Store:
    return Store([api_keys.TABLES])


def start(db: Store, text: str = KEY, *, with_verifier: bool = False) -> None:
    api_keys.ensure_configured(db, random.Random(1), text=text, username="root", now=5.0, with_verifier=with_verifier)


def create(db: Store, name: str = "k", seed: int = 3) -> tuple[api_keys.ApiKey, str]:
    return api_keys.create(db, random.Random(seed), name=name, username="ada", now=7.0, expires_at=9.0)


@pytest.mark.parametrize(
    ("text", "parts"),
    [("12-abc", (12, "abc")), ("abc", (1, "abc")), ("1-a-b", (1, "a-b")), ("-abc", (1, "-abc")), ("", (1, "")),
     ("1234567890-x", (1, "1234567890-x")), ("٣-x", (1, "٣-x")), ("2-a\nb", (2, "a\nb"))],
)  # fmt: skip
def test_a_key_begins_with_its_id(text: str, parts: tuple[int, str]) -> None:
    assert api_keys.split(text) == parts


def test_only_the_whole_key_finds_it(db: Store) -> None:
    start(db)
    key, text = create(db)
    assert (key.id, key.name, key.username, key.created_at, key.expires_at) == (2, "k", "ada", 7.0, 9.0)
    assert text.startswith("2-")
    assert len(text) == 66
    assert text[2:].isalnum()
    assert api_keys.find(db, text) == key
    found = api_keys.find(db, KEY)
    assert found is not None
    assert (found.id, found.username) == (1, "root")
    for wrong in ("", "2", "2-", text[:-1], f"{text} ", text[2:], f"1-{text[2:]}", f"3-{text[2:]}", "k" * 64, "\ud800"):
        assert api_keys.find(db, wrong) is None, wrong


def test_nothing_that_a_key_could_be_read_from_is_stored(tmp_path: Path) -> None:
    db = Store([api_keys.TABLES], tmp_path)
    with db.transaction():
        start(db, with_verifier=True)
        key, text = create(db)
    db.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"ada" in stored
    assert not any(secret.encode() in stored for secret in (text, text[2:], KEY, KEY[2:]))
    assert text[2:] not in repr(key)


def test_expiry_counts_from_its_second_on(db: Store) -> None:
    key, _ = create(db)
    assert [key.expired(now) for now in (8.9, 9.0, 9.1)] == [False, True, True]
    start(db, "5-x")
    found = api_keys.find(db, "5-x")
    assert found is not None
    assert not found.expired(1e12)


def test_a_reset_changes_the_secret_and_nothing_else(db: Store) -> None:
    old, text = create(db)
    api_keys.revoke(db, old.id, "lost")
    assert api_keys.find(db, text).revoked_reason == "lost"  # type: ignore[union-attr]
    new, fresh = api_keys.reset(db, random.Random(9), old.id)
    assert (api_keys.find(db, text), api_keys.find(db, fresh)) == (None, new)
    assert (new.name, new.revoked_reason, new.expires_at, new.verifier != old.verifier) == ("k", None, 9.0, True)


def test_names_are_taken_by_others_only(db: Store) -> None:
    key, _ = create(db)
    assert api_keys.name_taken(db, "k")
    assert not api_keys.name_taken(db, "k", key.id)
    assert not api_keys.name_taken(db, "other")


def test_what_became_of_the_first_key_outlasts_a_start(db: Store) -> None:
    start(db)
    api_keys.revoke(db, 1, "lost")
    start(db)
    assert api_keys.find(db, KEY).revoked_reason == "lost"  # type: ignore[union-attr]
    _, fresh = api_keys.reset(db, random.Random(9), 1)
    start(db)
    assert (api_keys.find(db, KEY), api_keys.find(db, fresh) is not None) == (None, True)
    api_keys.delete(db, 1)
    start(db)
    assert (api_keys.find(db, KEY), api_keys.find(db, fresh)) == (None, None)


def test_another_first_key_replaces_the_old_one_and_touches_no_other(db: Store) -> None:
    start(db)
    _, made = create(db, name="key 7")
    start(db, "7-other")
    assert api_keys.find(db, KEY) is None
    assert api_keys.find(db, "7-other").name == "key 7 (2)"  # type: ignore[union-attr]
    assert api_keys.find(db, made) is not None
    with pytest.raises(StoreError, match="has the id 2, as has the key 'key 7' in the data directory"):
        start(db, "2-mine")


def test_a_release_with_scram_derives_the_verifier_that_an_earlier_one_did_not(db: Store) -> None:
    start(db)
    assert api_keys.find(db, KEY).verifier is None  # type: ignore[union-attr]
    start(db, with_verifier=True)
    verifier = api_keys.find(db, KEY).verifier  # type: ignore[union-attr]
    assert verifier is not None
    start(db, with_verifier=True)
    assert api_keys.find(db, KEY).verifier == verifier  # type: ignore[union-attr]


def test_a_nas_keeps_its_keys_over_restarts_and_upgrades(tmp_path: Path) -> None:
    def open_nas(version: str, key: str = KEY) -> Nas:
        config = NasConfig(api_key=key, data_dir=tmp_path, version=version)
        return Nas(config, rng=random.Random(1), clock=Clock())

    nas = open_nas(DEFAULT_VERSION)
    made = nas.call_direct("api_key.create", {"name": "n", "username": "truenas_admin"})
    nas.close()
    nas = open_nas("26.0")
    assert [row["name"] for row in nas.call_direct("api_key.query")] == ["key 1", "n"]
    assert api_keys.find(nas.db, KEY).verifier is not None  # type: ignore[union-attr]
    assert api_keys.find(nas.db, made["key"]) is not None
    nas.close()
    with pytest.raises(StoreError, match="start with one that begins with another number"):
        open_nas("26.0", "2-mine")
