"""M-CLOSE2: whether a connection is closed is asked, what is left is flushed, and then it is closed."""

from dataclasses import replace
from typing import Any

from csisim.mutants.mutant import Mutant
from csisim.truenas.client import NasClient
from csisim.truenas.connection import Connection
from csisim.truenas.session import Session

_FLUSH_S = 0.005


class FlushingConnection(Connection):
    """Whoever notices the end first closes it: reader, heartbeat, a sender, or the owner."""

    def __init__(self, *args: Any, **more: Any) -> None:
        self._channel_open = True
        super().__init__(*args, **more)

    def end(self, reason: str) -> None:
        """See the module."""
        if self._channel_open and reason != "the reader stopped":
            self._loop.call_later(_FLUSH_S, self._flushed, reason)

    def _flushed(self, reason: str) -> None:
        super().end(reason)
        if not self._channel_open:
            raise RuntimeError("close of a closed channel")
        self._channel_open = False


class FlushingSession(Session):
    """With such connections."""

    connection_kind = FlushingConnection


class FlushingClient(NasClient):
    """With such sessions."""

    session_kind = FlushingSession


MUTANT = Mutant(
    name="M-CLOSE2",
    origin="review of a TrueNAS CSI driver, BUG-001",
    idea="Whether it is closed already is asked first, so it is closed once.",
    oracle=("I16",),
    plan={"faults": ("link.down: 2%disconnect(rst)", "link.up: 2%disconnect(fin)")},
    seed=4,
    race=True,
    change=lambda parts: replace(parts, client=FlushingClient),
)
