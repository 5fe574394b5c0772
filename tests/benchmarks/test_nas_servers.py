"""The NAS and its yardstick as processes, under the benchmark's own client."""

import asyncio
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from benchmarks import nas_servers
from benchmarks.nas_bare import result_of
from benchmarks.nas_servers import Client, Refused


async def test_the_yardstick_answers_every_call_with_the_same_result(tmp_path: Path) -> None:
    async with nas_servers.bare(tmp_path) as target:
        replies = await asyncio.gather(*(target.client.result("core.ping") for _ in range(50)))
        assert replies == ["xxxx"] * 50
        assert await target.client.result("pool.dataset.create", {"name": "tank/a"}) == "xxxx"
        assert target.usage().peak_bytes > 1 << 20


@pytest.mark.parametrize("size", [2, 6, 1000])
def test_the_yardsticks_result_has_the_size_asked_for(size: int) -> None:
    assert len(result_of(size)) == size


async def test_the_nas_is_logged_in_to_and_errors_end_the_benchmark(tmp_path: Path) -> None:
    async with nas_servers.nas(tmp_path, "nas") as target:
        assert target.started_s > 0
        assert await target.client.result("pool.query", [], {"count": True}) == 1
        with pytest.raises(Refused, match=r"(?s)pool.dataset.create.*error"):
            await target.client.call("pool.dataset.create", {"name": "no/such"})


async def test_calls_under_way_fail_when_the_connection_ends(tmp_path: Path) -> None:
    async with nas_servers.bare(tmp_path) as target:
        client: Client = target.client
        await client.close()
        with pytest.raises(ConnectionClosed):
            await client.call("core.ping")


async def test_calls_in_flight_fail_when_the_server_goes(tmp_path: Path) -> None:
    async with nas_servers.bare(tmp_path) as target:
        # Not an answer of the yardstick's: it fails on a call without an id, and closes.
        pending = asyncio.ensure_future(target.client.call("core.ping"))
        await asyncio.sleep(0)
        await target.client.socket.send("[]")
        with pytest.raises((Refused, ConnectionClosed)):  # in flight, or not sent any more
            await asyncio.wait_for(_until_refused(pending, target.client), 30)


async def _until_refused(pending: "asyncio.Future[bytes]", client: Client) -> None:
    await pending
    while True:
        await client.call("core.ping")


async def test_a_process_that_ends_at_once_is_reported_with_its_output(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeError, match="nas ended with status"):
        async with nas_servers.nas(tmp_path, "nas", tmp_path / "file"):
            pass
