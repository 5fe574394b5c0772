"""api_key.*: entries, what is shown of a key, and what is refused."""

import random
from typing import Any

import pytest

from fake_truenas import Nas, NasConfig, api_keys
from fake_truenas.errors import ValidationErrors
from fake_truenas.passwords import Account
from tests.fake_truenas.rpc import KEY, Clock

NOW = 1_700_000_000
CREATED = {"$date": NOW * 1000}
MASK = "********"


def make(version: str = "25.10") -> Nas:
    accounts = (Account("ada"), Account("guest", roles=()))
    config = NasConfig(api_key=KEY, accounts=accounts, version=version)
    return Nas(config, rng=random.Random(7), clock=Clock())


@pytest.fixture
def nas() -> Any:
    made = make()
    yield made
    made.close()


def refused(nas: Nas, method: str, *params: Any) -> list[tuple[Any, ...]]:
    with pytest.raises(ValidationErrors) as caught:
        nas.call_direct(method, *params)
    return [tuple(item) for item in caught.value.items]


def test_a_new_key_is_shown_once(nas: Nas) -> None:
    ends = {"$date": (NOW + 60) * 1000}
    made = nas.call_direct("api_key.create", {"name": "n", "username": "ada", "expires_at": ends})
    text = made.pop("key")
    assert (text[:2], len(text)) == ("2-", 66)
    assert made == {
        "id": 2, "name": "n", "username": "ada", "user_identifier": 3000, "keyhash": MASK, "created_at": CREATED,
        "expires_at": ends, "local": True, "revoked": False, "revoked_reason": None,
    }  # fmt: skip
    rows = nas.call_direct("api_key.query")
    assert rows[1] == made == nas.call_direct("api_key.get_instance", 2)
    assert (rows[0]["name"], rows[0]["username"], rows[0]["expires_at"]) == ("key 1", "truenas_admin", None)
    assert nas.call_direct("api_key.query", [["name", "=", "n"], ["revoked", "=", False]], {"select": ["id"]}) == [
        {"id": 2}
    ]


def test_from_26_0_on_a_key_comes_with_what_scram_needs() -> None:
    nas = make("26.0")
    made = nas.call_direct("api_key.create", {"name": "n", "username": "ada"})
    assert made["iterations"] == 50_000
    assert {name: len(made[name]) for name in ("salt", "stored_key", "server_key", "client_key")} == {
        "salt": 24, "stored_key": 88, "server_key": 88, "client_key": 88,
    }  # fmt: skip
    shown = nas.call_direct("api_key.get_instance", 2)
    assert (shown["salt"], shown["stored_key"], shown["server_key"], shown["iterations"]) == (MASK, MASK, MASK, 50_000)
    assert not {"key", "client_key", "keyhash"} & shown.keys()
    nas.close()


def test_before_25_10_the_reason_of_a_revocation_is_not_told() -> None:
    nas = make("25.04")
    api_keys.revoke(nas.db, 1, "lost")
    row = nas.call_direct("api_key.get_instance", 1)
    assert (row["revoked"], "revoked_reason" in row) == (True, False)
    nas.close()


def test_a_key_is_renamed_reset_and_deleted(nas: Nas) -> None:
    made = nas.call_direct("api_key.create", {"name": "n", "username": "ada"})
    changed = nas.call_direct("api_key.update", 2, {"name": "m", "expires_at": {"$date": (NOW + 1) * 1000}})
    assert (changed["name"], changed["expires_at"], "key" in changed) == ("m", {"$date": (NOW + 1) * 1000}, False)
    assert api_keys.find(nas.db, made["key"]) is not None
    assert nas.call_direct("api_key.update", 2, {"reset": False, "expires_at": None})["expires_at"] is None
    fresh = nas.call_direct("api_key.update", 2, {"reset": True})["key"]
    assert (api_keys.find(nas.db, made["key"]), api_keys.find(nas.db, fresh) is None) == (None, False)
    assert nas.call_direct("api_key.delete", 2) is True
    assert nas.call_direct("api_key.query", [], {"count": True}) == 1
    for method, params in (("get_instance", [2]), ("update", [2, {}]), ("delete", [2])):
        assert refused(nas, f"api_key.{method}", *params) == [(None, "ApiKey 2 does not exist", 2)]


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        ({"username": "ada"}, [("name", "Field required")]),
        ({"name": "", "username": "ada"}, [("name", "String should have at least 1 character")]),
        ({"name": "n" * 201, "username": "ada"}, [("name", "String should have at most 200 characters")]),
        ({"name": "n", "username": "ada", "expires_at": 5}, [("expires_at", "Input should be a valid datetime")]),
        ({"name": "n", "username": "ada", "key": "1-x"}, [("key", "Extra inputs are not permitted")]),
        ({"name": "n", "username": "eve"}, [("", "User does not exist.")]),
        ({"name": "n", "username": "guest"}, [("", "User lacks privilege role membership.")]),
        ({"name": "n", "username": "ada", "expires_at": {"$date": NOW * 1000 - 1}},
         [("", "Expiration date is in the past")]),
        ({"name": "key 1", "username": "ada"}, [("name", "Object with this name already exists")]),
    ],
)  # fmt: skip
def test_what_is_refused(nas: Nas, data: dict[str, Any], problems: list[tuple[str, str]]) -> None:
    expected = [(f"api_key_create.{name}" if name else "api_key_create", text, 22) for name, text in problems]
    assert refused(nas, "api_key.create", data) == expected
    assert nas.call_direct("api_key.query", [], {"count": True}) == 1


def test_names_stay_unique_when_they_change(nas: Nas) -> None:
    nas.call_direct("api_key.create", {"name": "n", "username": "ada"})
    assert refused(nas, "api_key.update", 2, {"name": "key 1"}) == [
        ("api_key_update.name", "Object with this name already exists", 22)
    ]
    assert nas.call_direct("api_key.update", 2, {"name": "n"})["name"] == "n"
    newer = make("26.0")
    assert refused(newer, "api_key.create", {"name": "key 1", "username": "ada"}) == [
        ("api_key_create", "name must be unique", 22)
    ]
    newer.close()


def test_a_key_whose_account_is_gone_counts_as_revoked(nas: Nas) -> None:
    nas.call_direct("api_key.create", {"name": "n", "username": "ada"})
    nas.db.run("update api_key set username = 'gone' where id = 2")
    row = nas.call_direct("api_key.get_instance", 2)
    assert (row["username"], row["user_identifier"], row["revoked"], row["revoked_reason"]) == (
        None, "gone", True, "User does not exist",
    )  # fmt: skip


def test_changes_are_announced_without_the_key(nas: Nas) -> None:
    sent: list[tuple[Any, ...]] = []
    nas.events.wanted = lambda collection: True  # type: ignore[method-assign]
    nas.events.send = lambda *event, **_: sent.append(event)  # type: ignore[method-assign]
    nas.call_direct("api_key.create", {"name": "n", "username": "ada"})
    nas.call_direct("api_key.update", 2, {"reset": True})
    nas.call_direct("api_key.delete", 2)
    assert [event[:3] for event in sent] == [("api_key.query", kind, 2) for kind in ("added", "changed", "removed")]
    assert all("key" not in event[3] and event[3]["keyhash"] == MASK for event in sent[:2])
