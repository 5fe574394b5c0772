"""What an account is told of itself."""

import random

import pytest

from fake_truenas import Nas, NasConfig
from fake_truenas.context import Ctx
from fake_truenas.credentials import Credentials, Kind
from fake_truenas.passwords import Account
from fake_truenas.roles import expand
from fake_truenas.users import attributes_of, set_attribute, user_info
from tests.fake_truenas.rpc import KEY, Clock

SECRET = b"12345678901234567890"


@pytest.fixture
def ctx() -> Ctx:
    accounts = (Account("ada", otp_secret=SECRET), Account("bob", roles=("POOL_READ",)))
    return Ctx(Nas(NasConfig(api_key=KEY, accounts=accounts), rng=random.Random(1), clock=Clock()))


@pytest.mark.parametrize(
    ("name", "kind", "flags"),
    [
        ("truenas_admin", "API_KEY", ["SYS_ADMIN", "LOCAL", "API_KEY"]),
        ("ada", "LOGIN_TWOFACTOR", ["LOCAL", "2FA"]),
        ("ada", "API_KEY", ["LOCAL", "2FA", "API_KEY"]),
        ("bob", "LOGIN_PASSWORD", ["LOCAL"]),
    ],
)
def test_flags_say_who_and_how(ctx: Ctx, name: str, kind: Kind, flags: list[str]) -> None:
    assert user_info(ctx, Credentials(kind, name, 0.0))["account_attributes"] == flags


def test_a_second_factor_is_told_of_but_not_told(ctx: Ctx) -> None:
    info = user_info(ctx, Credentials("LOGIN_TWOFACTOR", "ada", 0.0))
    assert info["two_factor_config"] == {
        "provisioning_uri": None, "secret_configured": True, "interval": 30, "otp_digits": 6,
    }  # fmt: skip


def test_the_allowlist_is_what_the_roles_allow(ctx: Ctx) -> None:
    info = user_info(ctx, Credentials("LOGIN_PASSWORD", "bob", 0.0, roles=expand(["POOL_READ"])))
    assert info["privilege"]["roles"] == {"$set": ["POOL_READ", "POOL_SCRUB_READ"]}
    allowed = [item["resource"] for item in info["privilege"]["allowlist"]]
    assert {"pool.get_instance", "pool.query"} <= set(allowed)
    assert all(name.startswith("pool.") and not name.startswith("pool.dataset.") for name in allowed)


def test_attributes_are_kept_per_account(ctx: Ctx) -> None:
    set_attribute(ctx, "ada", "a", 1)
    set_attribute(ctx, "ada", "b", {"c": None})
    set_attribute(ctx, "ada", "a", 2)
    assert (attributes_of(ctx, "ada"), attributes_of(ctx, "bob")) == ({"a": 2, "b": {"c": None}}, {})
