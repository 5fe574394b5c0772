"""Text to messages and back: total, and never mistaking an error for success."""

import errno
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csisim.errors import NasRefused
from csisim.truenas.jsonrpc import ErrorReply, Malformed, Notification, Reply, RequestIds, encode, parse

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["id", "result", "error", "method", "params", "jsonrpc", "code", "data", "extra", "reason", "errname"]
)
ERRORS = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=3), max_size=4)
FRAMES = st.dictionaries(KEYS, JSON | ERRORS, max_size=6)


# A busy machine is no defect.
unhurried = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(st.binary() | st.text())
def test_any_text_and_any_bytes_parse_to_something(data):
    assert isinstance(parse(data), Reply | ErrorReply | Notification | Malformed)


@unhurried
@given(FRAMES)
def test_any_object_parses_and_an_error_is_never_success(frame):
    message = parse(json.dumps(frame))
    if frame.get("error") is not None:
        assert isinstance(message, ErrorReply)
        assert isinstance(message.refusal("m"), NasRefused)
    if isinstance(message, Reply):
        assert message.result == frame["result"]
        assert type(message.id) is int


@unhurried
@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(JSON, max_size=4), st.integers(1, 2**53))
def test_requests_are_json_rpc_with_all_parts(method, params, request_id):
    message = json.loads(encode(request_id, method, params))
    assert message == {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


@pytest.mark.parametrize("param", ["\ud800", 1 << 70, object(), {1: 2}, b"bytes"])
def test_params_that_are_no_json_are_refused_naming_the_method(param):
    with pytest.raises(NasRefused, match=r"pool\.query: params cannot be written as JSON") as caught:
        encode(1, "pool.query", (param,))
    assert caught.value.errno == errno.EINVAL


def error(data, code=-32001, message="Method call error"):
    return parse(json.dumps({"jsonrpc": "2.0", "id": 3, "error": {"code": code, "message": message, "data": data}}))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"error": 2, "errname": "ENOENT", "reason": "[ENOENT] gone"}, errno.ENOENT),
        ({"error": 22, "extra": [["a", "b", 22], ["c", "d", 17], ["e", "f", 2]]}, errno.EEXIST),
        ({"error": 22, "extra": [["a", "b", 22]]}, errno.EINVAL),
        ({"error": 22, "reason": "[ENOENT] None: PoolDataset tank/x does not exist", "extra": None}, errno.ENOENT),
        ({"error": "2", "errname": "ENOTAUTHENTICATED", "reason": None}, 207),
        ({"reason": "[EDATASETISLOCKED] tank/x"}, 205),
        ({"errname": "EBUSY"}, errno.EBUSY),
        ({"error": True, "errname": "nonsense"}, 0),
        ({"error": 22, "extra": [["a", "b"], 5, ["a", "b", "17"], [None, "x", 17]]}, errno.EEXIST),
        (None, 0),
        ("text", 0),
    ],
)
def test_errno_is_the_one_that_tells_the_cause(data, expected):
    message = error(data)
    assert isinstance(message, ErrorReply)
    assert message.errno == expected


def test_reason_is_that_of_the_data_else_the_message():
    assert error({"reason": "[EEXIST] a: b\n"}).reason == "[EEXIST] a: b"
    assert error(None, -32601, "Method does not exist").reason == "Method does not exist"
    assert error({}, message="").reason == "the NAS gave no reason"
    assert len(error({"reason": "x" * 100_000}).reason) == 4096


def test_details_keep_triples_and_leave_out_the_rest():
    message = error({"extra": [["name", "taken", 17], ["short"], "text", [None, "anywhere", 2]]}, -32602)
    assert message.details == (("name", "taken", 17), ("", "anywhere", 2))
    assert message.refusal("m").code == -32602


def test_result_null_is_a_result_and_error_null_beside_it_is_none():
    assert parse('{"id":1,"result":null}') == Reply(1, None)
    assert parse('{"id":1,"result":5,"error":null}') == Reply(1, 5)
    assert isinstance(parse('{"id":1,"error":null}'), ErrorReply)
    assert isinstance(parse('{"id":1,"result":5,"error":{}}'), ErrorReply)


def test_ids_are_never_used_again():
    ids = RequestIds()
    assert [ids.take() for _ in range(5)] == [1, 2, 3, 4, 5]
    assert RequestIds(1 << 32).take() == 1 << 32
