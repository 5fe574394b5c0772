from collections.abc import AsyncIterator

import pytest

from tests.proxy.between import Between, running


@pytest.fixture
async def row(tmp_path) -> AsyncIterator[Between]:
    """A caller, a proxy without rules, and a driver."""
    async with running(tmp_path) as made:
        yield made
