"""A control server on a real socket, over a real plane and history; what they belong to is a double."""

import ssl
from contextlib import AsyncExitStack

import httpx
import pytest

from csisim.control.options import ControlOptions
from csisim.control.server import ControlServer
from tests.support.controlled import World


@pytest.fixture
async def world():
    return World()


@pytest.fixture
async def serve(world):
    """Starts a server with these options; all are closed at the end."""
    servers = []

    async def start(**options):
        server = ControlServer(world, ControlOptions(**options))
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def server(serve):
    return await serve()


@pytest.fixture
async def connect():
    """Gives clients of a server, without the certificates that take longer to load than most tests take."""
    no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with AsyncExitStack() as stack:

        async def client(server, **options):
            made = httpx.AsyncClient(base_url=server.url, trust_env=False, verify=no_certificates, **options)
            return await stack.enter_async_context(made)

        yield client


@pytest.fixture
async def http(server, connect):
    return await connect(server)
