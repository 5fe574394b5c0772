"""The callers of a driver: their time-outs, what they repeat, and what they saw.

Which codes a sidecar takes as "still running" is read from their sources: the provisioner knows four, the others count
RESOURCE_EXHAUSTED too, and kubelet repeats whatever fails.
"""

import asyncio
import random
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from grpc import StatusCode

from csisim.pb import csi_pb2_grpc

Reply = TypeVar("Reply", bound=Message)
Result = TypeVar("Result")

PENDING = frozenset({StatusCode.ABORTED, StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.CANCELLED})


@dataclass(frozen=True, slots=True)
class Role:
    """One kind of caller.

    Attributes:
        name: as in the report.
        timeout_s: of each attempt.
        repeats: codes after which the call is repeated.
        attempts: after this many the caller gives up; the real ones never do.
    """

    name: str
    timeout_s: float
    repeats: frozenset[StatusCode]
    attempts: int = 25


PROVISIONER = Role("provisioner", 10.0, PENDING)
ATTACHER = Role("attacher", 15.0, PENDING | {StatusCode.RESOURCE_EXHAUSTED})
RESIZER = Role("resizer", 10.0, PENDING | {StatusCode.RESOURCE_EXHAUSTED})
SNAPSHOTTER = Role("snapshotter", 60.0, PENDING | {StatusCode.RESOURCE_EXHAUSTED})
KUBELET = Role("kubelet", 120.0, frozenset(StatusCode) - {StatusCode.OK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How callers wait; the real ones begin at a second and go up to five minutes.

    Attributes:
        timeout_s: of each attempt, instead of the role's own.
        backoff_s: pause after the first failure; doubles with each.
        backoff_max_s: the longest pause.
        reconnect_s: the longest pause between attempts to reach a socket that is away; gRPC's own is long.
    """

    timeout_s: float | None = None
    backoff_s: float = 0.02
    backoff_max_s: float = 1.0
    reconnect_s: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One RPC on the wire; times are loop time."""

    rpc: str
    subject: str
    started_s: float
    ended_s: float
    code: StatusCode
    message: str

    @property
    def latency_s(self) -> float:
        """From request to status."""
        return self.ended_s - self.started_s


class GaveUp(Exception):
    """A caller got an answer that it does not repeat after, or too many others; `attempt` is the last one."""

    def __init__(self, role: Role, attempt: Attempt, attempts: int) -> None:
        self.attempt = attempt
        super().__init__(
            f"{role.name} gave up on {attempt.rpc}({attempt.subject}) after {attempts} attempts: "
            f"{attempt.code.name}: {attempt.message}"
        )


@dataclass(slots=True)
class Calls:
    """Everything that all callers of a run did, in the order in which it ended."""

    attempts: list[Attempt] = field(default_factory=list)

    def overlapping(self, at_s: float) -> list[Attempt]:
        """The attempts that were on the wire at this loop time."""
        return [each for each in self.attempts if each.started_s <= at_s <= each.ended_s]


class Caller:
    """Calls one driver socket.

    Args:
        target: gRPC address of the socket.
        calls: where every attempt is kept; shared by the callers of a run.
        rng: jitter of the backoff.
        patience: how it waits; may be changed between calls, but for how it reconnects.
    """

    def __init__(self, target: str, calls: Calls, rng: random.Random, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self._channel = grpc.aio.insecure_channel(target, options=_options(self.patience))
        self._calls = calls
        self._rng = rng
        self.identity = csi_pb2_grpc.IdentityStub(self._channel)
        self.controller = csi_pb2_grpc.ControllerStub(self._channel)
        self.group_controller = csi_pb2_grpc.GroupControllerStub(self._channel)
        self.snapshot_metadata = csi_pb2_grpc.SnapshotMetadataStub(self._channel)
        self.node = csi_pb2_grpc.NodeStub(self._channel)

    async def close(self) -> None:
        """Hang up."""
        await self._channel.close()

    async def call(self, role: Role, method: Callable[..., Awaitable[Reply]], request: Message, subject: str) -> Reply:
        """Call until it succeeds, with growing pauses, as this caller does.

        Raises:
            GaveUp: the last answer.
        """

        async def once() -> Reply:
            return await method(request, timeout=self._timeout_s(role))

        return await self._until_ok(role, type(request).__name__.removesuffix("Request"), subject, once)

    async def stream(
        self, role: Role, method: Callable[..., AsyncIterable[Reply]], request: Message, subject: str
    ) -> list[Reply]:
        """The same for a call that answers with a stream, which is begun anew after a failure."""

        async def once() -> list[Reply]:
            return [reply async for reply in method(request, timeout=self._timeout_s(role))]

        return await self._until_ok(role, type(request).__name__.removesuffix("Request"), subject, once)

    async def _until_ok(self, role: Role, rpc: str, subject: str, once: Callable[[], Awaitable[Result]]) -> Result:
        loop = asyncio.get_running_loop()
        pause_s = self.patience.backoff_s
        for number in range(1, role.attempts + 1):
            started_s = loop.time()
            try:
                reply = await once()
            except grpc.aio.AioRpcError as error:
                attempt = Attempt(rpc, subject, started_s, loop.time(), error.code(), error.details() or "")
                self._calls.attempts.append(attempt)
                if attempt.code not in role.repeats or number == role.attempts:
                    raise GaveUp(role, attempt, number) from error
            else:
                self._calls.attempts.append(Attempt(rpc, subject, started_s, loop.time(), StatusCode.OK, ""))
                return reply
            await asyncio.sleep(pause_s * self._rng.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, self.patience.backoff_max_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _timeout_s(self, role: Role) -> float:
        return role.timeout_s if self.patience.timeout_s is None else self.patience.timeout_s


def _options(patience: Patience) -> list[tuple[str, int]]:
    if patience.reconnect_s is None:
        return []
    pause_ms = max(1, round(patience.reconnect_s * 1000))
    names = ("initial_reconnect_backoff_ms", "min_reconnect_backoff_ms", "max_reconnect_backoff_ms")
    return [(f"grpc.{name}", pause_ms) for name in names]
