"""core.*, notifications and jobs, as truenas-api.md section 4 says it, over real sockets."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import orjson
import pytest
from websockets.asyncio.client import connect

from fake_truenas import Nas, NasConfig, Pool
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError, invalid
from fake_truenas.jobs import JobRun
from fake_truenas.methods import default_registry
from fake_truenas.registry import Job, Namespace, Registry
from fake_truenas.schema import SECRET, Field, Obj, Str
from tests.fake_truenas.logins import account
from tests.fake_truenas.rpc import GIB, KEY, Client, Clock

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
work = Namespace("work")


@work.method("abortable", Field("name", Str()), job=Job(lock=lambda name: name, abortable=True))
async def abortable(ctx: Ctx, job: JobRun, name: str) -> str:
    job.progress(50, "half", {"step": 1})
    await asyncio.Event().wait()
    return name


@work.method("alone", job=Job(lock=lambda: "alone", queue=0))
async def alone(ctx: Ctx, job: JobRun) -> None:
    await asyncio.Event().wait()


@work.method("fail", Field("how", Str()), job=Job(description=lambda how: f"Failing by {how}"))
async def fail(ctx: Ctx, job: JobRun, how: str) -> None:
    if how == "validation":
        raise invalid("data.x", "is wrong", 17)
    if how == "call":
        raise CallError("no", 5, {"why": 1})
    raise ZeroDivisionError("oops")


@work.method("keep", Field("data", Obj(Field("user", Str()), Field("password", SECRET))), job=Job(logs=True))
async def keep(ctx: Ctx, job: JobRun, data: dict[str, str]) -> dict[str, str]:
    for number in range(25):
        job.log(f"line {number}")
    return data


class Served(NamedTuple):
    nas: Nas
    dial: Callable[..., Awaitable[Client]]
    url: str


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A NAS with accounts and a few jobs of its own; `dial(name)` logs in by the password that is the name."""
    accounts = (
        account("reader", "READONLY_ADMIN"),
        account("sharer", "SHARING_ADMIN"),
        account("other", "SHARING_ADMIN"),
    )
    config = NasConfig(pools=(Pool("tank", 1 << 40),), api_key=KEY, accounts=accounts, login_failure_delay_s=(0.0, 0.0))
    registry = Registry([*default_registry().namespaces, work])
    nas = Nas(config, rng=random.Random(7), clock=Clock(), registry=registry)
    server = await nas.serve("127.0.0.1", 0)
    clients: list[Client] = []

    async def dial(name: str | None = None, *, login: bool = True) -> Client:
        client = Client(await connect(server.url, proxy=None, max_size=None))
        clients.append(client)
        if name is not None:
            assert await client.call("auth.login", name, name) is True
        elif login:
            assert await client.call("auth.login_with_api_key", KEY) is True
        return client

    yield Served(nas, dial, server.url)
    for client in clients:
        await client.close()
    await server.close()
    nas.close()
    await asyncio.sleep(0)


async def event(client: Client) -> dict[str, Any]:
    message = await client.events.get()
    assert message["jsonrpc"] == "2.0"
    assert "id" not in message
    assert message["method"] == "collection_update"
    params: dict[str, Any] = message["params"]
    return params


async def ended(client: Client, job_id: int) -> Any:
    """The entry of a job, once it has ended."""
    while (entry := await client.call("core.get_jobs", [["id", "=", job_id]], {"get": True}))["time_finished"] is None:
        pass
    return entry


@pytest.mark.row("4 core.ping")
async def test_ping_is_public_and_takes_nothing(served: Served) -> None:
    client = await served.dial(login=False)
    assert await client.call("core.ping") == "pong"
    assert (await client.refused("core.ping", 1)).items == [("", "Too many arguments (expected 0, found 1)", 22)]


async def test_ping_counts_for_the_rate_limit_before_the_login_only() -> None:
    from fake_truenas.rate_limit import RateLimit
    from tests.fake_truenas.logins import serving

    async with serving(rate_limit=RateLimit(delay_s=(0.0, 0.0))) as limited:
        client = await limited.dial()
        for _ in range(20):
            await client.call("core.ping")
        error = await client.refused("core.ping")
        assert (error.data["error"], error.reason) == (16, "[EBUSY] Rate Limit Exceeded")
        assert await client.call("auth.login_with_api_key", KEY) is True
        assert await client.call("core.ping") == "pong"


@pytest.mark.row("4 core.set_options")
async def test_options_are_public_partial_and_ignore_what_they_do_not_know(served: Served) -> None:
    client = await served.dial(login=False)
    defaults = {"legacy_jobs": True, "private_methods": False, "py_exceptions": False}
    assert await client.call("core.set_options", {}) == defaults
    assert await client.call("core.set_options", {"legacy_jobs": False, "from_tomorrow": [1]}) == {
        **defaults,
        "legacy_jobs": False,
    }
    assert await client.call("core.set_options", {"private_methods": True, "py_exceptions": True}) == {
        "legacy_jobs": False, "private_methods": True, "py_exceptions": True,
    }  # fmt: skip
    assert (await client.refused("core.set_options", {"legacy_jobs": 1})).items == [
        ("options.legacy_jobs", "Input should be a valid boolean", 22)
    ]
    assert await (await served.dial(login=False)).call("core.set_options", {}) == defaults


@pytest.mark.row("4 core.subscribe")
async def test_a_subscription_is_a_uuid_and_needs_a_login_and_the_role(served: Served) -> None:
    client = await served.dial(login=False)
    error = await client.refused("core.subscribe", "core.get_jobs")
    assert (error.code, error.data["error"], error.reason) == (-32001, 207, "[ENOTAUTHENTICATED] Not authenticated")
    await client.call("auth.login_with_api_key", KEY)
    names = ["core.get_jobs", "pool.dataset.query", 'reporting.realtime:{"interval":2}']
    ids = [await client.call("core.subscribe", name) for name in names]
    assert [UUID.fullmatch(one) is not None for one in ids] == [True] * 3
    assert len(set(ids)) == 3
    sharer = await served.dial("sharer")
    error = await sharer.refused("core.subscribe", "auth.sessions")
    assert (error.code, error.data["error"], error.reason) == (-32001, 13, "[EACCES] Not authorized")
    await sharer.call("core.subscribe", "sharing.nfs.query")
    await sharer.call("core.subscribe", "core.get_jobs")


@pytest.mark.row("4 core.unsubscribe")
async def test_unsubscribing_gives_null_and_ends_the_events(served: Served) -> None:
    client, other = await served.dial(), await served.dial()
    subscription = await client.call("core.subscribe", "pool.dataset.query")
    await other.call("core.subscribe", "pool.dataset.query")
    assert await client.call("core.unsubscribe", subscription) is None
    await client.call("pool.dataset.create", {"name": "tank/a"})
    assert (await event(other))["id"] == "tank/a"
    assert client.events.empty()


async def test_an_event_has_its_collection_id_fields_and_extra(served: Served) -> None:
    client = await served.dial()
    await client.call("core.subscribe", "pool.dataset.query")
    await client.call("core.subscribe", "pool.snapshot.query")
    await client.call("pool.dataset.create", {"name": "tank/a"})
    added = await event(client)
    assert set(added) == {"msg", "collection", "id", "fields"}
    assert (added["msg"], added["collection"], added["id"], added["fields"]["name"]) == (
        "added", "pool.dataset.query", "tank/a", "tank/a",
    )  # fmt: skip
    await client.call("pool.dataset.update", "tank/a", {"comments": "x"})
    assert (await event(client))["msg"] == "changed"
    await client.call("pool.snapshot.create", {"dataset": "tank/a", "name": "s", "recursive": True})
    snapshot = await event(client)
    assert (snapshot["msg"], snapshot["id"]) == ("added", "tank/a@s")
    await client.call("pool.snapshot.delete", "tank/a@s", {"recursive": True})
    removed = await event(client)
    assert removed == {
        "msg": "removed", "collection": "pool.snapshot.query", "id": "tank/a@s", "extra": {"recursive": True},
    }  # fmt: skip
    await client.call("pool.dataset.delete", "tank/a")
    assert await event(client) == {"msg": "removed", "collection": "pool.dataset.query", "id": "tank/a"}


async def test_a_source_that_dies_ends_its_subscriptions_with_a_notice(served: Served) -> None:
    client, other = await served.dial(), await served.dial()
    for _ in range(2):
        await client.call("core.subscribe", "pool.query")
    await other.call("core.subscribe", "pool.dataset.query")
    served.nas.events.end("pool.query", CallError("gone", 5))
    message = await client.events.get()
    assert message == {
        "jsonrpc": "2.0",
        "method": "notify_unsubscribed",
        "params": {
            "collection": "pool.query",
            "error": {"error": 5, "errname": "EIO", "reason": "[EIO] gone", "trace": None, "extra": None},
        },
    }
    await client.call("core.subscribe", "pool.query")
    served.nas.events.end("pool.query")
    assert (await client.events.get())["params"] == {"collection": "pool.query", "error": None}
    assert not served.nas.events.wanted("pool.query")
    await client.call("core.ping")
    assert (client.events.empty(), other.events.empty()) == (True, True)


LIVES: dict[str, Any] = {
    "pool.dataset": ({"name": "tank/life"}, {"comments": "x"}),
    "pool.snapshot": ({"dataset": "tank/fs", "name": "life"}, None),
    "sharing.nfs": ({"path": "/mnt/tank/fs"}, {"comment": "x"}),
    "sharing.smb": ({"path": "/mnt/tank/fs", "name": "life"}, {"comment": "x"}),
    "iscsi.auth": ({"tag": 7, "user": "u", "secret": "twelve-chars"}, {"user": "v"}),
    "iscsi.extent": ({"name": "life", "type": "DISK", "disk": "zvol/tank/life-v"}, {"comment": "x"}),
    "iscsi.initiator": ({"comment": "life"}, {"comment": "x"}),
    "iscsi.portal": ({"listen": [{"ip": "127.0.0.1"}]}, {"comment": "x"}),
    "iscsi.target": ({"name": "life"}, {"alias": "x"}),
    "iscsi.targetextent": ({"target": 1, "extent": 1}, {"lunid": 3}),
    "nvmet.host": ({"hostnqn": "nqn.2014-08.org.x:life"}, {"hostnqn": "nqn.2014-08.org.x:later"}),
    "nvmet.subsys": ({"name": "life"}, {"allow_any_host": True}),
    "nvmet.namespace": ({"device_type": "ZVOL", "device_path": "zvol/tank/life-n", "subsys_id": 1}, {"enabled": False}),
    "nvmet.port": ({"addr_trtype": "TCP", "addr_traddr": "127.0.0.1", "addr_trsvcid": 4421}, {"enabled": False}),
    "nvmet.port_subsys": ({"port_id": 1, "subsys_id": 1}, None),
    "nvmet.host_subsys": ({"host_id": 1, "subsys_id": 1}, None),
    "api_key": ({"name": "life", "username": "truenas_admin"}, {"name": "later"}),
    "pool.snapshottask": ({"dataset": "tank/fs", "recursive": False}, {"enabled": False}),
}
"""What creates a row of each namespace, and what changes it (None: nothing that would be announced)."""

NOT_ALL = {"zfs.snapshot": "private in 25.10", "work": "ours"}


async def prepare(client: Client) -> None:
    await client.call("pool.dataset.create", {"name": "tank/fs"})
    for name in ("v", "n", "life-v", "life-n"):
        volume = {"name": f"tank/{name}", "type": "VOLUME", "volsize": GIB, "sparse": True}
        await client.call("pool.dataset.create", volume)
    await client.call("iscsi.target.create", {"name": "first"})
    await client.call("iscsi.extent.create", {"name": "first", "type": "DISK", "disk": "zvol/tank/v"})
    await client.call("nvmet.subsys.create", {"name": "first"})
    await client.call("nvmet.host.create", {"hostnqn": "nqn.2014-08.org.x:first"})
    await client.call("nvmet.port.create", {"addr_trtype": "TCP", "addr_traddr": "127.0.0.1", "addr_trsvcid": 4420})


def test_every_namespace_of_rows_has_a_life_here() -> None:
    methods = default_registry().methods
    rows = {name.rpartition(".")[0] for name in methods if name.endswith(".create") and f"{name[:-7]}.query" in methods}
    assert sorted(rows - NOT_ALL.keys()) == sorted(LIVES)


async def test_every_namespace_of_rows_announces_its_changes_before_it_answers(served: Served) -> None:
    client = await served.dial()
    await prepare(client)
    raw = await connect(served.url, proxy=None)

    async def call(method: str, *params: Any) -> tuple[Any, list[dict[str, Any]]]:
        """The result, and the events that came before it."""
        await raw.send(orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).decode())
        events: list[dict[str, Any]] = []
        while "id" not in (message := orjson.loads(await raw.recv())):
            events.append(message["params"])
        assert "result" in message, (method, message)
        return message["result"], events

    await call("auth.login_with_api_key", KEY)
    for namespace, (data, change) in LIVES.items():
        collection = f"{namespace}.query"
        subscription, _ = await call("core.subscribe", collection)
        row, events = await call(f"{namespace}.create", data)
        assert [(one["msg"], one["collection"], one["id"]) for one in events] == [("added", collection, row["id"])]
        assert events[0]["fields"]["id"] == row["id"]
        if change is not None:
            _, events = await call(f"{namespace}.update", row["id"], change)
            assert [(one["msg"], one["id"]) for one in events] == [("changed", row["id"])], namespace
            assert events[0]["fields"]["id"] == row["id"]
        _, events = await call(f"{namespace}.delete", row["id"])
        assert [(one["msg"], one["id"], "fields" in one) for one in events] == [("removed", row["id"], False)], (
            namespace
        )
        await call("core.unsubscribe", subscription)
    await raw.close()


@pytest.mark.row("4 core.get_jobs")
async def test_a_job_has_every_member_from_its_beginning_to_its_end(served: Served) -> None:
    client = await served.dial()
    await client.call("core.subscribe", "core.get_jobs")
    assert await client.call("work.abortable", "a") == 1
    added, running, half = [await event(client) for _ in range(3)]
    assert (added["msg"], added["id"], added["fields"]["state"]) == ("added", 1, "WAITING")
    assert [(one["msg"], one["fields"]["state"], one["fields"]["progress"]) for one in (running, half)] == [
        ("changed", "RUNNING", {"percent": 0, "description": "", "extra": None}),
        ("changed", "RUNNING", {"percent": 50, "description": "half", "extra": {"step": 1}}),
    ]
    (entry,) = await client.call("core.get_jobs", [["method", "=", "work.abortable"]])
    assert entry == half["fields"]
    assert entry == {
        "id": 1, "message_ids": [3], "method": "work.abortable", "arguments": ["a"], "transient": False,
        "description": None, "abortable": True, "logs_path": None, "logs_excerpt": None,
        "progress": {"percent": 50, "description": "half", "extra": {"step": 1}}, "result": None,
        "result_encoding_error": None, "error": None, "exception": None, "exc_info": None, "state": "RUNNING",
        "time_started": {"$date": 1_700_000_000_000}, "time_finished": None,
        "credentials": {
            "type": "API_KEY",
            "data": {
                "username": "truenas_admin", "login_at": {"$date": 1_700_000_000_000},
                "api_key": entry["credentials"]["data"]["api_key"],
            },
        },
    }  # fmt: skip
    assert set(entry["credentials"]["data"]["api_key"]) == {"id", "name"}
    assert await client.call("core.get_jobs", [], {"count": True}) == 1
    assert await client.call("core.get_jobs", [["time_started.$date", ">", "2023-11-14"]], {"select": ["id"]}) == [
        {"id": 1}
    ]


async def test_the_credentials_of_a_job_tell_how_its_session_logged_in(served: Served) -> None:
    sharer = await served.dial("sharer")
    entry = await ended(sharer, await sharer.call("core.job_wait", 99))
    assert (entry["credentials"]["type"], entry["credentials"]["data"]["username"]) == ("LOGIN_PASSWORD", "sharer")


async def test_who_has_not_all_privileges_sees_and_aborts_its_own_jobs_only(served: Served) -> None:
    admin, sharer, other = await served.dial(), await served.dial("sharer"), await served.dial("other")
    for client in (admin, sharer, other):
        await client.call("core.subscribe", "core.get_jobs")
    inside = await admin.call("work.abortable", "a")
    mine = await sharer.call("core.job_wait", inside)
    assert [one["id"] for one in await sharer.call("core.get_jobs")] == [mine]
    assert [one["id"] for one in await admin.call("core.get_jobs")] == [inside, mine]
    assert await other.call("core.get_jobs") == []
    for method in ("core.job_abort",):
        error = await other.refused(method, inside)
        assert (error.data["error"], error.reason) == (1, "[EPERM] Job is not owned by current session")
    assert {(await sharer.events.get())["params"]["id"]} == {mine}
    assert other.events.empty()
    entry = await ended(sharer, mine)
    assert (entry["state"], entry["error"]) == ("FAILED", "[EPERM] Job is not owned by current session")
    error = await sharer.refused("core.get_jobs", [], {"extra": {"raw_result": True}})
    assert error.reason == "[EPERM] Unredacted job results require full administrative privileges."


async def test_secrets_are_hidden_in_jobs_and_their_events(served: Served) -> None:
    client = await served.dial()
    await client.call("core.subscribe", "core.get_jobs")
    await client.call("core.set_options", {"legacy_jobs": False})
    data = {"user": "ada", "password": "hunter2"}
    assert await client.call("work.keep", data) == data
    bulk = [
        "iscsi.auth.create",
        [[{"tag": 1, "user": "u", "secret": "s3cret-s3cret"}], ["s3cret-in-the-wrong-place"]],
        "{0}",
    ]
    assert (await client.call("core.bulk", *bulk))[0]["result"]["secret"] == "s3cret-s3cret"
    token = (await client.call("core.bulk", "auth.generate_token", [[]]))[0]["result"]
    shown = [await client.call("core.get_jobs")]
    while not client.events.empty():
        shown.append(await event(client))
    text = orjson.dumps(shown).decode()
    assert [secret for secret in ("hunter2", "s3cret", token) if secret in text] == []
    assert shown[0][0]["arguments"] == [{"user": "ada", "password": "********"}]
    assert shown[0][0]["result"] == {"user": "ada", "password": "********"}
    raw = await client.call("core.get_jobs", [["id", "=", 1]], {"extra": {"raw_result": True}})
    assert raw[0]["result"] == data


async def test_a_job_with_a_log_shows_its_first_and_last_lines(served: Served) -> None:
    client = await served.dial()
    job_id = await client.call("work.keep", {"user": "a", "password": "b"})
    entry = await ended(client, job_id)
    lines = [f"line {number}\n" for number in range(25)]
    assert entry["logs_path"] == f"/var/log/jobs/{job_id}.log"
    assert entry["logs_excerpt"] == "".join([*lines[:10], "... 5 more lines ...\n", *lines[15:]])


@pytest.mark.parametrize(
    ("how", "error", "kind", "errno", "extra"),
    [
        ("validation", "[EEXIST] data.x: is wrong\n", "VALIDATION", None, [["data.x", "is wrong", 17]]),
        ("call", "[EIO] no", "CallError", 5, {"why": 1}),
        ("defect", "oops", "ZeroDivisionError", None, None),
    ],
)
async def test_a_failed_job_tells_why_in_four_members(
    served: Served, how: str, error: str, kind: str, errno: Any, extra: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = await served.dial()
    entry = await ended(client, await client.call("work.fail", how))
    assert (entry["state"], entry["error"], entry["description"]) == ("FAILED", error, f"Failing by {how}")
    assert set(entry["exc_info"]) == {"repr", "type", "errno", "extra"}
    assert (entry["exc_info"]["type"], entry["exc_info"]["errno"], entry["exc_info"]["extra"]) == (kind, errno, extra)
    assert entry["exception"].startswith("Traceback (most recent call last):\n")
    assert entry["time_finished"] == {"$date": 1_700_000_000_000}


@pytest.mark.row("4 core.job_wait")
async def test_waiting_is_a_job_with_the_progress_and_the_end_of_the_other(served: Served) -> None:
    client = await served.dial()
    inner = await client.call("work.abortable", "a")
    outer = await client.call("core.job_wait", inner)
    assert outer == inner + 1
    while (entry := await client.call("core.get_jobs", [["id", "=", outer]], {"get": True}))["state"] == "WAITING":
        pass
    assert entry["progress"] == {"percent": 50, "description": "half", "extra": {"step": 1}}
    failed = await client.call("work.fail", "validation")
    entry = await ended(client, await client.call("core.job_wait", failed))
    assert (entry["state"], entry["exc_info"]["type"]) == ("FAILED", "VALIDATION")
    kept = await client.call("work.keep", {"user": "a", "password": ""})
    entry = await ended(client, await client.call("core.job_wait", kept))
    assert (entry["state"], entry["result"]) == ("SUCCESS", {"user": "a", "password": ""})
    entry = await ended(client, await client.call("core.job_wait", 99))
    assert (entry["state"], entry["error"]) == ("FAILED", "[ENOENT] None: Job with id 99 does not exist")


@pytest.mark.row("4 core.job_abort")
async def test_aborting_what_waits_what_runs_what_cannot_and_what_is_not_there(served: Served) -> None:
    client = await served.dial()
    first, second = [await client.call("work.abortable", "a") for _ in range(2)]
    assert await client.call("core.job_abort", second) is None
    entry = await ended(client, second)
    assert (entry["state"], entry["result"], entry["error"], entry["exc_info"]) == ("ABORTED", None, None, None)
    assert await client.call("core.job_abort", first) is None
    assert (await ended(client, first))["state"] == "ABORTED"
    error = await client.refused("core.job_abort", 99)
    assert (error.code, error.items) == (-32602, [(None, "Job with id 99 does not exist", 2)])
    assert error.reason == "[ENOENT] None: Job with id 99 does not exist"
    busy = await client.call("work.alone")
    while (await client.call("core.get_jobs", [["id", "=", busy]], {"get": True}))["state"] != "RUNNING":
        pass
    error = await client.refused("core.job_abort", busy)
    assert (error.code, error.reason) == (-32001, f"[EFAULT] Job {busy} (work.alone) is not abortable")


@pytest.mark.row("4 core.bulk")
async def test_bulk_is_a_job_that_succeeds_and_tells_of_each_item(served: Served) -> None:
    client = await served.dial()
    await client.call("core.subscribe", "core.get_jobs")
    items = [[{"name": "tank/a"}], [{"name": "tank/a"}], [{}], [{"name": "tank/b", "comments": "x"}]]
    job_id = await client.call("core.bulk", "pool.dataset.create", items, "Making {0[name]}")
    entry = await ended(client, job_id)
    assert (entry["state"], entry["error"]) == (
        "FAILED",
        "[EINVAL] 'Making {0[name]}': there is no value for {0[name]}",
    )
    assert await client.call("core.job_wait", job_id)
    job_id = await client.call("core.bulk", "pool.dataset.create", [*items[:2], *items[3:]], "Making {0[name]}")
    entry = await ended(client, job_id)
    assert entry["state"] == "SUCCESS"
    assert [sorted(item) for item in entry["result"]] == [["error", "job_id", "result"]] * 3
    assert [(item["job_id"], item["error"]) for item in entry["result"]] == [
        (None, "[EINVAL] pool_dataset_create.name: Path /mnt/tank/a already exists\n"),
        (None, "[EINVAL] pool_dataset_create.name: Path /mnt/tank/a already exists\n"),
        (None, None),
    ]
    assert [item["result"] and item["result"]["id"] for item in entry["result"]] == [None, None, "tank/b"]
    texts = []
    while not client.events.empty():
        one = await event(client)
        if one["id"] == job_id and one["fields"]["progress"]["description"] not in texts:
            texts.append(one["fields"]["progress"]["description"])
    assert texts == ["", "0 / 3: Making tank/a", "1 / 3: Making tank/a", "2 / 3: Making tank/b"]


async def test_bulk_calls_jobs_too_and_may_not_do_more_than_the_caller(served: Served) -> None:
    client = await served.dial()
    await client.call("core.set_options", {"legacy_jobs": False})
    statuses = await client.call("core.bulk", "work.fail", [["call"], ["validation"], []])
    assert [(one["job_id"], one["error"]) for one in statuses] == [
        (2, "[EIO] no"), (3, "[EEXIST] data.x: is wrong\n"), (None, "[EINVAL] how: Field required\n"),
    ]  # fmt: skip
    assert await client.call("core.bulk", "core.ping", []) == []
    for method, text in (
        ("pool.nothing", "[ENOMETHOD] Method 'nothing' not found in 'pool'"), ("x", "[EBADMSG] Invalid method name"),
    ):  # fmt: skip
        assert (await client.refused("core.bulk", method, [[]])).reason == text
    reader = await served.dial("reader")
    await reader.call("core.set_options", {"legacy_jobs": False})
    error = await reader.refused("core.bulk", "pool.dataset.delete", [["tank"]])
    assert error.reason == "[EPERM] Not authorized"


@pytest.mark.row("4 core.get_methods")
async def test_methods_and_services_describe_what_the_caller_may_call(served: Served) -> None:
    client = await served.dial()
    methods = await client.call("core.get_methods")
    public = {name for name, method in served.nas.registry.methods.items() if not method.private}
    assert methods.keys() == public
    create = methods["iscsi.auth.create"]
    assert set(create) == {
        "description", "cli_description", "examples", "no_auth_required", "no_authz_required", "cli_private",
        "filterable", "filterable_schema", "pass_application", "item_method", "job", "downloadable", "uploadable",
        "check_pipes", "roles", "accepts", "returns",
    }  # fmt: skip
    (data,) = create["accepts"]
    assert (data["type"], data["_name_"], data["_required_"], data["required"]) == (
        "object", "data", True, ["tag", "user", "secret"],
    )  # fmt: skip
    assert data["properties"]["secret"] == {
        "type": "string", "maxLength": 1024, "format": "password", "writeOnly": True,
        "title": "secret", "_name_": "secret", "_required_": True,
    }  # fmt: skip
    assert data["properties"]["peersecret"]["default"] == ""
    assert (methods["core.bulk"]["job"], methods["core.ping"]["job"]) == (True, False)
    assert (methods["core.ping"]["no_auth_required"], create["no_auth_required"]) == (True, False)
    assert (methods["pool.query"]["filterable"], create["filterable"]) == (True, False)
    assert await client.call("core.get_methods", "core") == {
        name: one for name, one in methods.items() if name.startswith("core.")
    }
    assert await client.call("core.get_methods", None, "CLI") == methods
    assert (await client.refused("core.get_methods", None, "TV")).items[0][0] == "target"
    reader = await (await served.dial("reader")).call("core.get_methods", "pool.dataset")
    assert ("pool.dataset.query" in reader, "pool.dataset.delete" in reader) == (True, False)
    services = await client.call("core.get_services")
    kinds = {name: services[name]["type"] for name in ("pool.dataset", "iscsi.global", "core")}
    assert kinds == {"pool.dataset": "crud", "iscsi.global": "config", "core": "service"}
    assert services["pool.dataset"]["config"]["namespace"] == "pool.dataset"


async def test_with_new_style_jobs_the_reply_comes_at_the_end_and_events_carry_its_id(served: Served) -> None:
    client, other = await served.dial(), await served.dial()
    await client.call("core.set_options", {"legacy_jobs": False})
    await client.call("core.subscribe", "core.get_jobs")
    reply = await client.start("work.abortable", "a")
    assert [(await event(client))["fields"]["message_ids"] for _ in range(3)] == [[4]] * 3
    assert not reply.done()
    await other.call("core.job_abort", 1)
    assert (await reply)["result"] is None
    error = await client.refused("work.fail", "call")
    assert (error.code, error.reason, error.data["extra"]) == (-32001, "[EIO] no", {"why": 1})


async def test_a_lock_without_a_queue_refuses_the_second_job(served: Served) -> None:
    client = await served.dial()
    await client.call("work.alone")
    error = await client.refused("work.alone")
    assert (error.code, error.data["error"], error.reason) == (
        -32001,
        16,
        "[EBUSY] This job is already being performed",
    )
