"""Errors and special values, as truenas-api.md sections 2.1 and 2.2 say it, over real sockets."""

import base64
import pickle
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

import pytest
from websockets.asyncio.client import connect

from fake_truenas import Nas
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError
from fake_truenas.methods import default_registry
from fake_truenas.registry import Namespace, Registry
from fake_truenas.schema import Field, Int, Json
from tests.fake_truenas.rpc import KEY, Client, RpcError, make_nas

test = Namespace("test")


@test.method("raise", Field("errno", Int(), default=-1))
def raise_error(ctx: Ctx, errno: int) -> None:
    raise CallError("no") if errno == -1 else CallError("no", errno, {"more": [1]})


@test.method("defect", Field("kind", Json()))
def defect(ctx: Ctx, kind: str) -> None:
    secret = "hunter2"
    raise {"text": ValueError("odd " + secret[:0] + "thing"), "none": KeyError()}[kind]


@test.method("echo", Field("value", Json()))
def echo(ctx: Ctx, value: Any) -> Any:
    return value


@test.method("kind", Field("value", Json()))
def kind(ctx: Ctx, value: Any) -> str:
    return type(value).__name__


@test.method("special")
def special(ctx: Ctx) -> list[Any]:
    return [
        datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), date(2026, 2, 28), time(16, 22, 6), {"b", "a"},
        IPv4Interface("10.0.0.1/24"), IPv6Interface("fd00::1/64"),
    ]  # fmt: skip


FORMS = [
    {"$date": 1_700_000_000_000},
    {"$type": "date", "$value": "2026-02-28"},
    {"$time": "16:22:06"},
    {"$set": ["a", "b"]},
    {"$ipv4_interface": "10.0.0.1/24"},
    {"$ipv6_interface": "fd00::1/64"},
]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    nas: Nas = make_nas(registry=Registry([*default_registry().namespaces, test]))
    server = await nas.serve("127.0.0.1", 0)
    opened = Client(await connect(server.url, proxy=None))
    await opened.call("auth.login_with_api_key", KEY)
    yield opened
    await opened.close()
    await server.close()
    nas.close()


def check_data(error: RpcError) -> None:
    """The members that every client wants."""
    assert set(error.data) == {"error", "errname", "reason", "trace", "extra"}
    trace = error.data["trace"]
    assert set(trace) == {"class", "frames", "formatted", "repr"}
    assert trace["frames"]
    for frame in trace["frames"]:
        assert set(frame) == {"filename", "lineno", "method", "line", "argspec", "locals"}
        assert not frame["filename"].startswith("/")
    assert trace["formatted"].startswith("Traceback (most recent call last):\n")


@pytest.mark.row("2.1 -32001")
@pytest.mark.parametrize(
    ("errno", "name", "extra"),
    [
        (-1, "EFAULT", None), (2, "ENOENT", {"more": [1]}), (13, "EACCES", {"more": [1]}), (16, "EBUSY", {"more": [1]}),
        (201, "ENOMETHOD", {"more": [1]}), (202, "ESERVICESTARTFAILURE", {"more": [1]}),
        (203, "EALERTCHECKERUNAVAILABLE", {"more": [1]}), (204, "EREMOTENODEERROR", {"more": [1]}),
        (205, "EDATASETISLOCKED", {"more": [1]}), (206, "EINVALIDRRDTIMESTAMP", {"more": [1]}),
        (207, "ENOTAUTHENTICATED", {"more": [1]}), (208, "ESSLCERTVERIFICATIONERROR", {"more": [1]}),
        (209, "EREBOOTREQUIRED", {"more": [1]}), (210, "EHAUNAVAILABLE", {"more": [1]}),
    ],
)  # fmt: skip
async def test_a_call_error_says_its_errno_name_and_reason_in_data_only(
    client: Client, errno: int, name: str, extra: Any
) -> None:
    error = await client.refused("test.raise", *([] if errno == -1 else [errno]))
    check_data(error)
    assert (error.code, error.message) == (-32001, "Method call error")
    assert (error.data["error"], error.data["errname"]) == (14 if errno == -1 else errno, name)
    assert (error.reason, error.data["extra"]) == (f"[{name}] no", extra)
    assert error.data["trace"]["class"] == "CallError"
    assert error.data["trace"]["repr"] == "CallError('no')"


@pytest.mark.row("2.1 -32001")
async def test_an_unexpected_exception_is_einval_with_its_own_text(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for how, reason, name in (("text", "odd thing", "ValueError"), ("none", "KeyError()", "KeyError")):
        error = await client.refused("test.defect", how)
        check_data(error)
        assert (error.code, error.message, error.reason) == (-32001, "Method call error", reason)
        assert (error.data["error"], error.data["errname"], error.data["extra"]) == (22, "EINVAL", None)
        assert (error.data["trace"]["class"], error.data["trace"]["frames"][-1]["method"]) == (name, "defect")
        assert "hunter2" not in str([frame["locals"] for frame in error.data["trace"]["frames"]])


@pytest.mark.row("2.1 -32602")
@pytest.mark.parametrize(
    ("method", "params", "items"),
    [
        (
            "pool.dataset.create", [{"foo": 1, "comments": 5, "name": "tank/" + "x" * 1020}],
            [
                ("data.foo", "Extra inputs are not permitted", 22),
                ("data.comments", "Input should be a valid string", 22),
                ("data.name", "String should have at most 1024 characters", 22),
            ],
        ),
        ("pool.dataset.create", [{}], [("data.name", "Field required", 22)]),
        ("pool.dataset.create", [], [("data", "Field required", 22)]),
        ("core.job_abort", ["1"], [("id", "Input should be a valid integer", 22)]),
        ("core.job_abort", [True], [("id", "Input should be a valid integer", 22)]),
        ("core.set_options", [{"legacy_jobs": 1}], [("options.legacy_jobs", "Input should be a valid boolean", 22)]),
        ("core.job_abort", [1, 2], [("", "Too many arguments (expected 1, found 2)", 22)]),
        (
            "pool.dataset.create",
            [{"name": "tank/a", "user_properties": [{"key": "a:b", "value": "v" * 1025}]}],
            [("data.user_properties.0.value", "String should have at most 1024 characters", 22)],
        ),
        ("pool.dataset.get_instance", ["tank/no"], [(None, "PoolDataset tank/no does not exist", 2)]),
    ],
)  # fmt: skip
async def test_every_refused_parameter_is_named_with_its_own_errno_and_the_outer_one_is_einval(
    client: Client, method: str, params: list[Any], items: list[tuple[Any, ...]]
) -> None:
    error = await client.refused(method, *params)
    check_data(error)
    assert (error.code, error.message) == (-32602, "Invalid params")
    assert (error.data["error"], error.data["errname"]) == (22, "EINVAL")
    assert error.items == items
    names = {22: "EINVAL", 2: "ENOENT"}
    lines = [f"[{names[errno]}] {attribute}: {text}" for attribute, text, errno in items]
    # What is not there is one refusal, not a list of them: its line is not ended.
    assert error.reason == "\n".join(lines) + ("" if items[0][2] == 2 else "\n")


@pytest.mark.row("2.1 -32602")
async def test_errors_of_the_method_itself_name_its_schema_and_show_the_true_errno(client: Client) -> None:
    await client.call("pool.dataset.create", {"name": "tank/a"})
    error = await client.refused("pool.dataset.create", {"name": "tank/a"})
    assert error.items[0][0] == "pool_dataset_create.name"
    assert error.reason.startswith("[EINVAL] pool_dataset_create.name: ")
    await client.call("pool.snapshot.create", {"dataset": "tank/a", "name": "s"})
    value = {"user_properties_update": [{"key": "a:b", "value": "v" * 3000}]}
    assert (await client.call("pool.snapshot.update", "tank/a@s", value))["id"] == "tank/a@s"


@pytest.mark.row("2.1 -32001", "2.1 -32602")
async def test_with_the_option_an_error_carries_a_pickled_exception(client: Client) -> None:
    await client.call("core.set_options", {"py_exceptions": True})
    expected = {
        ("test.raise", 16): OSError(16, "[EBUSY] no"),
        ("core.job_abort", 9): ValueError("[ENOENT] None: Job with id 9 does not exist"),
        ("test.defect", "text"): ValueError("odd thing"),
    }
    for (method, argument), exception in expected.items():
        data = (await client.refused(method, argument)).data
        assert set(data) == {"error", "errname", "reason", "trace", "extra", "py_exception"}
        loaded = pickle.loads(base64.b64decode(data["py_exception"]))  # noqa: S301 - from our own server
        assert repr(loaded) == repr(exception)
    assert "py_exception" not in (await client.refused("test.raise", 207)).data
    await client.call("core.set_options", {"py_exceptions": False})
    assert "py_exception" not in (await client.refused("test.raise", 16)).data


async def test_special_values_are_written_in_their_forms(client: Client) -> None:
    assert await client.call("test.special") == FORMS


async def test_special_values_are_read_in_the_same_forms(client: Client) -> None:
    kinds = [await client.call("test.kind", form) for form in FORMS]
    assert kinds == ["datetime", "date", "time", "frozenset", "IPv4Interface", "IPv6Interface"]
    assert [await client.call("test.echo", {"x": [form]}) for form in FORMS] == [{"x": [form]} for form in FORMS]
    assert (await client.refused("core.subscribe", FORMS[0])).items == [("event", "Input should be a valid string", 22)]


async def test_a_malformed_special_value_is_not_json(client: Client) -> None:
    import asyncio

    for number, text in enumerate(('{"$date":"x"}', '{"$time":"99"}', '{"$set":[[]]}', '{"$ipv4_interface":"x"}')):
        reply = asyncio.get_running_loop().create_future()
        client._pending[None] = reply
        await client.socket.send(f'{{"jsonrpc":"2.0","id":{1000 + number},"method":"test.echo","params":[{text}]}}')
        assert (await reply)["error"]["code"] == -32700
    assert await client.call("core.ping") == "pong"
