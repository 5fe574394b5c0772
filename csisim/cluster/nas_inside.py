"""The embedded NAS, asked from inside of its process: no connection, no fault site, no count changes."""

from collections.abc import Callable
from typing import Any

from fake_truenas import Nas
from fake_truenas.errors import ApiError


class Refused(Exception):
    """The NAS said no to what was asked from inside; nothing was changed."""


class NasInside:
    """Calls of the NAS that lives now.

    Args:
        nas: gives it; None where it is somewhere else.
    """

    def __init__(self, nas: Callable[[], Nas | None]) -> None:
        self._nas = nas

    async def query(self, method: str, *params: Any) -> Any:
        """Call a method.

        Raises:
            Refused: the NAS's own error, or there is none in this process.
        """
        nas = self._nas()
        if nas is None:
            raise Refused(f"{method}: the NAS is not in this process")
        try:
            return await nas.call(method, *params)
        except ApiError as error:
            raise Refused(f"{method}: {error}") from error
