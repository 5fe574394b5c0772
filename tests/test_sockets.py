# ruff: noqa: PTH102, PTH104, PTH110, PTH116, PTH123, PTH208, PTH211, ASYNC230 - sockets are named by strings here
import asyncio
import os
import socket
import stat

import grpc
import pytest

from csisim.endpoint import Endpoint, parse_endpoint
from csisim.sockets import EndpointError, bind


@pytest.fixture
async def server():
    server = grpc.aio.server()
    yield server
    await server.stop(None)


@pytest.fixture
def endpoint(tmp_path):
    return parse_endpoint(str(tmp_path / "csi.sock"))


async def test_the_socket_is_0600_before_anything_is_served(server, endpoint):
    before = os.umask(0)
    try:
        await bind(server, endpoint)
        assert os.umask(0) == 0
    finally:
        os.umask(before)

    found = os.stat(endpoint.path)
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600


async def test_missing_directories_are_made_and_nothing_else_is_put_there(server, tmp_path):
    await bind(server, parse_endpoint(str(tmp_path / "a" / "b" / "csi.sock")))

    assert os.listdir(tmp_path / "a" / "b") == ["csi.sock"]


async def test_a_stale_socket_is_replaced(server, endpoint):
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(endpoint.path)

    await bind(server, endpoint)
    await server.start()

    async with grpc.aio.insecure_channel(endpoint.target) as channel:
        await asyncio.wait_for(channel.channel_ready(), 10)


async def test_a_live_socket_is_left_alone(server, endpoint):
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(endpoint.path)
        alive.listen()
        inode = os.stat(endpoint.path).st_ino

        with pytest.raises(EndpointError, match="another process is listening"):
            await bind(server, endpoint)
        assert os.stat(endpoint.path).st_ino == inode


@pytest.mark.parametrize("kind", ["file", "directory", "dangling link"])
async def test_what_is_no_socket_is_left_alone(server, endpoint, kind):
    match kind:
        case "file":
            open(endpoint.path, "w").close()
        case "directory":
            os.mkdir(endpoint.path)
        case _:
            os.symlink("nowhere", endpoint.path)

    with pytest.raises(EndpointError, match="is not a socket"):
        await bind(server, endpoint)
    assert os.path.lexists(endpoint.path)


async def test_of_two_at_the_same_time_one_gets_the_socket(endpoint):
    servers = [grpc.aio.server(), grpc.aio.server()]
    outcomes = await asyncio.gather(*(bind(each, endpoint) for each in servers), return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, EndpointError)]
    for each in servers:
        await each.stop(None)

    assert len(refused) == 1
    assert "another process is listening" in str(refused[0])


async def test_release_removes_the_own_socket_only(server, endpoint):
    binding = await bind(server, endpoint)
    os.rename(endpoint.path, f"{endpoint.path}.moved")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(endpoint.path)
        binding.release()
        assert os.path.exists(endpoint.path)
    binding.release()


async def test_release_removes_what_is_left(server, endpoint):
    binding = await bind(server, endpoint)
    await server.start()
    await server.stop(None)
    binding.release()

    assert not os.path.exists(endpoint.path)


async def test_a_port_of_the_system_is_told(server):
    binding = await bind(server, Endpoint(host="127.0.0.1", port=0))

    assert binding.endpoint.port > 0


async def test_a_port_in_use_is_refused(server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        with pytest.raises(EndpointError, match=f"127.0.0.1:{port}: cannot bind"):
            await bind(server, Endpoint(host="127.0.0.1", port=port))


async def test_a_port_is_not_shared_with_another_driver(server):
    first = grpc.aio.server()
    binding = await bind(first, Endpoint(host="127.0.0.1", port=0))
    await first.start()

    with pytest.raises(EndpointError, match="another process is listening"):
        await bind(server, binding.endpoint)
    await first.stop(None)
