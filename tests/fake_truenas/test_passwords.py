"""Passwords: what is kept of one."""

import pytest

from fake_truenas.passwords import Account, Accounts


def test_only_the_right_password_matches_and_none_is_kept() -> None:
    account = Account.with_password("ada", "pässword", b"salt")
    assert account.matches("pässword")
    assert not any(account.matches(wrong) for wrong in ("", "password", "pässword ", "p\ud800"))
    assert "pässword".encode() not in account.password_hash
    assert repr(account) == "Account(name='ada', roles=('FULL_ADMIN',))"


def test_the_salt_makes_equal_passwords_differ() -> None:
    first, second = (Account.with_password("ada", "x", salt) for salt in (b"1", b"2"))
    assert first.password_hash != second.password_hash


@pytest.mark.parametrize("name", ["", "1a", "a b", "a:b", "ä", "a" * 33])
def test_names_that_no_user_can_have_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not valid: a letter or _") as caught:
        Account.with_password(name, "hunter2", b"salt")
    assert "hunter2" not in str(caught.value)


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(ValueError, match="user ada needs a password"):
        Account.with_password("ada", "", b"salt")


def test_an_account_without_a_password_lets_nobody_in() -> None:
    assert not any(Account("ada").matches(text) for text in ("", "ada", "\0"))


def test_roles_of_an_account_must_exist_and_a_second_factor_is_not_shown() -> None:
    with pytest.raises(ValueError, match="role 'ADMIN' does not exist"):
        Account("ada", roles=("ADMIN",))
    assert "1234567890" not in repr(Account("ada", otp_secret=b"12345678901234567890"))


def test_accounts_are_found_by_name_and_numbered_the_keys_owner_first() -> None:
    accounts = Accounts([Account("truenas_admin"), Account("ada"), Account("bob")])
    assert [accounts.uid(name) for name in ("truenas_admin", "ada", "bob")] == [950, 3000, 3001]
    assert accounts.get("ada") == Account("ada")
    assert accounts.get("eve") is None
    with pytest.raises(ValueError, match="user ada is there twice"):
        Accounts([Account("ada"), Account("ada")])
