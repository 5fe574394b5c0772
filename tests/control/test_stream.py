"""The event stream, by raw sockets where it matters how a reader reads."""

import asyncio
import json

import pytest

from csisim.control.stream import Streams
from csisim.events import History


def add(world, *names, kind="fault"):
    for name in names:
        world.history.add("info", kind, name)


async def frames(answer, count):
    """The next frames as (id, data) or (event, data)."""
    found, current = [], {}
    async for line in answer.aiter_lines():
        key, colon, value = line.partition(":")
        if line and colon and key:
            current[key] = value.strip()
        elif not line:
            if "data" in current:
                found.append(current)
            current = {}
            if len(found) == count:
                return found
    return found


async def test_without_a_start_only_new_events_are_told(http, world):
    add(world, "old")
    async with http.stream("GET", "/events/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        add(world, "a", "b")
        got = await frames(answer, 2)

    assert [(frame["id"], json.loads(frame["data"])["f"]) for frame in got] == [("2", "a"), ("3", "b")]


@pytest.mark.parametrize("start", [{"params": {"since": 1}}, {"headers": {"Last-Event-ID": "1"}}])
async def test_a_reader_goes_on_where_it_left_off(http, world, start):
    add(world, "a", "b", "c")
    async with http.stream("GET", "/events/stream", **start) as answer:
        got = await frames(answer, 2)

    assert [frame["id"] for frame in got] == ["2", "3"]


async def test_only_the_kinds_that_are_asked_for_are_told(http, world):
    async with http.stream("GET", "/events/stream", params={"kind": ["fault", "mount"]}) as answer:
        for number in range(300):  # more than a batch
            add(world, f"r{number}", kind="rpc")
        add(world, "a", kind="mount")
        add(world, "b")
        got = await frames(answer, 2)

    assert [frame["id"] for frame in got] == ["301", "302"]


async def test_what_is_forgotten_already_is_told_as_a_gap(http, world):
    world.history._events = type(world.history._events)(maxlen=3)
    add(world, *"abcdef")
    async with http.stream("GET", "/events/stream", params={"since": 1}) as answer:
        got = await frames(answer, 2)

    assert (got[0]["event"], got[0]["id"], got[0]["data"]) == ("gap", "3", '{"missed": 2}')
    assert got[1]["id"] == "4"


async def test_a_last_event_id_that_is_none_is_refused(http):
    for seen in ("x", "-1", "1" * 30, "٣"):
        answer = await http.get("/events/stream", headers={"Last-Event-ID": seen.encode()})

        assert (answer.status_code, answer.json()["status"]) == (422, 422)


async def test_a_quiet_stream_says_that_it_is_alive(serve, connect):
    server = await serve(heartbeat_s=0.01)
    async with (await connect(server)).stream("GET", "/events/stream") as answer:
        beats = 0
        async for line in answer.aiter_lines():
            beats += line == ": alive"
            if beats == 2:
                break

    assert beats == 2


async def test_there_are_only_so_many_readers_and_a_place_is_free_again(serve, world, connect):
    server = await serve(max_streams=2)
    http = await connect(server)
    async with http.stream("GET", "/events/stream"), http.stream("GET", "/events/stream"):
        refused = await http.get("/events/stream")
        assert (refused.status_code, refused.json()["error"]) == (
            503,
            "there are 2 readers already; GET /events?since= needs no stream",
        )
        assert (await http.get("/events")).status_code == 200
    while "csisim_event_streams 0.0" not in (await http.get("/metrics")).text:
        await asyncio.sleep(0)
    assert world.history._listeners == {next(iter(world.history._listeners)): None}  # the metrics' own
    async with http.stream("GET", "/events/stream") as answer:
        assert answer.status_code == 200


async def test_a_reader_that_takes_nothing_holds_up_nobody_and_buffers_little(server, world, http):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /events/stream?since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    reader._transport.pause_reading()
    for _ in range(20):
        for _ in range(100):
            world.history.add("info", "fault", "f" * 5000)
        await asyncio.sleep(0)
    assert (await http.get("/status")).json()["last_seq"] == 2000
    (stuck,) = (each for each in server._state.connections if each.transport.get_write_buffer_size())
    assert stuck.transport.get_write_buffer_size() < 1 << 20
    writer.close()


async def test_the_end_of_the_server_ends_the_stream(serve, world, connect):
    server = await serve()
    async with (await connect(server)).stream("GET", "/events/stream") as answer:
        add(world, "last")
        closing = asyncio.create_task(server.close())
        text = await answer.aread()
        await closing

    assert b'"last"' in text


async def test_a_reader_of_a_closed_history_gets_what_there_is():
    history = History(lambda: 0.0)
    streams = Streams(history, most=1, heartbeat_s=1)
    streams.close()

    assert [text async for text in streams.read(0, ())] == [b"retry: 1000\n: 0 events so far\n\n"]
