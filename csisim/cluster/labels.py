"""Whose work a step of a simulated cluster is, carried over the places where a task's context ends.

gRPC carries the lane by itself (`csisim.sim.grpc_seam`). The subject of a served call is read from its request. On the
way to the NAS a websocket is in between: what was known when a request got its number is looked up by that number when
the NAS begins to handle it.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from google.protobuf.message import Message

from csisim.cluster.nas_trace import FIRST_ID
from csisim.driver.server import Around
from csisim.driver.volume_id import component_for
from csisim.faults.subjects import call_info
from csisim.sim.lanes import LANE, SUBJECT
from csisim.truenas.jsonrpc import RequestIds
from fake_truenas import Call, Nas, Proceed

_KEPT_AT_MOST: Final = 1024


class LabelledIds(RequestIds):
    """Numbers of requests that remember whose work the requests are."""

    __slots__ = ("_labels",)

    def __init__(self) -> None:
        super().__init__(FIRST_ID)
        self._labels: dict[int, tuple[str | None, str | None]] = {}

    def take(self) -> int:
        """An id that was not used before, taken in the context of who asks."""
        number = super().take()
        self._labels[number] = LANE.get(), SUBJECT.get()
        if len(self._labels) > _KEPT_AT_MOST:  # those that never arrived
            del self._labels[next(iter(self._labels))]
        return number

    def labels(self, number: Any) -> tuple[str | None, str | None]:
        """Lane and subject of a request that has arrived; asked once."""
        return self._labels.pop(number, (None, None)) if isinstance(number, int) else (None, None)

    def watch(self, nas: Nas) -> None:
        """Have the NAS handle each request as the work of who sent it."""
        inner = nas.intercept

        async def labelled(call: Call, proceed: Proceed) -> Any:
            # Every request is handled in a task of its own, so nothing has to be set back.
            lane, subject = self.labels(call.request_id)
            LANE.set(lane)
            SUBJECT.set(subject)
            return await (proceed() if inner is None else inner(call, proceed))

        nas.intercept = labelled


class Subjects:
    """Around each served call: its steps touch the volume that it names. Each call has a task of its own.

    Args:
        inner: what else is around it.
    """

    def __init__(self, inner: Around | None) -> None:
        self._inner = inner

    async def unary(
        self, method: str, request: Message, context: Any, serve: Callable[[], Awaitable[Message]]
    ) -> Message:
        """See `Around`."""
        SUBJECT.set(subject_of(method, request))
        if self._inner is None:
            return await serve()
        return await self._inner.unary(method, request, context, serve)

    async def stream(
        self, method: str, request: Message, context: Any, serve: Callable[[], AsyncGenerator[Any]]
    ) -> AsyncGenerator[Any]:
        """See `Around`."""
        SUBJECT.set(subject_of(method, request))
        parts = serve() if self._inner is None else self._inner.stream(method, request, context, serve)
        async with aclosing(parts):
            async for part in parts:
                yield part


def subject_of(method: str, request: Message) -> str | None:
    """The volume that a call is about, by its id; None where it names none."""
    call = call_info("", method, request)
    if method == "CreateVolume":
        return component_for(call.vol)
    return call.vol or call.snap.partition("@")[0] or None
