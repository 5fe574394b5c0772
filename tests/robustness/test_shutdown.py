"""SIGTERM: calls that are running finish, new ones are turned away, and the exit status is 0."""

import asyncio

import grpc
import pytest

from csisim.pb import csi_pb2 as csi
from tests.support.orchestrator import create_request
from tests.support.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_running_calls_finish_after_sigterm(relayed: Site) -> None:
    assert relayed.relay is not None
    release, reached = asyncio.Event(), asyncio.Event()

    async def hold(_ordinal: int, _method: str) -> None:
        reached.set()
        await release.wait()

    relayed.relay.on_reply = hold
    running = [asyncio.create_task(relayed.client.code(create_request(f"late-{n}"))) for n in range(8)]
    await reached.wait()
    for _ in range(3):  # what is sent later on the same connection is served later: now all eight are running
        await relayed.client(csi.GetPluginInfoRequest())
    relayed.plugin.terminate()
    await _turned_away(relayed)
    assert relayed.plugin.process.poll() is None, "gone before the running calls were answered"
    release.set()
    assert await asyncio.gather(*running) == [grpc.StatusCode.OK] * 8
    assert await relayed.plugin.exit_status() == 0
    assert not (relayed.directory / "csi.sock").exists()
    relayed.relay.reset()
    await relayed.plugin.start_async()
    assert len((await relayed.co(csi.ListVolumesRequest())).entries) == 8
    await relayed.nothing_left()


async def _turned_away(site: Site) -> None:
    """Wait until the server takes no new calls; the signal needs a moment to arrive."""
    async with asyncio.timeout(20):
        while True:
            code = await site.client.code(csi.GetPluginInfoRequest(), 2.0)
            if code is not grpc.StatusCode.OK:
                break
            await asyncio.sleep(0.01)
    assert code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}  # both are repeated by the sidecars


async def test_calls_that_never_end_do_not_hold_up_the_exit(relayed: Site) -> None:
    assert relayed.relay is not None
    never, reached = asyncio.Event(), asyncio.Event()

    async def swallow(_ordinal: int, _method: str) -> None:
        reached.set()
        await never.wait()

    relayed.relay.on_reply = swallow
    running = asyncio.create_task(relayed.client.code(create_request("stuck"), 60))
    await reached.wait()
    relayed.plugin.terminate()
    assert await relayed.plugin.exit_status(40) == 0
    assert await running in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    relayed.relay.reset()
    await relayed.plugin.start_async()
    await relayed.co(create_request("stuck"))
    await relayed.nothing_left()


async def test_sigterm_at_once_after_the_start(site: Site) -> None:
    site.plugin.terminate()
    assert await site.plugin.exit_status() == 0
    await site.plugin.start_async()
    await site.nothing_left()
