"""The callers of a driver: their time-outs, what they repeat, and what they saw.

Which codes a sidecar takes as "still running" is read from their sources: the provisioner knows four, the others count
RESOURCE_EXHAUSTED too, and kubelet repeats whatever fails.
"""

import asyncio
import random
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import StatusCode

from csisim.events import History
from csisim.pb import csi_pb2_grpc

Reply = TypeVar("Reply", bound=Message)
Result = TypeVar("Result")

PENDING = frozenset({StatusCode.ABORTED, StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.CANCELLED})
INDETERMINATE = frozenset(
    {
        StatusCode.CANCELLED,
        StatusCode.UNKNOWN,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.UNAVAILABLE,
        StatusCode.INTERNAL,
    }
)
"""Codes that do not tell whether the call had its effect, or will have it."""

Around = Callable[[str, str], AbstractContextManager[None]]
"""Given a call's id and subject, what the call is made within: how a simulation learns whose step it is."""


class Channels(Protocol):
    """Gives channels to the sockets of one driver."""

    def channel(self, node_id: str | None) -> Any:
        """A new channel to a node's socket, or with None to the controller's; whoever asks for it closes it."""


@dataclass(frozen=True, slots=True)
class Role:
    """One kind of caller.

    Attributes:
        name: as in the report.
        timeout_s: of each attempt.
        repeats: codes after which the call is repeated.
        attempts: after this many `Caller.call` gives up; the real ones never do.
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


class CallFailed(Exception):
    """One attempt was answered with an error, or not at all.

    Attributes:
        attempt: with code and message.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        super().__init__(f"{attempt.rpc}({attempt.subject}): {attempt.code.name}: {attempt.message}")

    @property
    def code(self) -> StatusCode:
        """The status."""
        return self.attempt.code


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
    """Everything that all callers of a run did, in the order in which it ended.

    Attributes:
        attempts: that have ended.
        out: how many have not.
    """

    attempts: list[Attempt] = field(default_factory=list)
    out: int = 0

    def overlapping(self, at_s: float) -> list[Attempt]:
        """The attempts that were on the wire at this loop time."""
        return [each for each in self.attempts if each.started_s <= at_s <= each.ended_s]


class Caller:
    """Calls one driver socket.

    Args:
        channel: to it; `dial` makes one. Closed by `close`.
        calls: where every attempt is kept; shared by the callers of a run.
        rng: jitter of the backoff.
        patience: how it waits; may be changed between calls.
        name: who calls, in the history; by default the name of the role.
        history: gets two events per attempt.
        around: see `Around`.
    """

    def __init__(
        self,
        channel: Any,
        calls: Calls,
        rng: random.Random,
        patience: Patience | None = None,
        *,
        name: str = "",
        history: History | None = None,
        around: Around | None = None,
    ) -> None:
        self.patience = patience or Patience()
        self.name = name
        self._channel = channel
        self._calls = calls
        self._rng = rng
        self._history = history
        self._around = around

    # Each stub is made when it is first asked for: most callers need one of the five, and have forty methods in all.

    @cached_property
    def identity(self) -> Any:
        """The methods of the Identity service."""
        return csi_pb2_grpc.IdentityStub(self._channel)

    @cached_property
    def controller(self) -> Any:
        """The methods of the Controller service."""
        return csi_pb2_grpc.ControllerStub(self._channel)

    @cached_property
    def group_controller(self) -> Any:
        """The methods of the GroupController service."""
        return csi_pb2_grpc.GroupControllerStub(self._channel)

    @cached_property
    def snapshot_metadata(self) -> Any:
        """The methods of the SnapshotMetadata service."""
        return csi_pb2_grpc.SnapshotMetadataStub(self._channel)

    @cached_property
    def node(self) -> Any:
        """The methods of the Node service."""
        return csi_pb2_grpc.NodeStub(self._channel)

    async def close(self) -> None:
        """Hang up."""
        await self._channel.close()

    async def once(self, role: Role, method: Callable[..., Awaitable[Reply]], request: Message, subject: str) -> Reply:
        """One attempt.

        Args:
            role: whose time-out it has.
            method: of one of the stubs.
            request: must not be changed any more.
            subject: what it is about: name or id of the volume or snapshot.

        Raises:
            CallFailed: whether it had its effect depends on the code.
        """

        async def unary() -> Reply:
            return await method(request, timeout=self._timeout_s(role))

        return await self._attempt(role, request, subject, unary, lambda reply: reply)

    async def call(self, role: Role, method: Callable[..., Awaitable[Reply]], request: Message, subject: str) -> Reply:
        """Call until it succeeds, with growing pauses, as this caller does.

        Raises:
            GaveUp: the last answer.
        """
        return await self._until_ok(role, lambda: self.once(role, method, request, subject))

    async def stream(
        self, role: Role, method: Callable[..., AsyncIterable[Reply]], request: Message, subject: str
    ) -> list[Reply]:
        """The same for a call that answers with a stream, which is begun anew after a failure."""

        async def collect() -> list[Reply]:
            return [reply async for reply in method(request, timeout=self._timeout_s(role))]

        def shown(replies: list[Reply]) -> dict[str, int]:
            return {"messages": len(replies)}

        return await self._until_ok(role, lambda: self._attempt(role, request, subject, collect, shown))

    async def _until_ok(self, role: Role, once: Callable[[], Awaitable[Result]]) -> Result:
        pause_s = self.patience.backoff_s
        for number in range(1, role.attempts + 1):
            try:
                return await once()
            except CallFailed as error:
                if error.code not in role.repeats or number == role.attempts:
                    raise GaveUp(role, error.attempt, number) from error
            await asyncio.sleep(pause_s * self._rng.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, self.patience.backoff_max_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(
        self,
        role: Role,
        request: Message,
        subject: str,
        send: Callable[[], Awaitable[Result]],
        shown: Callable[[Result], object],
    ) -> Result:
        """Send once; note the attempt, and the two events that it is in a history."""
        loop = asyncio.get_running_loop()
        rpc = type(request).__name__.removesuffix("Request")
        history, process = self._history, self.name or role.name
        call = "" if history is None else history.new_call()
        if history is not None:
            history.add("invoke", "call", rpc, call=call, process=process, value=request)
        started_s = loop.time()
        self._calls.out += 1
        try:
            with nullcontext() if self._around is None else self._around(call, subject):
                reply = await send()
        except grpc.aio.AioRpcError as error:
            attempt = Attempt(rpc, subject, started_s, loop.time(), error.code(), error.details() or "")
            self._failed(attempt, call, process)
            raise CallFailed(attempt) from error
        except asyncio.CancelledError:
            self._failed(Attempt(rpc, subject, started_s, loop.time(), StatusCode.CANCELLED, "gone"), call, process)
            raise
        finally:
            self._calls.out -= 1
        self._calls.attempts.append(Attempt(rpc, subject, started_s, loop.time(), StatusCode.OK, ""))
        if history is not None:
            history.add("ok", "call", rpc, call=call, process=process, value=shown(reply))
        return reply

    def _failed(self, attempt: Attempt, call: str, process: str) -> None:
        self._calls.attempts.append(attempt)
        if self._history is not None:
            type_: Literal["info", "fail"] = "info" if attempt.code in INDETERMINATE else "fail"
            value = {"code": attempt.code.name, "message": attempt.message}
            self._history.add(type_, "call", attempt.rpc, call=call, process=process, value=value)

    def _timeout_s(self, role: Role) -> float:
        return role.timeout_s if self.patience.timeout_s is None else self.patience.timeout_s


def dial(target: str, patience: Patience | None = None) -> grpc.aio.Channel:
    """A channel to a real socket that connects again as soon as `patience` says.

    Args:
        target: gRPC address.
        patience: for `reconnect_s` alone.
    """
    return grpc.aio.insecure_channel(target, options=_options(patience or Patience()))


def _options(patience: Patience) -> list[tuple[str, int]]:
    if patience.reconnect_s is None:
        return []
    pause_ms = max(1, round(patience.reconnect_s * 1000))
    names = ("initial_reconnect_backoff_ms", "min_reconnect_backoff_ms", "max_reconnect_backoff_ms")
    return [(f"grpc.{name}", pause_ms) for name in names]
