"""NAS clients with a wrong idea: of who reconnects, of what a session is, of silence, and of how much the NAS takes."""

import asyncio
from dataclasses import replace
from typing import Any

from csisim.cluster.parts import Parts
from csisim.truenas.client import NasClient
from csisim.truenas.connection import Connection, Pending
from csisim.truenas.session import Session, _SessionEnded

_PAUSE_S = 0.1


class _Eager(Session):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._more: list[asyncio.Task[None]] = []

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whoever finds the connection gone makes one."""
        if self.generation and self.connection is None and not self.closed:
            self._more.append(asyncio.get_running_loop().create_task(self._reconnect(), name="nas-reconnect"))
        return await super().wait_ready(timeout_s)

    async def _reconnect(self) -> None:
        while True:
            try:
                await self._one_session()
            except _SessionEnded:
                await asyncio.sleep(_PAUSE_S)

    async def _close(self) -> None:
        for each in self._more:
            each.cancel()
        if self._more:
            await asyncio.wait(self._more)
        await super()._close()


class _EagerClient(NasClient):
    session_kind = _Eager


def each_reconnects(parts: Parts) -> Parts:
    """Each call that finds no connection brings one up."""
    return replace(parts, client=_EagerClient)


class _Trusting(Session):
    def login_lost(self, generation: int) -> None:
        """The socket is up and pings are answered, so it will be all right."""


class _TrustingClient(NasClient):
    session_kind = _Trusting


def logs_in_once(parts: Parts) -> Parts:
    """Logs in when it connects, and only then."""
    return replace(parts, client=_TrustingClient)


class _Patient(Connection):
    async def _heartbeat(self) -> None:
        """Keep proxies from cutting a connection that is idle."""
        while True:
            await asyncio.sleep(self._settings.heartbeat_s)
            await self._socket.ping()

    def _overdue(self, pending: Pending) -> None:
        """Its answer is not coming any more; those of others may."""
        del self._pending[pending.id]
        self._tasks.remove(pending.id)
        if pending.settled is not None:
            self._landed(pending.settled)
        if pending.on_settled is not None:
            pending.on_settled()


class _PatientSession(Session):
    connection_kind = _Patient


class _PatientClient(NasClient):
    session_kind = _PatientSession


def waits_for_tcp(parts: Parts) -> Parts:
    """A connection is up until TCP says that it is not."""
    return replace(parts, client=_PatientClient)


class _Unbounded(NasClient):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._slots = asyncio.Semaphore(1000)


def sends_at_once(parts: Parts) -> Parts:
    """Whatever there is to be sent is sent; what the NAS turns away is sent again."""
    return replace(parts, client=_Unbounded)
