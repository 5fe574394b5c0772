"""Counting calls before the login: windows, addresses, a full table, and the refusal as it reaches a client."""

from dataclasses import replace
from typing import Any

import pytest

from fake_truenas.rate_limit import RateLimit, RateLimiter
from tests.fake_truenas.logins import serving
from tests.fake_truenas.rpc import KEY

QUICK = RateLimit(delay_s=(0.0, 0.0))


def accepted(limiter: RateLimiter, method: str, address: str | None, now: float, calls: int) -> int:
    return [limiter.exceeded(method, address, now) for _ in range(calls)].count(False)


def test_the_defaults_are_the_real_servers() -> None:
    assert RateLimit() == RateLimit(calls=20, window_s=60.0, entries=100, delay_s=(1.0, 10.0))


def test_twenty_calls_of_a_window_pass_and_it_does_not_slide() -> None:
    limiter = RateLimiter(QUICK)
    assert accepted(limiter, "core.ping", "10.0.0.1", 100.0, 1) == 1
    assert accepted(limiter, "core.ping", "10.0.0.1", 159.0, 30) == 19
    assert accepted(limiter, "core.ping", "10.0.0.1", 159.9, 5) == 0
    assert (
        accepted(limiter, "core.ping", "10.0.0.1", 160.0, 30) == 20
    )  # sixty seconds after the first call, not the last


def test_methods_and_addresses_are_counted_apart() -> None:
    limiter = RateLimiter(QUICK)
    assert accepted(limiter, "core.ping", "10.0.0.1", 0.0, 25) == 20
    assert accepted(limiter, "core.ping", "10.0.0.2", 0.0, 25) == 20
    assert accepted(limiter, "auth.login_ex", "10.0.0.1", 0.0, 25) == 20


def test_set_options_and_callers_without_an_address_are_not_counted() -> None:
    limiter = RateLimiter(replace(QUICK, entries=2))
    assert accepted(limiter, "core.set_options", "10.0.0.1", 0.0, 50) == 50
    assert accepted(limiter, "core.ping", None, 0.0, 50) == 50
    assert accepted(limiter, "core.ping", "10.0.0.1", 0.0, 1) == 1


def test_a_full_table_refuses_everybody_until_windows_have_ended() -> None:
    limiter = RateLimiter(QUICK)
    assert [limiter.exceeded("core.ping", f"10.0.0.{n}", 0.0) for n in range(99)] == [False] * 99
    assert limiter.exceeded("core.ping", "10.0.0.99", 30.0)
    assert limiter.exceeded("core.ping", "10.0.0.1", 30.0)
    assert limiter.exceeded("core.ping", "10.0.0.200", 59.9)
    assert not limiter.exceeded("core.ping", "10.0.0.200", 60.0)
    assert not limiter.exceeded("core.ping", "10.0.0.1", 60.0)
    assert len(limiter._windows) == 3


@pytest.mark.parametrize(
    "wrong", [{"calls": 0}, {"window_s": 0.0}, {"entries": 0}, {"delay_s": (2.0, 1.0)}, {"delay_s": (-1.0, 1.0)}]
)
def test_limits_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rate limit"):
        RateLimit(**wrong)


async def test_the_refusal_is_busy_for_every_connection_of_the_address_and_ends_with_a_login() -> None:
    async with serving(rate_limit=QUICK) as served:
        first, second = await served.dial(), await served.dial()
        for _ in range(10):
            assert (await first.call("core.ping"), await second.call("core.ping")) == ("pong", "pong")
        for client in (first, second):
            error = await client.refused("core.ping")
            assert (error.code, error.data["error"], error.reason) == (-32001, 16, "[EBUSY] Rate Limit Exceeded")
        assert (await first.refused("pool.query")).data["error"] == 207  # judged before it is counted
        assert await first.call("auth.login_with_api_key", KEY) is True
        assert [await first.call("core.ping") for _ in range(30)] == ["pong"] * 30
        await second.refused("core.ping")


async def test_logins_are_counted_whether_right_or_wrong() -> None:
    async with serving(rate_limit=QUICK) as served:
        for _ in range(20):
            await (await served.dial(key=KEY)).close()
        client = await served.dial()
        assert (await client.refused("auth.login_with_api_key", KEY)).reason == "[EBUSY] Rate Limit Exceeded"
        token = {"mechanism": "TOKEN_PLAIN", "token": "x"}
        assert await client.call("auth.login_ex", token) == {"response_type": "AUTH_ERR"}
