"""What several wrong drivers are made with."""

from typing import Any


class Changed:
    """A part of a machine; what a subclass does not change is as it was."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)
