import pytest

from csisim.control import wire
from csisim.control.records import RuleRecord


def test_url_and_token_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("CSISIM_CONTROL", "127.0.0.1:80")
    monkeypatch.setenv("CSISIM_CONTROL_TOKEN", "12345678")
    assert wire.where(None, None) == ("http://127.0.0.1:80", {"authorization": "Bearer 12345678"})
    assert wire.where("http://x/", "y") == ("http://x", {"authorization": "Bearer y"})


def test_without_a_url_there_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.delenv("CSISIM_CONTROL", raising=False)
    with pytest.raises(wire.Unreachable, match="set CSISIM_CONTROL"):
        wire.where(None, None)


def test_members_of_a_newer_server_are_left_out():
    row = {"name": "a", "rule": "link.up: off", "asked": 1, "fired": 0, "colour": "red"}
    assert wire.rules().read([row]) == [RuleRecord("a", "link.up: off", 1, 0)]


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (404, {"error": "there is none"}, wire.NoSuchRule, "there is none"),
        (422, {"error": "bad", "column": 3}, wire.RuleRefused, "column 3: bad"),
        (422, {"error": "bad", "column": 3, "line": 2}, wire.RuleRefused, "line 2, column 3: bad"),
        (422, {"error": "bad", "column": 3, "item": 4}, wire.RuleRefused, "line 4, column 3: bad"),
        (409, {"error": "taken"}, wire.RuleRefused, "taken"),
        (401, {"error": "no token"}, wire.ControlFailed, "no token"),
        (200, ["x"], wire.Unreachable, "not a control server"),
        (502, None, wire.Unreachable, "not a control server"),
    ],
)
def test_refusals_become_errors_with_reason_and_place(status, body, kind, text):
    error = wire.failure(status, body)

    assert type(error) is kind
    assert text in str(error)
    assert error.status == status


def test_names_are_quoted_in_paths():
    assert wire.remove("a b/#?").path == "/rules/a%20b%2F%23%3F"
    assert wire.release("x/y").path == "/barriers/x%2Fy/release"


def test_a_crash_is_waited_for_as_long_as_it_takes():
    assert wire.crash("nas", "", 100.0).timeout_s == wire.TIMEOUT_S + 100
