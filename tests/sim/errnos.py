"""Expecting a system call to fail in one way."""

from typing import Any

import pytest


def failing(number: int) -> Any:
    """A context in which an OSError with this errno must be raised."""
    return pytest.raises(OSError, match=rf"\[Errno {number}\]")
