"""What tests of campaigns share: simulated drivers log nothing."""

import pytest

from csisim.logs import silence


@pytest.fixture(autouse=True)
def quiet() -> None:
    """The suite hears logs again after each test."""
    silence()
