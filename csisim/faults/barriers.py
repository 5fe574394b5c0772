"""What hangs until somebody says go on."""

import asyncio


class Barriers:
    """Named barriers. One comes into being when the first call waits at it, and is gone when it is released."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def waiting(self) -> dict[str, int]:
        """How many calls wait, by barrier."""
        return {name: len(calls) for name, calls in self._waiting.items()}

    async def wait(self, name: str) -> None:
        """Wait until the barrier is released."""
        call = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, []).append(call)
        try:
            await call
        finally:
            calls = self._waiting.get(name)
            if calls is not None and call in calls:  # given up: the barrier was not released
                calls.remove(call)
                if not calls:
                    del self._waiting[name]

    def release(self, name: str) -> int:
        """Let go on what waits at a barrier now; gives how many did."""
        calls = self._waiting.pop(name, [])
        for call in calls:
            if not call.done():
                call.set_result(None)
        return len(calls)

    def release_all(self) -> None:
        """Let everything go on."""
        for name in list(self._waiting):
            self.release(name)
