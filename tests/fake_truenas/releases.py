"""A client of a NAS of a chosen release, for tests that compare releases."""

import contextlib
from collections.abc import AsyncIterator

from tests.fake_truenas.rpc import Client
from tests.fake_truenas.transport import dialled, serving


@contextlib.asynccontextmanager
async def release(version: str) -> AsyncIterator[Client]:
    """A logged-in client of a new NAS of this release, with private methods switched on and jobs awaited.

    24.10 has no JSON-RPC to serve it over.
    """
    async with serving(version=version) as (_, server), dialled(server.url) as client:
        await client.call("core.set_options", {"private_methods": True, "legacy_jobs": False})
        yield client
