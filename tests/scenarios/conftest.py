"""What the tests of scenarios share: drivers that meet one fault after the other log nothing."""

import pytest

from csisim.logs import silence


@pytest.fixture(autouse=True)
def quiet() -> None:
    """The suite hears logs again after each test."""
    silence()
