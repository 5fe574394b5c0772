"""The connection to the driver: what is told when it is not there, and that it is made again."""

import asyncio
import sys
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc import StatusCode

from csisim.endpoint import Endpoint
from csisim.proxy.upstream import Upstream, UpstreamError
from tests.proxy.between import ALLOCATED, CREATE, Driver, Held, answering, error_of, running

DRIVER = """
import asyncio, sys, grpc
class Anything(grpc.GenericRpcHandler):
    def service(self, details):
        async def act(request, context):
            await context.write(b"first")
            await asyncio.Event().wait()
        return grpc.unary_stream_rpc_method_handler(act)
async def main():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([Anything()])
    server.add_insecure_port(f"unix://{sys.argv[1]}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()
asyncio.run(main())
"""

REFUSING = """
import concurrent.futures, sys, grpc
server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
server.add_insecure_port(f"unix://{sys.argv[1]}")
server.start()
print("ready", flush=True)
server.wait_for_termination()
"""


@asynccontextmanager
async def process(text, socket):
    """A driver as a process of its own, killed in the end."""
    running = await asyncio.create_subprocess_exec(sys.executable, "-c", text, socket, stdout=asyncio.subprocess.PIPE)
    try:
        assert await running.stdout.readline() == b"ready\n"
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


@pytest.fixture
async def upstream(tmp_path):
    made = Upstream(Endpoint(path=str(tmp_path / "d.sock")))
    yield made
    await made.close()


async def test_a_driver_that_is_not_there_is_unavailable_and_nothing_was_called(tmp_path):
    async with running(tmp_path, started=False) as row:
        error = await error_of(row.unary(CREATE))

    assert error.code() is StatusCode.UNAVAILABLE
    assert error.details() == (
        f"csisim proxy: nothing was called, unix://{tmp_path}/d.sock cannot be reached: No such file or directory"
    )


async def test_a_socket_that_nobody_listens_on_is_unavailable_too(tmp_path):
    async with running(tmp_path) as row:
        await row.driver.stop()
        (tmp_path / "d.sock").touch()
        error = await error_of(row.unary(CREATE))

    assert error.code() is StatusCode.UNAVAILABLE
    assert "Connection refused" in error.details()


async def test_a_driver_that_comes_later_is_found_at_once(tmp_path):
    async with running(tmp_path, started=False) as row:
        assert (await error_of(row.unary(CREATE))).code() is StatusCode.UNAVAILABLE
        await row.driver.start()
        row.driver.on[CREATE] = answering(b"here")
        async with asyncio.timeout(5):
            while True:
                try:
                    assert await row.unary(CREATE) == b"here"
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.01)


async def test_a_driver_that_was_restarted_is_found_again(tmp_path):
    async with running(tmp_path) as row:
        for answer in (b"one", b"two"):
            row.driver.on[CREATE] = answering(answer)
            while await row.unary(CREATE).code() is not StatusCode.OK:  # the end of the old connection takes a moment
                await asyncio.sleep(0.01)
            assert await row.unary(CREATE) == answer
            await row.driver.stop()
            await row.driver.start()


@pytest.mark.parametrize("path", [ALLOCATED, "/x.Y/Z"])
async def test_a_driver_killed_in_the_middle_of_a_stream_ends_it(tmp_path, path):
    async with running(tmp_path, started=False) as row:
        async with process(DRIVER, row.driver.socket) as driver:
            responses = aiter(row.stream(path))
            assert await anext(responses) == b"first"

            driver.kill()
            error = await error_of(anext(responses))

        assert error.code() is StatusCode.UNAVAILABLE
        await row.driver.start()
        row.driver.on[path] = answering(b"again")
        while await row.unary(path).code() is not StatusCode.OK:  # until the end of the old connection was noticed
            await asyncio.sleep(0.01)
        assert [part async for part in row.stream(path)] == [b"again"]


async def test_a_refusal_that_comes_before_the_request_is_out_arrives_as_it_is(tmp_path):
    async with running(tmp_path, started=False) as row, process(REFUSING, row.driver.socket):
        calls = [row.unary(path, b"x" * 9999) for path in (CREATE, ALLOCATED, "/x.Y/Z") for _ in range(60)]
        errors = await asyncio.gather(*map(error_of, calls))

    assert {(error.code(), error.details()) for error in errors} == {(StatusCode.UNIMPLEMENTED, "Method not found!")}


async def test_a_call_is_not_repeated_when_its_connection_breaks(tmp_path):
    async with running(tmp_path) as row:

        async def end(requests, context):
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, row.driver.stop())
            await asyncio.Event().wait()

        row.driver.on[CREATE] = end
        error = await error_of(row.unary(CREATE))

        assert error.code() in {StatusCode.UNAVAILABLE, StatusCode.CANCELLED}
        assert row.driver.calls == ["CreateVolume"]


async def test_an_answer_has_its_metadata(upstream, tmp_path):
    driver = Driver(tmp_path / "d.sock")
    driver.on[CREATE] = answering(b"yes", initial=(("a", "1"),), trailing=(("b-bin", b"\xff"),))
    await driver.start()

    answer = await upstream.unary(CREATE, b"", (("c", "2"),), 10)

    assert (answer.data, answer.initial, answer.trailing) == (b"yes", (("a", "1"),), (("b-bin", b"\xff"),))
    assert driver.metadata()["c"] == "2"
    await driver.stop()


async def test_an_error_has_its_metadata(upstream, tmp_path):
    driver = Driver(tmp_path / "d.sock")
    driver.on[CREATE] = answering(b"", code=StatusCode.NOT_FOUND, details="no", trailing=(("b", "1"),))
    await driver.start()

    with pytest.raises(UpstreamError, match="no") as caught:
        await upstream.unary(CREATE, b"", (), None)

    assert (caught.value.code, caught.value.trailing) == (StatusCode.NOT_FOUND, (("b", "1"),))
    await driver.stop()


async def test_no_time_left_is_deadline_exceeded(upstream, tmp_path):
    driver = Driver(tmp_path / "d.sock")
    driver.on[CREATE] = Held()
    await driver.start()

    with pytest.raises(UpstreamError) as caught:
        await upstream.unary(CREATE, b"", (), 0.0)

    assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
    await driver.stop()
