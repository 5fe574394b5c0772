"""What there is and what happened, over HTTP: status, sites, events, history, metrics."""

import asyncio
import json
from collections.abc import AsyncGenerator
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Query
from fastapi.responses import Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST

from csisim import __version__
from csisim.control.controlled import Controlled
from csisim.control.errors import ControlError
from csisim.control.metrics import Metrics
from csisim.control.records import SiteRecord, StatusRecord
from csisim.control.stream import EventStream, Streams

Kinds = Annotated[list[Literal["rpc", "nas", "mount", "fault"]] | None, Query(description="Repeatable; all without.")]
Since = Annotated[int, Query(ge=0, le=1 << 62, description="Number of the last event that is known already.")]

_CHUNK = 500
_STREAM: Any = {200: {"content": {"text/event-stream": {}}, "description": "Server-sent events, for ever."}}
_LINES: Any = {200: {"content": {"application/x-ndjson": {}}, "description": "One event per line."}}
_TEXT: Any = {200: {"content": {"text/plain": {}}, "description": "The text format of Prometheus."}}


def add_observe(app: FastAPI, controlled: Controlled, streams: Streams, metrics: Metrics) -> None:
    """The endpoints that only read."""
    api = _Observe(controlled, streams, metrics)
    add = partial(app.add_api_route, tags=["observe"])
    add("/status", api.status, methods=["GET"], response_model=StatusRecord)
    add("/sites", api.sites, methods=["GET"], response_model=list[SiteRecord])
    add("/events", api.events, methods=["GET"])
    add("/events/stream", api.stream, methods=["GET"], response_class=Response, responses=_STREAM)
    add("/history", api.history, methods=["GET"], response_class=Response, responses=_LINES)
    add("/metrics", api.metrics, methods=["GET"], response_class=Response, responses=_TEXT)


class _Observe:
    def __init__(self, controlled: Controlled, streams: Streams, metrics: Metrics) -> None:
        self._controlled = controlled
        self._streams = streams
        self._metrics = metrics
        self._began_s = asyncio.get_running_loop().time()

    async def status(self) -> StatusRecord:
        """What is controlled, and how it is doing."""
        controlled = self._controlled
        plane, now_s = controlled.plane, asyncio.get_running_loop().time()
        return StatusRecord(
            version=__version__,
            driver=controlled.driver_name,
            endpoints=tuple(controlled.endpoints),
            seed=plane.seed,
            uptime_s=round(now_s - self._began_s, 6),
            now_s=round(now_s, 6),
            rules=len(plane.rules),
            waiting=sum(plane.barriers.waiting().values()),
            fired=sum(plane.fired.values()),
            last_seq=controlled.history.last_seq,
            links=tuple(controlled.links),
        )

    async def sites(
        self, pattern: Annotated[str, Query(max_length=150, description="Such as rpc.*; all without.")] = "*"
    ) -> list[SiteRecord]:
        """Every place where a fault can happen, and how often it was passed and one did."""
        plane = self._controlled.plane
        return [
            SiteRecord(
                site.name, site.about, tuple(sorted(site.actions)), tuple(sorted(site.keys)),
                plane.passed.get(site.name, 0), plane.fired.get(site.name, 0),
            )
            for site in plane.catalogue.select(pattern)
        ]  # fmt: skip

    async def events(
        self, since: Since = 0, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000, kind: Kinds = None
    ) -> dict[str, Any]:
        """The events after `since`; ask again with `next` for those after these."""
        history = self._controlled.history
        found: list[dict[str, Any]] = []
        seen = since
        while len(found) < limit and (batch := history.since(seen, _CHUNK)):
            for event in batch:
                seen = event.seq
                if not kind or event.kind in kind:
                    found.append(event.to_json())
                    if len(found) == limit:
                        break
        return {"events": found, "next": seen, "last_seq": history.last_seq}

    async def stream(
        self,
        since: Since | None = None,
        kind: Kinds = None,
        last_event_id: Annotated[str | None, Header(description="As a browser sends it to resume.")] = None,
    ) -> Response:
        """Events as they happen, from `since` or Last-Event-ID on; without either only new ones."""
        start = self._controlled.history.last_seq if since is None else since
        if last_event_id is not None:
            if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 20):
                raise ControlError(422, f"Last-Event-ID {last_event_id[:40]!r} is not the number of an event")
            start = int(last_event_id)
        return EventStream(self._streams, self._streams.read(start, kind or ()))

    async def history(self, since: Since = 0, kind: Kinds = None) -> Response:
        """The call history as JSON lines: invoke, then ok, fail or info."""
        return StreamingResponse(self._lines(since, kind or []), media_type="application/x-ndjson")

    async def metrics(self) -> Response:
        """Figures for Prometheus."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def _lines(self, since: int, kinds: list[Any]) -> AsyncGenerator[str]:
        history = self._controlled.history
        end = history.last_seq
        while since < end and (batch := history.since(since, _CHUNK)):
            since = batch[-1].seq
            wanted = [event for event in batch if event.seq <= end and (not kinds or event.kind in kinds)]
            yield "".join(f"{json.dumps(event.to_json(), default=str)}\n" for event in wanted)
            await asyncio.sleep(0)  # calls go on meanwhile
