"""Events as they happen: server-sent events, resumable, one cursor into the history for each reader.

The history is the buffer, so a slow reader costs nothing: it holds one batch, and what the history has forgotten
meanwhile is told as `event: gap`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from csisim.control.errors import ControlError
from csisim.events import Event, History

_BATCH = 200
_RETRY_MS = 1000


class Streams:
    """All readers of the event stream.

    Args:
        history: what they read.
        most: how many there can be.
        heartbeat_s: after so much silence a reader is told that the stream is alive.

    Attributes:
        open: how many there are.
    """

    def __init__(self, history: History, *, most: int, heartbeat_s: float) -> None:
        self.open = 0
        self.most = most
        self._history = history
        self._heartbeat_s = heartbeat_s
        self._closing = False
        self._readers: dict[asyncio.Event, None] = {}

    def close(self) -> None:
        """End all streams."""
        self._closing = True
        for woken in self._readers:
            woken.set()

    async def read(self, since: int, kinds: Collection[str]) -> AsyncGenerator[bytes]:
        """The events after `since`, for ever.

        Args:
            since: number of the last event that the reader has.
            kinds: of events; empty for all.
        """
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        forget = self._wake(woken)
        try:
            yield f"retry: {_RETRY_MS}\n: {self._history.last_seq} events so far\n\n".encode()
            beat_at = loop.time() + self._heartbeat_s
            while not self._closing:
                woken.clear()
                batch = self._history.since(since, _BATCH)
                text = self._frames(batch, since, kinds)
                since = batch[-1].seq if batch else since
                if text:
                    yield text
                    beat_at = loop.time() + self._heartbeat_s
                    continue
                if len(batch) == _BATCH:
                    await asyncio.sleep(0)  # a long way to go, and none of it was wanted
                    continue
                try:
                    async with asyncio.timeout_at(beat_at):
                        await woken.wait()
                except TimeoutError:
                    yield b": alive\n\n"
                    beat_at = loop.time() + self._heartbeat_s
        finally:
            forget()

    def _frames(self, batch: list[Event], since: int, kinds: Collection[str]) -> bytes:
        frames = []
        if batch and batch[0].seq > since + 1:
            missed = json.dumps({"missed": batch[0].seq - since - 1})
            frames.append(f"event: gap\nid: {batch[0].seq - 1}\ndata: {missed}\n\n")
        wanted = (event for event in batch if not kinds or event.kind in kinds)
        frames += [f"id: {each.seq}\ndata: {json.dumps(each.to_json(), default=str)}\n\n" for each in wanted]
        return "".join(frames).encode()

    def _wake(self, woken: asyncio.Event) -> Callable[[], None]:
        stop = self._history.listen(lambda _: woken.set())
        self._readers[woken] = None

        def forget() -> None:
            stop()
            self._readers.pop(woken, None)

        return forget


class EventStream(StreamingResponse):
    """The answer to one reader; counts itself, and closes its generator whatever ends it."""

    def __init__(self, streams: Streams, events: AsyncGenerator[bytes]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._streams = streams
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        streams = self._streams
        if streams.open >= streams.most:
            reason = f"there are {streams.most} readers already; GET /events?since= needs no stream"
            await ControlError(503, reason).answer()(scope, receive, send)
            return
        streams.open += 1
        try:
            async with aclosing(self._events):
                await super().__call__(scope, receive, send)
        finally:
            streams.open -= 1
