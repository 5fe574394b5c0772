"""Refusals in the shapes of the wire."""

import errno

import orjson
import pytest

from fake_truenas.errors import (
    CallError,
    Invalid,
    MatchNotFound,
    MethodNotFound,
    TooManyCalls,
    Unexpected,
    ValidationErrors,
    does_not_exist,
    errname,
    invalid,
)
from fake_truenas.jsonrpc import refusal_reply


def test_a_call_error_carries_its_text_only_in_data() -> None:
    reply = orjson.loads(refusal_reply(1, CallError("cannot destroy 'x': dataset is busy", 16)))
    assert reply["error"]["code"] == -32001
    assert reply["error"]["message"] == "Method call error"
    data = reply["error"]["data"]
    assert (data["error"], data["errname"], data["extra"]) == (16, "EBUSY", None)
    assert data["reason"] == "[EBUSY] cannot destroy 'x': dataset is busy"
    assert "trace" in data


def test_validation_errors_hide_the_true_errno_in_extra_and_reason() -> None:
    error = ValidationErrors([Invalid("data.name", "Field required"), Invalid("pool_x.y", "exists", 17)])
    reply = orjson.loads(refusal_reply("i", error))["error"]
    assert (reply["code"], reply["message"]) == (-32602, "Invalid params")
    assert (reply["data"]["error"], reply["data"]["errname"]) == (22, "EINVAL")
    assert reply["data"]["extra"] == [["data.name", "Field required", 22], ["pool_x.y", "exists", 17]]
    assert reply["data"]["reason"] == "[EINVAL] data.name: Field required\n[EEXIST] pool_x.y: exists\n"


def test_a_missing_instance_reads_as_on_the_real_server() -> None:
    data = orjson.loads(refusal_reply(1, does_not_exist("PoolDataset", "tank/x")))["error"]["data"]
    assert data["reason"] == "[ENOENT] None: PoolDataset tank/x does not exist"
    assert data["extra"] == [[None, "PoolDataset tank/x does not exist", 2]]


def test_protocol_errors_have_no_data() -> None:
    assert orjson.loads(refusal_reply(1, TooManyCalls()))["error"] == {
        "code": -32000,
        "message": "Maximum number of concurrent calls (20) has exceeded",
    }


@pytest.mark.parametrize(
    ("number", "name"),
    [(errno.ENOENT, "ENOENT"), (207, "ENOTAUTHENTICATED"), (205, "EDATASETISLOCKED"), (9999, "EUNKNOWN")],
)
def test_errnos_have_names_truenass_own_too(number: int, name: str) -> None:
    assert errname(number) == name
    assert CallError("x", number).data()["errname"] == name


def test_a_refusal_without_an_errno_is_efault() -> None:
    assert CallError("no").data()["error"] == 14
    assert CallError("no", extra={"a": [1]}).data()["extra"] == {"a": [1]}


def test_a_match_not_found_has_no_words_but_an_errno() -> None:
    error = orjson.loads(refusal_reply(1, MatchNotFound()))["error"]
    assert (error["code"], error["data"]["error"], error["data"]["reason"]) == (-32001, 22, "")


def test_a_defect_reads_as_its_own_text_or_as_its_type() -> None:
    assert Unexpected(ZeroDivisionError("division by zero")).data()["reason"] == "division by zero"
    assert (Unexpected(KeyError()).reason, Unexpected(KeyError()).errno) == ("KeyError()", 22)


def test_one_refused_attribute_is_a_list_of_one() -> None:
    assert invalid("data.name", "is wrong", 17).items == (("data.name", "is wrong", 17),)
    assert str(invalid("data.name", "is wrong")) == "data.name: is wrong"


def test_the_codes_of_the_protocol() -> None:
    codes = [error.code for error in (MethodNotFound, TooManyCalls, ValidationErrors, CallError)]
    assert codes == [-32601, -32000, -32602, -32001]
    assert MethodNotFound().data() is None
