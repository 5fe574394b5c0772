"""A driver of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from csisim.driver.config import DriverConfig
from tests.support.rig import CONFIG, Rig, running


@pytest.fixture
def config() -> DriverConfig:
    return CONFIG


@pytest.fixture
async def rig(tmp_path: Path, config: DriverConfig) -> AsyncIterator[Rig]:
    async with running(tmp_path / "csi.sock", config) as made:
        yield made
