"""A driver that says what a test wants, and a proxy in front of it, on real sockets in the test's own loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from csisim.call_log import ServedCall
from csisim.endpoint import Endpoint
from csisim.faults.grammar import parse_rule
from csisim.faults.settings import FaultSettings
from csisim.proxy import Proxy, ProxySettings

Act = Callable[[Any, Any], Awaitable[None]]
LIMITLESS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
CREATE = "/csi.v1.Controller/CreateVolume"
PUBLISH = "/csi.v1.Controller/ControllerPublishVolume"
ALLOCATED = "/csi.v1.SnapshotMetadata/GetMetadataAllocated"


@dataclass
class Driver:
    """Serves any method as raw bytes: `on[path](requests, context)`, or an empty message.

    Attributes:
        socket: its path.
        on: what a method does.
        seen: the paths that were called, with the metadata that came along.
    """

    socket: Path
    on: dict[str, Act] = field(default_factory=dict)
    seen: list[tuple[str, tuple[tuple[str, str | bytes], ...]]] = field(default_factory=list)
    server: grpc.aio.Server | None = None

    async def start(self) -> None:
        driver = self

        class Anything(grpc.GenericRpcHandler):
            def service(self, handler_call_details):
                path = handler_call_details.method

                async def act(requests, context):
                    driver.seen.append((path, tuple(context.invocation_metadata())))
                    await driver.on.get(path, empty)(requests, context)

                return grpc.stream_stream_rpc_method_handler(act)

        self.server = grpc.aio.server(options=LIMITLESS)
        self.server.add_generic_rpc_handlers([Anything()])
        self.server.add_insecure_port(f"unix://{self.socket}")
        await self.server.start()

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.stop(None)

    @property
    def calls(self) -> list[str]:
        return [path.rpartition("/")[2] for path, _ in self.seen]

    def metadata(self) -> dict[str, str | bytes]:
        """What came with the last call."""
        return dict(self.seen[-1][1])


async def empty(requests, context):
    await only(requests)
    await context.write(b"")


async def only(requests) -> bytes:
    """The one request of a call that has one."""
    return b"".join([part async for part in requests])


def answering(response: bytes, **more: Any) -> Act:
    """A method that answers so: `initial` and `trailing` metadata, then a status that `code` and `details` make."""

    async def act(requests, context):
        await only(requests)
        if "initial" in more:
            await context.send_initial_metadata(more["initial"])
        if "code" in more:
            await context.abort(more["code"], more.get("details", ""), more.get("trailing", ()))
        context.set_trailing_metadata(more.get("trailing", ()))
        await context.write(response)

    return act


class Held:
    """A method that waits: `reached` is set when it was called, `ended` when it was cancelled."""

    def __init__(self) -> None:
        self.reached, self.ended, self.release = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.left_s: float | None = None

    async def __call__(self, requests, context) -> None:
        self.left_s = context.time_remaining()
        await only(requests)
        self.reached.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.ended.set()
            raise
        await context.write(b"")


@dataclass
class Between:
    """Everything in a row: caller, proxy, driver."""

    driver: Driver
    proxy: Proxy
    channel: grpc.aio.Channel
    observed: list[ServedCall]

    def unary(self, path: str, request: bytes = b"", **more: Any) -> Any:
        return self.channel.unary_unary(path)(request, **({"timeout": 20} | more))

    def stream(self, path: str, request: bytes = b"", **more: Any) -> Any:
        return self.channel.unary_stream(path)(request, **({"timeout": 20} | more))

    def events(self, kind: str = "rpc") -> list[dict[str, Any]]:
        return [event.to_json() for event in self.proxy.history.since() if event.kind == kind]

    def add(self, *rules: str) -> None:
        self.proxy.plane.add_all(parse_rule(text) for text in rules)


@asynccontextmanager
async def running(directory: Path, *rules: str, started: bool = True, **faults: Any) -> AsyncIterator[Between]:
    """The row, with these rules in force from the start."""
    driver = Driver(directory / "d.sock")
    if started:
        await driver.start()
    observed: list[ServedCall] = []
    settings = ProxySettings(
        listen=Endpoint(path=str(directory / "p.sock")),
        upstream=Endpoint(path=str(driver.socket)),
        faults=FaultSettings(rules=tuple(map(parse_rule, rules)), **faults),
        grace_period_s=0.0,
    )
    try:
        async with (
            Proxy(settings, observers=[observed.append]) as proxy,
            grpc.aio.insecure_channel(
                proxy.endpoint.target, options=(*LIMITLESS, ("grpc.enable_retries", 0))
            ) as channel,
        ):
            yield Between(driver, proxy, channel, observed)
    finally:
        await driver.stop()


async def error_of(call: Any) -> grpc.aio.AioRpcError:
    """The error that a call ends with."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call succeeded")
