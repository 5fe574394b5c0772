"""The NAS without a network: who may call what, and when a change and its events count."""

import asyncio
from typing import Any

import pytest

from fake_truenas import Nas
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError, MethodNotFound, ValidationErrors
from fake_truenas.jobs import JobRun
from fake_truenas.registry import Job, Namespace, Registry
from fake_truenas.schema import Bool, Field, Str
from fake_truenas.session import Session
from tests.fake_truenas.rpc import GIB, KEY, Client, Clock, listener, make_nas

notes = Namespace("test", tables="create table note (text text not null)")


@notes.method("add", Field("text", Str()), Field("fail", Bool(), default=False))
def add(ctx: Ctx, text: str, fail: bool) -> list[str]:
    ctx.db.run("insert into note (text) values (?)", (text,))
    ctx.emit("test.notes", "added", text, lambda: {"text": text})
    if fail:
        raise CallError("as asked", 5)
    return written(ctx)


@notes.method("open", public=True)
def written(ctx: Ctx) -> list[str]:
    return [row["text"] for row in ctx.db.rows("select text from note order by rowid")]


@notes.method("hidden", private=True)
def hidden(ctx: Ctx) -> str:
    return "found"


@notes.method("later", Field("text", Str()))
async def later(ctx: Ctx, text: str) -> None:
    with ctx.transaction():
        ctx.db.run("insert into note (text) values (?)", (text,))
        ctx.emit("test.notes", "added", text)
        if text == "wrong":
            raise CallError("as asked", 5)
    await asyncio.sleep(0)
    raise CallError("after the change", 5)


@notes.method("work", Field("text", Str()), job=Job())
async def work(ctx: Ctx, job: JobRun, text: str) -> str:
    await asyncio.sleep(0)
    return text.upper()


@pytest.fixture
def own() -> Any:
    made = make_nas(registry=Registry([notes]))
    yield made
    made.close()


def logged_in(nas: Nas) -> Session:
    session = Session("someone")
    session.username = nas.config.username
    return session


def test_a_refused_call_changes_nothing_and_tells_nobody(own: Nas) -> None:
    session, wire = listener("1")
    own.events.subscribe(session, "a", "test.notes")
    with pytest.raises(CallError, match="as asked"):
        own.call_direct("test.add", "first", True)
    assert (own.call_direct("test.open"), wire.sent) == ([], [])
    assert own.call_direct("test.add", "second") == ["second"]
    assert [(event["id"], event["fields"]) for event in wire.sent] == [("second", {"text": "second"})]


async def test_a_call_that_waits_keeps_the_transactions_it_has_ended(own: Nas) -> None:
    session, wire = listener("1")
    own.events.subscribe(session, "a", "test.notes")
    with pytest.raises(CallError, match="as asked"):
        await own.call("test.later", "wrong")
    with pytest.raises(CallError, match="after the change"):
        await own.call("test.later", "kept")
    assert own.call_direct("test.open") == ["kept"]
    assert [event["id"] for event in wire.sent] == ["kept"]


async def test_only_public_methods_without_a_login_and_parameters_are_judged_after_it(own: Nas) -> None:
    session = Session("nobody")
    assert await own.apply(session, "test.open", []) == []
    for name, params in (("test.add", ["x"]), ("test.add", []), ("test.work", ["x"])):
        with pytest.raises(CallError) as caught:
            await own.apply(session, name, params)
        assert (caught.value.errno, caught.value.reason) == (207, "[ENOTAUTHENTICATED] Not authenticated")
    with pytest.raises(MethodNotFound):
        await own.apply(session, "test.nope", [])
    with pytest.raises(ValidationErrors):
        await own.apply(logged_in(own), "test.add", [])


async def test_private_methods_do_not_exist_until_the_session_asks_for_them(own: Nas) -> None:
    session = logged_in(own)
    with pytest.raises(MethodNotFound):
        await own.apply(session, "test.hidden", [])
    session.private_methods = True
    assert await own.apply(session, "test.hidden", []) == "found"
    with pytest.raises(MethodNotFound):
        await own.apply(logged_in(own), "test.hidden", [])


async def test_a_job_is_answered_with_its_id_or_its_result(own: Nas) -> None:
    session = logged_in(own)
    assert await own.apply(session, "test.work", ["a"], 7) == 1
    assert own.jobs.get(1).message_ids == [7]
    session.legacy_jobs = False
    assert await own.apply(session, "test.work", ["b"]) == "B"
    job, result = await own.apply_inner(session, "test.work", ["c"])
    assert job is not None
    assert (job.id, result, await job.outcome()) == (3, None, "C")
    assert await own.apply_inner(session, "test.open", []) == (None, [])


def test_what_waits_is_not_called_directly(own: Nas) -> None:
    for name in ("test.later", "test.work"):
        with pytest.raises(TypeError, match=f"{name} may wait: use await nas.call"):
            own.call_direct(name, "x")
    assert own.call_direct("test.open") == []


async def test_calls_from_inside_do_not_pass_the_interceptor(own: Nas) -> None:
    async def refuse(call: Any, proceed: Any) -> Any:
        raise CallError("never")

    own.intercept = refuse
    assert await own.call("test.add", "x") == ["x"]
    assert await own.call("test.work", "x") == "X"


async def test_logging_everybody_out_ends_subscriptions_and_keeps_the_sockets(nas: Nas, dial: Any) -> None:
    first, second = await dial(), await dial()
    await first.call("core.subscribe", "pool.dataset.query")
    nas.invalidate_sessions()
    assert not nas.events.wanted("pool.dataset.query")
    for client in (first, second):
        assert (await client.refused("pool.query")).data["error"] == 207
    assert await first.call("auth.login_with_api_key", KEY) is True
    assert (await second.refused("pool.query")).data["error"] == 207


async def test_a_session_is_known_while_its_connection_lasts(nas: Nas, dial: Any) -> None:
    first: Client = await dial()
    await dial()
    assert [session.username for session in nas.sessions.values()] == [nas.config.username] * 2
    assert {session.created_at for session in nas.sessions.values()} == {nas.clock()}
    await first.close()
    while len(nas.sessions) > 1:
        await asyncio.sleep(0)


def test_the_same_seed_gives_the_same_nas() -> None:
    def life(nas: Nas) -> Any:
        nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB})
        nas.call_direct("pool.snapshot.create", {"dataset": "tank/v", "name": "s"})
        nas.call_direct("iscsi.extent.create", {"name": "e", "type": "DISK", "disk": "zvol/tank/v"})
        found = [nas.call_direct(f"{name}.query") for name in ("pool", "pool.dataset", "pool.snapshot", "iscsi.extent")]
        boot = nas.boot_id, nas.call_direct("system.host_id"), nas.call_direct("nvmet.global.config")
        nas.close()
        return found, boot

    assert life(make_nas()) == life(make_nas())


def test_time_comes_from_the_given_clock() -> None:
    clock = Clock()
    nas = make_nas(clock=clock)
    clock.now = 1_800_000_000.0
    entry = nas.call_direct("pool.dataset.create", {"name": "tank/a"})
    assert entry["creation"]["parsed"] == {"$date": 1_800_000_000_000}
    assert nas.started_at == 1_700_000_000.0
    nas.close()


def test_a_nas_may_be_closed_twice(own: Nas) -> None:
    own.close()
    own.close()
    with pytest.raises(Exception, match="closed database"):
        own.call_direct("test.open")
