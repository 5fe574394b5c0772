"""Settings of a NAS: what is refused before anything is made."""

from typing import Any

import pytest

from fake_truenas.config import NasConfig, Pool
from fake_truenas.passwords import Account
from tests.fake_truenas.rpc import KEY


def test_a_config_without_pools_or_key_or_with_a_pool_twice_is_refused() -> None:
    for wrong in ({"pools": ()}, {"api_key": ""}, {"pools": (Pool("a", 1 << 30), Pool("a", 1 << 30))}):
        with pytest.raises(ValueError, match=r"pool|API key"):
            NasConfig(**{"api_key": "1-x", **wrong})


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan")])
def test_an_idle_timeout_is_a_time(wrong: float) -> None:
    with pytest.raises(ValueError, match="idle timeout of"):
        NasConfig(api_key="1-x", idle_timeout_s=wrong)


def test_the_key_is_not_in_the_config_text() -> None:
    assert KEY not in repr(NasConfig(api_key=KEY))


@pytest.mark.parametrize(
    "name", ["", "1tank", "ta nk", "tank/a", "tänk", "t" * 51, "mirror", "raidz2", "draid1", "spares", "logs"]
)
def test_names_that_zfs_does_not_take_for_a_pool_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not valid: a letter, then letters, digits"):
        Pool(name, 1 << 30)


@pytest.mark.parametrize("name", ["t", "Tank_1.a:b-c", "t" * 50])
def test_names_that_zfs_takes_for_a_pool(name: str) -> None:
    assert NasConfig(pools=(Pool(name, 1 << 30),), api_key=KEY).pools[0].name == name


def test_a_pool_has_at_least_64_mib_and_fits_in_sqlites_integers() -> None:
    assert Pool("tank", 64 << 20).size_bytes == 64 << 20
    for size_bytes in ((64 << 20) - 1, 0, -1, 1 << 62):
        with pytest.raises(ValueError, match=f"pool tank: {size_bytes} bytes; a pool has 64 MiB or more"):
            Pool("tank", size_bytes)


def test_the_keys_owner_is_the_first_account_and_may_be_one_of_those_given() -> None:
    config = NasConfig(api_key=KEY, accounts=(Account("ada"),))
    assert [config.make_accounts().uid(name) for name in ("truenas_admin", "ada")] == [950, 3000]
    owner = Account("ada", roles=("POOL_READ",))
    config = NasConfig(api_key=KEY, username="ada", accounts=(Account("bob"), owner))
    assert config.make_accounts().get("ada") == owner
    assert [config.make_accounts().uid(name) for name in ("ada", "bob")] == [950, 3000]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"accounts": (Account("ada"), Account("ada"))}, "user ada is there twice"),
        ({"username": "1a"}, "user name '1a' is not valid"),
        ({"authenticator_level": "LEVEL_3"}, "authenticator level 'LEVEL_3' is not one of LEVEL_1, LEVEL_2"),
    ],
)
def test_accounts_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NasConfig(api_key=KEY, **wrong)
