"""One world for several tests, because each leaves it as it was."""

from collections.abc import AsyncIterator

import pytest

from csisim.sweep.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World(1) as made:
        yield made
