"""Both clients against a real server; the one without `await` runs in a thread of the test."""

import asyncio
import inspect

import pytest

from csisim.control.client import (
    AsyncFaultClient,
    ControlFailed,
    FaultClient,
    NoSuchRule,
    RuleRefused,
    Unreachable,
)
from csisim.faults.grammar import parse_rule
from csisim.faults.plane import Passing
from tests.support.processes import free_port

RULE = "mount.umount: 2*error(EBUSY)"


@pytest.fixture
async def client(server):
    async with AsyncFaultClient(server.url) as client:
        yield client


def public(kind):
    return {
        name: list(inspect.signature(member).parameters)
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_methods():
    assert public(FaultClient) == public(AsyncFaultClient)


async def test_rules_are_added_listed_changed_and_removed(client, world):
    one = await client.add(RULE, name="busy")
    assert (one.name, one.rule, one.fired) == ("busy", RULE, 0)
    assert [each.name for each in await client.add_all(["link.up: off", {"rule": "link.up: off", "name": "x"}])] == [
        "rule-1",
        "x",
    ]
    assert len(await client.add_text("# two\nlink.up: off\nlink.down: off")) == 2
    assert (await client.change("busy", "link.up: delay(1ms)")).rule == "link.up: delay(1ms)"
    await client.remove("busy")
    assert [each.name for each in await client.rules()] == ["rule-1", "x", "rule-2", "rule-3"]
    await client.reset()
    assert world.plane.rules == ()


async def test_a_fault_is_in_force_inside_of_the_block_alone(client, world):
    async def fail_inside():
        async with client.fault(RULE) as record:
            assert [state.rule.name for state in world.plane.rules] == [record.name]
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        await fail_inside()
    assert world.plane.rules == ()
    async with client.fault(RULE):
        await client.reset()  # what it would take out is gone already


async def test_what_there_is_and_what_happened(client, world):
    world.plane.add(parse_rule("mount.umount: hang(gate)"))
    call = asyncio.create_task(world.plane.meet(Passing("mount.umount")))
    while not await client.barriers():
        await asyncio.sleep(0)

    status = await client.status()
    assert (status.driver, status.seed, status.waiting, status.endpoints) == (
        "csi.example.org",
        7,
        1,
        ("unix:///tmp/csi.sock",),
    )
    (site,) = await client.sites("mount.umount")
    assert (site.passed, site.fired, "error" in site.actions) == (1, 1, True)
    page = await client.events(kinds=["fault"])
    assert (page.next, page.events[0]["f"]) == (1, "mount.umount")
    assert (await client.barriers())[0].name == "gate"
    assert await client.release("gate") == 1
    await call


async def test_acts_are_passed_on(client, world):
    await client.crash("nas", down_s=0.5)
    assert await client.disconnect_nas() == 2
    assert world.asked == [("crash", "nas", "", 0.5), ("disconnect-nas",)]
    assert await client.leftovers() == ["dataset tank/csi/pvc-1"]


async def test_refusals_say_why_and_where(client):
    with pytest.raises(RuleRefused, match="column 10: 'bug' is not an action") as caught:
        await client.add("link.up: bug")
    assert (caught.value.status, caught.value.column) == (422, 10)
    with pytest.raises(RuleRefused, match="line 2, column 1: there is no site"):
        await client.add_text("link.up: off\nlinkup: off")
    with pytest.raises(NoSuchRule, match="there is no rule 'x'"):
        await client.remove("x")


async def test_events_are_watched_as_they_happen(client, world):
    world.history.add("info", "fault", "old")
    found = []
    async for event in client.watch(since=0, kinds=["fault"]):
        found.append(event["f"])
        if event["f"] == "new":
            break
        world.history.add("info", "rpc", "other")
        world.history.add("info", "fault", "new")
    assert found == ["old", "new"]


async def test_a_gap_is_an_event_of_its_own(client, world):
    world.history._events = type(world.history._events)(maxlen=1)
    world.history.add("info", "fault", "a")
    world.history.add("info", "fault", "b")
    assert await anext(client.watch(since=0)) == {"type": "gap", "missed": 1}


async def test_the_client_without_await_does_the_same(server, world):
    def use():
        with FaultClient(server.url) as client:
            with client.fault(RULE) as record:
                assert [each.name for each in client.rules()] == [record.name]
            with pytest.raises(RuleRefused):
                client.add("bug")
            client.add("link.up: off")
            client.reset()
            return next(client.watch(since=0))

    world.history.add("info", "fault", "seen")
    event = await asyncio.get_running_loop().run_in_executor(None, use)

    assert event["f"] == "seen"
    assert world.plane.rules == ()


async def test_the_token_is_shown(serve):
    server = await serve(token="12345678")
    async with AsyncFaultClient(server.url, "12345678") as client:
        assert await client.rules() == []
    async with AsyncFaultClient(server.url, "wrong") as client:
        with pytest.raises(ControlFailed, match="token is missing or wrong") as caught:
            await client.rules()
        assert caught.value.status == 401
        with pytest.raises(ControlFailed, match="token is missing or wrong"):
            await anext(client.watch())


async def test_nobody_there_is_an_error_that_names_the_url():
    url = f"http://127.0.0.1:{free_port()}"
    async with AsyncFaultClient(url) as client:
        with pytest.raises(Unreachable, match=f"no control server answers at {url}.*--control"):
            await client.rules()


async def test_something_else_there_is_an_error_too():
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}"
    async with AsyncFaultClient(url) as client:
        with pytest.raises(Unreachable, match="is not a control server"):
            await client.rules()
    other.close()
    await other.wait_closed()
