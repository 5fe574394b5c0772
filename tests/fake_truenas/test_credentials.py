"""Tokens: how long, from where and how often they log in."""

import random
from typing import Any

from fake_truenas.credentials import Credentials, KeyName, Token, Tokens

KEY_LOGIN = Credentials("API_KEY", "truenas_admin", 1_700_000_000.25, api_key=KeyName(3, "key 3"))


def make(tokens: Tokens, now: float = 0.0, **changed: Any) -> Token:
    given = {"parent": KEY_LOGIN, "ttl_s": 600, "address": "10.0.0.1", "match_origin": True, "single_use": False}
    return tokens.create(**{**given, **changed}, now=now)


def test_a_token_lapses_after_its_time_without_use() -> None:
    tokens = Tokens(random.Random(1))
    token = make(tokens, now=100.0)
    assert tokens.log_in(token.text, "10.0.0.1", 699.9) is token
    assert tokens.log_in(token.text, "10.0.0.1", 1299.8) is token
    assert tokens.log_in(token.text, "10.0.0.1", 1899.8) is None
    assert tokens.log_in(make(tokens, ttl_s=0).text, "10.0.0.1", 0.0) is None


def test_a_token_is_for_its_address_unless_the_origin_need_not_match() -> None:
    tokens = Tokens(random.Random(1))
    bound, free = make(tokens), make(tokens, match_origin=False)
    assert [tokens.log_in(bound.text, address, 1.0) for address in ("10.0.0.2", None, "10.0.0.1")] == [
        None,
        None,
        bound,
    ]
    assert tokens.log_in(free.text, "10.0.0.2", 1.0) is free


def test_a_single_use_token_logs_in_once_and_a_failed_login_does_not_spend_it() -> None:
    tokens = Tokens(random.Random(1))
    token = make(tokens, single_use=True)
    assert [tokens.log_in(token.text, address, 1.0) for address in ("10.0.0.2", "10.0.0.1", "10.0.0.1")] == [
        None, token, None,
    ]  # fmt: skip


def test_tokens_differ_come_from_the_given_chance_and_end_when_destroyed() -> None:
    tokens = Tokens(random.Random(1))
    first, second = make(tokens), make(tokens)
    assert len({first.text, second.text, make(Tokens(random.Random(1))).text}) == 2
    assert len(first.text) == 64
    tokens.destroy(first)
    tokens.destroy(first)
    assert tokens.log_in(first.text, "10.0.0.1", 1.0) is None
    assert tokens.log_in(second.text, "10.0.0.1", 1.0) is second


def test_lapsed_tokens_are_not_kept_and_no_text_is_shown() -> None:
    tokens = Tokens(random.Random(1))
    for now in range(50):
        token = make(tokens, ttl_s=10, now=float(now))
    assert len(tokens._tokens) == 10
    assert token.text not in repr(token)


def test_a_token_made_under_a_token_stems_from_the_same_login() -> None:
    tokens = Tokens(random.Random(1))
    login = Credentials("TOKEN", "truenas_admin", 1_700_000_001.0, token=make(tokens))
    assert make(tokens, parent=login).parent is KEY_LOGIN
    assert login.data() == {
        "parent": {
            "credentials": "API_KEY",
            "credentials_data": {
                "username": "truenas_admin",
                "login_at": {"$date": 1_700_000_000_250},
                "api_key": {"id": 3, "name": "key 3"},
            },
        },
        "username": "truenas_admin",
    }


def test_a_login_ends_after_its_time_and_when_it_was_not_used() -> None:
    login = Credentials("LOGIN_PASSWORD", "ada", 0.0, ends_at=100.0, max_inactivity_s=30.0, used_at=10.0)
    assert [login.valid(now) for now in (10.0, 40.0, 40.1)] == [True, True, False]
    login.use(90.0)
    assert [login.valid(now) for now in (100.0, 100.1)] == [True, False]
    assert Credentials("API_KEY", "ada", 0.0).valid(1e12)


def test_a_token_ends_with_the_login_it_stems_from_and_its_use_is_one_of_that_login() -> None:
    tokens = Tokens(random.Random(1))
    parent = Credentials("LOGIN_PASSWORD", "ada", 0.0, ends_at=700.0, max_inactivity_s=500.0)
    token = make(tokens, parent=parent, ttl_s=10_000)
    login = Credentials("TOKEN", "ada", 0.0, token=token)
    login.use(400.0)
    assert (parent.used_at, token.used_at) == (400.0, 400.0)
    assert [login.valid(now) for now in (700.0, 700.1)] == [True, False]
    assert tokens.log_in(token.text, "10.0.0.1", 700.1) is None


def test_a_token_for_something_else_logs_nobody_in() -> None:
    tokens = Tokens(random.Random(1))
    assert tokens.log_in(make(tokens, attributes={"job": 3}).text, "10.0.0.1", 1.0) is None


def test_tokens_are_revoked_by_what_they_stem_from() -> None:
    tokens = Tokens(random.Random(1))
    by_key, by_password = make(tokens), make(tokens, parent=Credentials("LOGIN_PASSWORD", "ada", 0.0))
    tokens.revoke(lambda login: login.api_key == KeyName(3, "key 3"))
    assert [tokens.log_in(token.text, "10.0.0.1", 1.0) for token in (by_key, by_password)] == [None, by_password]


def test_from_26_0_on_a_login_shows_its_id() -> None:
    login = Credentials("LOGIN_PASSWORD", "ada", 1.0, login_id="b")
    assert login.data() == {"username": "ada", "login_id": "b", "login_at": {"$date": 1000}}
