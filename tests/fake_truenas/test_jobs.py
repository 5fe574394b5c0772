"""Jobs: their states, locks and events; over a real socket where a client sees them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect

from fake_truenas import Nas
from fake_truenas.context import Ctx
from fake_truenas.credentials import Credentials
from fake_truenas.errors import CallError, ValidationErrors, invalid
from fake_truenas.jobs import JobRun
from fake_truenas.methods import default_registry
from fake_truenas.registry import Job, Namespace, Registry
from fake_truenas.schema import Field, Str
from fake_truenas.session import Session
from tests.fake_truenas.rpc import KEY, Client, listener, make_nas

work = Namespace("work")
GATES: dict[str, asyncio.Event] = {}
BEGUN: list[str] = []


@work.method("locked", Field("name", Str()), job=Job(lock=lambda _: "the-lock", abortable=True))
async def locked(ctx: Ctx, job: JobRun, name: str) -> str:
    job.progress(50, "half")
    await GATES[name].wait()
    return name


@work.method("single", Field("name", Str()), job=Job(lock=lambda name: name, queue=0))
async def single(ctx: Ctx, job: JobRun, name: str) -> None:
    await GATES[name].wait()


@work.method("fail", Field("how", Str()), job=Job(description=lambda how: f"fails by {how}"))
async def fail(ctx: Ctx, job: JobRun, how: str) -> None:
    if how == "validation":
        raise invalid("data.x", "is wrong", 17)
    if how == "call":
        raise CallError("no", 5)
    raise ZeroDivisionError("oops")


@pytest.fixture
async def worker() -> AsyncIterator[tuple[Nas, Client]]:
    GATES.clear()
    GATES.update({name: asyncio.Event() for name in "abc"})
    base = default_registry()
    registry = Registry([work])
    registry.methods.update(base.methods)
    registry.tables.extend(base.tables)
    nas = make_nas(registry=registry)
    server = await nas.serve("127.0.0.1", 0)
    client = Client(await connect(server.url, proxy=None))
    await client.call("auth.login_with_api_key", KEY)
    yield nas, client
    await client.close()
    await server.close()
    nas.close()
    await asyncio.sleep(0)


async def job(client: Client, job_id: int) -> Any:
    return await client.call("core.get_jobs", [["id", "=", job_id]], {"get": True})


async def event(client: Client) -> tuple[Any, ...]:
    params = (await client.events.get())["params"]
    fields = params["fields"]
    return params["msg"], params["id"], fields["state"], fields["progress"]["percent"]


async def test_a_job_answers_with_its_id_and_ends_with_events(worker: tuple[Nas, Client]) -> None:
    _, client = worker
    await client.call("core.subscribe", "core.get_jobs")
    job_id = await client.call("work.locked", "a")
    assert job_id == 1
    assert [await event(client) for _ in range(3)] == [
        ("added", 1, "WAITING", 0), ("changed", 1, "RUNNING", 0), ("changed", 1, "RUNNING", 50),
    ]  # fmt: skip
    running = await job(client, job_id)
    assert (running["state"], running["time_finished"], running["progress"]["description"]) == ("RUNNING", None, "half")
    assert (running["method"], running["arguments"], running["abortable"]) == ("work.locked", ["a"], True)
    GATES["a"].set()
    assert await event(client) == ("changed", 1, "SUCCESS", 100)
    done = await job(client, job_id)
    assert (done["result"], done["time_finished"], done["exc_info"]) == ("a", {"$date": 1_700_000_000_000}, None)


async def test_without_legacy_jobs_the_reply_is_the_jobs_outcome(worker: tuple[Nas, Client]) -> None:
    _, client = worker
    await client.call("core.set_options", {"legacy_jobs": False})
    await client.call("core.subscribe", "core.get_jobs")
    future = await client.start("work.locked", "a")
    added = (await client.events.get())["params"]["fields"]
    assert added["message_ids"] == [3 + 1]
    GATES["a"].set()
    assert (await future)["result"] == "a"
    error = await client.refused("work.fail", "call")
    assert (error.code, error.reason) == (-32001, "[EIO] no")


async def test_jobs_of_one_lock_run_one_after_the_other_in_order(worker: tuple[Nas, Client]) -> None:
    _, client = worker
    ids = [await client.call("work.locked", name) for name in "abc"]
    assert [(await job(client, one))["state"] for one in ids] == ["RUNNING", "WAITING", "WAITING"]
    await client.call("core.job_abort", ids[1])
    assert (await job(client, ids[1]))["state"] == "ABORTED"
    GATES["a"].set()
    wait = await client.call("core.job_wait", ids[0])
    while (await job(client, wait))["state"] != "SUCCESS":
        pass
    assert (await job(client, wait))["result"] == "a"
    assert (await job(client, ids[2]))["state"] == "RUNNING"
    await client.call("core.job_abort", ids[2])
    while (await job(client, ids[2]))["state"] == "RUNNING":
        pass
    assert (await job(client, ids[2]))["state"] == "ABORTED"


async def test_a_lock_without_a_queue_refuses_the_second_job(worker: tuple[Nas, Client]) -> None:
    _, client = worker
    await client.call("work.single", "a")
    await client.call("work.single", "b")
    error = await client.refused("work.single", "a")
    assert (error.data["error"], error.reason) == (16, "[EBUSY] This job is already being performed")
    assert (await client.refused("core.job_abort", 1)).code == -32001


@pytest.mark.parametrize(
    ("how", "kind", "errno", "extra", "text"),
    [
        ("validation", "VALIDATION", None, [["data.x", "is wrong", 17]], "[EEXIST] data.x: is wrong\n"),
        ("call", "CallError", 5, None, "[EIO] no"),
        ("defect", "ZeroDivisionError", None, None, "oops"),
    ],
)
async def test_a_failed_job_tells_why(
    worker: tuple[Nas, Client], how: str, kind: str, errno: Any, extra: Any, text: str
) -> None:
    _, client = worker
    job_id = await client.call("work.fail", how)
    while (found := await job(client, job_id))["state"] != "FAILED":
        pass
    assert (found["error"], found["description"]) == (text, f"fails by {how}")
    info = found["exc_info"]
    assert (info["type"], info["errno"], info["extra"]) == (kind, errno, extra)


async def test_finished_jobs_are_forgotten_after_a_thousand(worker: tuple[Nas, Client]) -> None:
    nas, _ = worker
    for _ in range(1005):
        with pytest.raises(CallError):
            await nas.call("work.fail", "call")
    found = nas.call_direct("core.get_jobs", [], {"order_by": ["id"], "select": ["id"]})
    assert (len(found), found[0], found[-1]) == (1000, {"id": 6}, {"id": 1005})


@work.method("note", Field("lock", Str()), Field("name", Str()), job=Job(lock=lambda lock, _: lock, transient=True))
async def note(ctx: Ctx, job: JobRun, lock: str, name: str) -> str:
    BEGUN.append(name)
    await GATES[name].wait()
    return name


async def turns() -> None:
    """Let everything that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


def submit(nas: Nas, method: str, *args: Any) -> JobRun:
    return nas.jobs.submit(nas.registry.methods[method], Ctx(nas), list(args))


@pytest.fixture
async def alone() -> AsyncIterator[Nas]:
    """A NAS without a network whose jobs wait at gates."""
    BEGUN.clear()
    GATES.clear()
    GATES.update({name: asyncio.Event() for name in "abc"})
    nas = make_nas(registry=Registry([work]))
    yield nas
    nas.close()
    await turns()


async def test_jobs_of_different_locks_run_side_by_side(alone: Nas) -> None:
    runs = [submit(alone, "work.note", lock, name) for lock, name in (("1", "a"), ("2", "b"), ("1", "c"))]
    await turns()
    assert BEGUN == ["a", "b"]
    GATES["b"].set()
    await turns()
    assert [run.state for run in runs] == ["RUNNING", "SUCCESS", "WAITING"]
    GATES["a"].set()
    await turns()
    assert BEGUN == ["a", "b", "c"]


async def test_a_transient_job_is_listed_until_it_ends(alone: Nas) -> None:
    run = submit(alone, "work.note", "1", "a")
    await turns()
    assert [entry["id"] for entry in alone.jobs.entries()] == [run.id]
    GATES["a"].set()
    assert await run.outcome() == "a"
    assert (alone.jobs.entries(), alone.jobs.entries(only=run.id)) == ([], [])
    with pytest.raises(ValidationErrors, match=f"Job with id {run.id} does not exist"):
        alone.jobs.get(run.id)


async def test_a_job_aborted_before_its_first_step_never_runs_and_frees_its_lock(alone: Nas) -> None:
    first, second = submit(alone, "work.note", "1", "a"), submit(alone, "work.note", "1", "b")
    alone.jobs.abort(first.id)
    GATES["b"].set()
    assert await second.outcome() == "b"
    assert BEGUN == ["b"]
    assert await first.outcome() is None


async def test_an_aborted_job_does_not_free_the_lock_of_the_one_that_runs(alone: Nas) -> None:
    _, second, third = (submit(alone, "work.note", "1", name) for name in "abc")
    await turns()
    alone.jobs.abort(second.id)
    await turns()
    assert (BEGUN, third.state) == (["a"], "WAITING")


async def test_a_job_that_cannot_be_aborted_goes_on(alone: Nas) -> None:
    run = submit(alone, "work.note", "1", "a")
    await turns()
    with pytest.raises(CallError, match=r"Job 1 \(work.note\) is not abortable"):
        alone.jobs.abort(run.id)
    GATES["a"].set()
    assert await run.outcome() == "a"


async def test_a_refused_job_takes_no_id(alone: Nas) -> None:
    assert submit(alone, "work.single", "a").id == 1
    with pytest.raises(CallError, match="already being performed"):
        submit(alone, "work.single", "a")
    assert submit(alone, "work.single", "b").id == 2
    assert [entry["id"] for entry in alone.jobs.entries()] == [1, 2]


@work.method("queued", Field("name", Str()), job=Job(lock=lambda _: "queued", queue=1))
async def queued(ctx: Ctx, job: JobRun, name: str) -> None:
    await GATES[name].wait()


async def test_a_full_queue_answers_with_the_job_that_waits_and_tells_it_the_callers_id(alone: Nas) -> None:
    method = alone.registry.methods["work.queued"]
    submit(alone, "work.queued", "a")
    second = alone.jobs.submit(method, Ctx(alone, None, 7), ["b"])
    third = alone.jobs.submit(method, Ctx(alone, None, 8), ["c"])
    assert (third is second, second.message_ids, len(alone.jobs.entries())) == (True, [7, 8], 2)


async def test_a_job_that_waits_for_another_accounts_is_refused(alone: Nas) -> None:
    method = alone.registry.methods["work.queued"]
    sessions = [Session(name) for name in "xy"]
    for session in sessions:
        session.log_in(Credentials("LOGIN_PASSWORD", session.id, 0.0, roles=frozenset({"SHARING_ADMIN"})))
    alone.jobs.submit(method, Ctx(alone, sessions[0]), ["a"])
    alone.jobs.submit(method, Ctx(alone, sessions[0]), ["b"])
    with pytest.raises(CallError, match="This job is already being performed by another user"):
        alone.jobs.submit(method, Ctx(alone, sessions[1]), ["c"])


async def test_progress_is_in_whole_percent_and_announced_when_it_changes(alone: Nas) -> None:
    session, wire = listener("1")
    alone.events.subscribe(session, "s", "core.get_jobs")
    run = submit(alone, "work.single", "a")
    run.progress(33.4, "a third")
    run.progress(33.9)
    run.progress(None, "", {"more": 1})
    shown = [event["fields"]["progress"] for event in wire.sent if event["msg"] == "changed"]
    assert shown == [
        {"percent": 33, "description": "a third", "extra": None},
        {"percent": 33, "description": "a third", "extra": {"more": 1}},
    ]


async def test_a_transient_job_has_no_events(alone: Nas) -> None:
    session, wire = listener("1")
    alone.events.subscribe(session, "s", "core.get_jobs")
    GATES["a"].set()
    await submit(alone, "work.note", "1", "a").outcome()
    assert wire.sent == []


async def test_closing_ends_every_job_and_starts_none(alone: Nas) -> None:
    runs = [submit(alone, "work.note", "1", name) for name in "ab"]
    await turns()
    runs.append(submit(alone, "work.note", "2", "c"))
    outcomes = [asyncio.ensure_future(run.outcome()) for run in runs]
    alone.close()
    for gate in GATES.values():
        gate.set()
    ends = await asyncio.gather(*outcomes, return_exceptions=True)
    assert ends == [None] * 3
    assert BEGUN == ["a"]
    assert {run.state for run in runs} == {"ABORTED"}
