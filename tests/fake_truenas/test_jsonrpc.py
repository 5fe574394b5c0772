"""Framing: any text gives a request, a reply or silence."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fake_truenas.framing import Answer, Request
from fake_truenas.jsonrpc import notification, parse, result_reply

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | json_values,
        "id": st.integers() | st.text() | json_values,
        "method": st.text() | json_values,
        "params": st.lists(json_values, max_size=3) | json_values,
    },
)


@given(st.text() | json_values.map(json.dumps) | messages.map(json.dumps))
@example("[" * 5000)
@example('{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"core.ping"}')
@example('{"jsonrpc":"2.0","id":1,"method":"\\ud800"}')
@example("\ud800")
def test_any_text_gives_a_request_or_a_valid_reply(text: str) -> None:
    parsed = parse(text)
    if isinstance(parsed, Request):
        assert parsed.method
        assert type(parsed.params) is list
        assert parsed.id is None or type(parsed.id) in {int, str}
        assert orjson.loads(result_reply(parsed.id, None)) == {"jsonrpc": "2.0", "result": None, "id": parsed.id}
    elif parsed.reply is not None:
        reply = orjson.loads(parsed.reply)
        assert set(reply) == {"jsonrpc", "error", "id"}
        assert reply["error"]["code"] in {-32700, -32600}


@pytest.mark.parametrize("request_id", [0, -5, "7", "", "b7e2-uuid", None])
def test_the_id_keeps_its_json_type(request_id: Any) -> None:
    parsed = parse(json.dumps({"jsonrpc": "2.0", "id": request_id, "method": "m"}))
    assert parsed == Request("m", [], request_id, wants_reply=True)
    assert orjson.loads(result_reply(request_id, False)) == {"jsonrpc": "2.0", "result": False, "id": request_id}


def test_without_an_id_nothing_is_answered() -> None:
    assert parse('{"jsonrpc":"2.0","method":"m","params":[1]}') == Request("m", [1], None, wants_reply=False)
    assert parse('{"jsonrpc":"2.0","params":[1]}') == Answer(None)


def test_booleans_are_not_ids() -> None:
    refusal = parse('{"jsonrpc":"2.0","id":true,"method":"m"}')
    assert isinstance(refusal, Answer)
    assert orjson.loads(refusal.reply or b"")["error"]["code"] == -32600


def test_a_notification_has_no_id() -> None:
    assert orjson.loads(notification("collection_update", {"msg": "added"})) == {
        "jsonrpc": "2.0",
        "method": "collection_update",
        "params": {"msg": "added"},
    }
