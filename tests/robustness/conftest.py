"""A NAS process that can be looked into, and a driver process on it, over real sockets.

The processes are those of a whole module: its tests may kill and stop them, start them again, and leave nothing. Tests
on `site` and `relayed` run on the module's event loop (`pytestmark = pytest.mark.asyncio(loop_scope="module")`).
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.nas import Relay
from tests.support.orchestrator import Orchestrator
from tests.support.processes import Server, driver, free_port, nas, nas_flags
from tests.support.rpc import AsyncClient
from tests.support.site import Site


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Server]]:
    directory = tmp_path_factory.mktemp("backend")
    port = free_port()
    server = nas(directory, port, "--data-dir", str(directory / "nas")).start()
    yield port, server
    server.kill()


async def _site(directory: Path, backend: tuple[int, Server], relay: Relay | None) -> AsyncIterator[Site]:
    port, server = backend
    flags = nas_flags(port if relay is None else relay.port)
    plugin = driver(directory, *flags, "--state-dir", str(directory / "state"), "--grace-period", "2")
    await plugin.start_async()
    async with AsyncClient(directory / "csi.sock") as client:
        yield Site(directory, port, server, plugin, client, Orchestrator(client), relay)
    if plugin.process.poll() is None:
        plugin.terminate()
        assert await plugin.exit_status() == 0, plugin.output[-4000:]


def _for_one_test(kept: Site) -> Iterator[Site]:
    """With everything running, and an orchestrator of its own; what a test leaves is its own failure."""
    if kept.relay is not None:
        kept.relay.reset()
    before = kept.backend.process.pid
    yield replace(kept, co=Orchestrator(kept.client))
    if kept.backend.process.poll() is not None:
        kept.backend.start()
    if kept.backend.process.pid != before:
        kept.plugin.kill()  # its pauses before it connects again grow with each loss
    if kept.plugin.process.poll() is not None:
        kept.plugin.start()
    kept.host_is_clean()
    assert list(kept.mounts.iterdir()) == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept_site(tmp_path_factory: pytest.TempPathFactory, backend: tuple[int, Server]) -> AsyncIterator[Site]:
    async for made in _site(tmp_path_factory.mktemp("site"), backend, None):
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept_relayed(tmp_path_factory: pytest.TempPathFactory, backend: tuple[int, Server]) -> AsyncIterator[Site]:
    async with Relay(backend[0]) as relay:
        async for made in _site(tmp_path_factory.mktemp("relayed"), backend, relay):
            yield made


@pytest.fixture
def site(kept_site: Site) -> Iterator[Site]:
    yield from _for_one_test(kept_site)


@pytest.fixture
def relayed(kept_relayed: Site) -> Iterator[Site]:
    yield from _for_one_test(kept_relayed)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, Server, Server]]:
    """Both processes for a whole module of tests that neither kill nor stop them."""
    directory, port = tmp_path_factory.mktemp("shared"), free_port()
    backend = nas(directory, port).start()
    plugin = driver(directory, *nas_flags(port), "--state-dir", str(directory / "state")).start()
    yield directory, port, backend, plugin
    plugin.stop()
    backend.kill()


@pytest.fixture
async def shared_site(running: tuple[Path, int, Server, Server]) -> AsyncIterator[Site]:
    """A site that each test leaves as empty as it found it."""
    directory, port, backend, plugin = running
    async with AsyncClient(directory / "csi.sock") as client:
        made = Site(directory, port, backend, plugin, client, Orchestrator(client))
        yield made
        await made.nothing_left()
