"""Who is told of what."""

import asyncio
from typing import Any

from fake_truenas import Nas
from fake_truenas.events import Events
from tests.fake_truenas.rpc import Client, listener


async def test_unsubscribing_and_leaving_end_notifications(nas: Nas, client: Client, dial: Any) -> None:
    subscription = await client.call("core.subscribe", "pool.dataset.query")
    other = await dial()
    await other.call("core.subscribe", "pool.dataset.query")
    assert await client.call("core.unsubscribe", subscription) is None
    assert await client.call("core.unsubscribe", "no-such") is None
    await client.call("pool.dataset.create", {"name": "tank/a"})
    assert (await other.events.get())["params"]["id"] == "tank/a"
    assert client.events.empty()
    await other.close()
    while nas.events.wanted("pool.dataset.query"):
        await asyncio.sleep(0)


def test_each_session_is_told_once_however_often_it_subscribed() -> None:
    events = Events()
    (one, first), (two, second) = listener("1"), listener("2")
    events.subscribe(one, "a", "pool.query")
    events.subscribe(one, "b", "pool.query")
    events.subscribe(one, "c", "*")
    events.subscribe(two, "d", "other")
    events.send("pool.query", "changed", "tank", {"size": 1})
    assert first.sent == [{"msg": "changed", "collection": "pool.query", "id": "tank", "fields": {"size": 1}}]
    assert second.sent == []
    events.unsubscribe(one, "a")
    events.send("pool.query", "removed", "tank", extra={"recursive": True})
    assert first.sent[1:] == [
        {"msg": "removed", "collection": "pool.query", "id": "tank", "extra": {"recursive": True}}
    ]


def test_a_listener_to_everything_wants_every_collection() -> None:
    events = Events()
    session, wire = listener("1")
    assert not events.wanted("pool.query")
    events.subscribe(session, "a", "*")
    assert events.wanted("pool.query")
    events.send("sharing.nfs.query", "added", 7)
    assert [event["collection"] for event in wire.sent] == ["sharing.nfs.query"]
    events.unsubscribe(session, "a")
    assert not events.wanted("pool.query")


def test_a_subscription_is_ended_by_its_own_session_only() -> None:
    events = Events()
    (one, first), (two, _) = listener("1"), listener("2")
    events.subscribe(one, "a", "pool.query")
    events.unsubscribe(two, "a")
    events.send("pool.query", "added", "tank")
    assert len(first.sent) == 1


def test_dropping_a_session_leaves_the_others() -> None:
    events = Events()
    (one, first), (two, second) = listener("1"), listener("2")
    for session in (one, two):
        events.subscribe(session, f"{session.id}a", "pool.query")
        events.subscribe(session, f"{session.id}b", "*")
    events.drop(one)
    assert one.subscriptions == {}
    events.send("pool.query", "added", "tank")
    assert (first.sent, len(second.sent)) == ([], 1)
    events.drop(two)
    assert not events.wanted("pool.query")


async def test_a_subscription_that_comes_through_after_its_connection_is_gone_is_not_kept(nas: Nas, dial: Any) -> None:
    held, ended = asyncio.Event(), asyncio.Event()

    async def hold(call: Any, proceed: Any) -> Any:
        if call.method != "core.subscribe":
            return await proceed()
        held.set()
        await ended.wait()
        result = await proceed()
        done.set()
        return result

    done = asyncio.Event()
    nas.intercept = hold
    client: Client = await dial()
    await client.start("core.subscribe", "pool.dataset.query")
    await held.wait()
    await client.close()
    while nas.sessions:
        await asyncio.sleep(0)
    ended.set()
    await done.wait()
    assert not nas.events.wanted("pool.dataset.query")
