"""The legacy protocol without a socket: any text gives a call, an answer, silence or the end, and never an exception."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fake_truenas import Nas
from fake_truenas.errors import CallError, MatchNotFound, MethodNotFound, ValidationErrors, invalid
from fake_truenas.framing import Answer, Goodbye, Request
from fake_truenas.legacy import Legacy
from fake_truenas.session import Session

CALL = Request("pool.dataset.create", [], 1, wants_reply=True)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "msg": st.sampled_from(["connect", "method", "ping", "sub", "unsub", "other"]) | VALUES,
        "id": VALUES,
        "method": st.just("core.ping") | VALUES,
        "params": VALUES,
        "name": st.just("pool.query") | VALUES,
        "version": st.just("1") | VALUES,
        "features": VALUES,
    },
)


@pytest.fixture
def framing(nas: Nas) -> Legacy:
    session = Session("session-1")
    session.username = "root"
    made = Legacy(nas, session)
    assert answer(made.read('{"msg":"connect","version":"1"}')) == {"msg": "connected", "session": "session-1"}
    return made


def answer(read: Any) -> Any:
    assert isinstance(read, Answer)
    assert read.reply is not None
    return orjson.loads(read.reply)


@given(st.text() | MESSAGES.map(json.dumps))
@example('{"msg":"connect","version":"1","features":{"PY_EXCEPTIONS":1}}')
@example('{"msg":"sub","id":{"$date":0},"name":"a"}')
@example('{"msg":"unsub","id":{"$set":[1]}}')
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_any_text_is_read(framing: Legacy, text: str) -> None:
    found = framing.read(text)
    match found:
        case Request():
            assert type(found.params) is list
            orjson.loads(framing.refusal(found, MethodNotFound()))
        case Answer():
            assert found.reply is None or orjson.loads(found.reply)["msg"] in {
                "connected", "failed", "pong", "ready", "nosub", "result",
            }  # fmt: skip
        case Goodbye():
            assert found.code in {1007, 1011}
            assert found.reason


def test_calls_are_read_with_their_ids(framing: Legacy) -> None:
    text = '{"msg":"method","method":"pool.query","id":"u-1","params":[[],{}]}'
    assert framing.read(text) == Request("pool.query", [[], {}], "u-1", wants_reply=True)
    assert framing.read('{"msg":"method","method":"pool.query"}') == Request("pool.query", [], None, wants_reply=False)


@pytest.mark.parametrize(
    ("error", "number", "kind", "reason"),
    [
        (CallError("no", 16), 16, None, "[EBUSY] no"),
        (CallError("no"), 14, None, "[EFAULT] no"),
        (invalid("a.b", "wrong"), 11, "VALIDATION", "[EINVAL] a.b: wrong\n"),
        (ValidationErrors([]), 11, "VALIDATION", ""),
        (MethodNotFound(), 201, None, "[ENOMETHOD] Method 'create' not found in 'pool.dataset'"),
    ],
)
def test_refusals_have_six_members(framing: Legacy, error: Any, number: int, kind: str | None, reason: str) -> None:
    message = orjson.loads(framing.refusal(CALL, error))
    assert (message["msg"], message["id"]) == ("result", 1)
    shown = message["error"]
    assert sorted(shown) == ["errname", "error", "extra", "reason", "trace", "type"]
    assert (shown["error"], shown["type"], shown["reason"]) == (number, kind, reason)


def test_a_query_that_matches_nothing_is_einval(framing: Legacy) -> None:
    shown = orjson.loads(framing.refusal(CALL, MatchNotFound()))["error"]
    assert (shown["error"], shown["errname"], shown["type"]) == (22, "EINVAL", None)


def test_ids_of_other_types_are_other_subscriptions(framing: Legacy, nas: Nas) -> None:
    for subscription_id in (1, "1", [1], None):
        text = orjson.dumps({"msg": "sub", "id": subscription_id, "name": "pool.query"}).decode()
        assert answer(framing.read(text)) == {"msg": "ready", "subs": [subscription_id]}
    # Without a connection nothing is kept.
    assert not nas.events.wanted("pool.query")


def test_the_same_id_again_takes_the_place_of_the_first(nas: Nas) -> None:
    session = Session("session-1", connection=object())  # type: ignore[arg-type]
    session.username = "root"
    framing = Legacy(nas, session)
    framing.read('{"msg":"connect","version":"1"}')
    framing.read('{"msg":"sub","id":1,"name":"pool.query"}')
    framing.read('{"msg":"sub","id":1,"name":"user.query"}')
    assert (nas.events.wanted("pool.query"), nas.events.wanted("user.query")) == (False, True)
    assert answer(framing.read('{"msg":"unsub","id":1}')) == {"msg": "nosub", "id": 1, "collection": "user.query"}
    assert (nas.events.wanted("user.query"), session.subscriptions) == (False, {})
