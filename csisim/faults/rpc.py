"""Faults around served CSI calls: the sites `rpc.<Method>.before` and `.after`, in a driver or in a proxy."""

import copy
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from csisim.errors import InjectedStatus
from csisim.events import History
from csisim.faults.calls import CallInfo, serving
from csisim.faults.grammar import RuleError, parse_rule
from csisim.faults.matching import RuleState
from csisim.faults.plane import FaultPlane, Firing, Passing
from csisim.faults.subjects import call_info
from csisim.raw import RawMessage, decoded

METADATA_KEY: Final = "csisim-fault"
"""gRPC metadata by which one call asks for its own fault; may be given more than once."""
CLIENT_KEY: Final = "csisim-client"
"""gRPC metadata by which a caller says who it is, for `client=` in rules."""

INDETERMINATE: Final = frozenset({"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "ABORTED", "UNAVAILABLE"})
"""Codes after which nobody knows whether the effect has happened."""

_TOLD: Final = 1024
_END: Final[Any] = object()
_EXHAUSTED: Final = {
    "attach": "no attachment slot is left on this node",
    "rate": "too many calls: try again later",
}

Reply = TypeVar("Reply", bound=Message | RawMessage)
Part = TypeVar("Part")
Describe = Callable[[Message], Mapping[str, Any]]


class CallContext(Protocol):
    """What is asked of a gRPC server's context."""

    def invocation_metadata(self) -> Any:
        """Keys and values that the caller sent."""

    def peer(self) -> str:
        """The caller's address."""

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline, None where there is none."""


class Surgeon(Protocol):
    """What a rule can do to the process around a call."""

    def disconnect(self, peer: str, how: str) -> None:
        """Cut the caller's connection: fin, rst, half or blackhole."""

    def crash(self, what: str, node: str, down_s: float | None) -> None:
        """Crash the driver, the NAS or a node, or reboot the node's machine."""


class RpcFaults:
    """Asks the plane before and after each call of one server.

    Args:
        plane: decides.
        surgeon: cuts connections and crashes processes.
        describe: a message as plain data without secrets, for conditions and the history.
        code_of: the status code that an error of the served method becomes.
        history: where calls are noted, if anywhere.
        node: id of the node that is served, "" for a controller alone.
        metadata: whether a call may ask for its own fault.
    """

    def __init__(
        self,
        plane: FaultPlane,
        surgeon: Surgeon,
        describe: Describe,
        code_of: Callable[[Exception], grpc.StatusCode],
        *,
        history: History | None = None,
        node: str = "",
        metadata: bool = False,
    ) -> None:
        self._plane = plane
        self._surgeon = surgeon
        self._describe = describe
        self._code_of = code_of
        self._history = history
        if history is not None:
            history.describe = lambda message: describe(decoded(message))
        self._node = node
        self._metadata = metadata
        self._ids = itertools.count(1)

    async def unary(
        self, method: str, request: Message, context: CallContext, serve: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        """Serve one call with its faults.

        Args:
            method: short name.
            request: as it came in.
            context: of the call.
            serve: does the work; called at most once.

        Raises:
            InjectedStatus: a rule ended it; at `.after` the effect has happened.
        """
        call = self._begin(method, request, context)
        try:
            with serving(call):
                await self._pass(call, "before", request, context)
                try:
                    response = await serve()
                except Exception as error:
                    await self._pass(call, "after", request, context, code=self._code_of(error).name)
                    raise
                firing = await self._pass(call, "after", request, context, code="OK")
        except BaseException as error:
            self._end(call, error, context=context)
            raise
        if firing is not None:
            _set_not_ready(response)
        self._end(call, None, response)
        return response

    async def stream(
        self, method: str, request: Message, context: CallContext, serve: Callable[[], AsyncGenerator[Part]]
    ) -> AsyncGenerator[Part]:
        """The same for a call that answers with a stream of anything; `.after` is before its end is told."""
        call = self._begin(method, request, context)
        try:
            await self._pass(call, "before", request, context)
            try:
                async with aclosing(serve()) as parts:
                    while True:
                        # Not around the yield: a stream that is given up is closed in another task's context.
                        with serving(call):
                            part = await anext(parts, _END)
                        if part is _END:
                            break
                        yield part
            except Exception as error:
                await self._pass(call, "after", request, context, code=self._code_of(error).name)
                raise
            await self._pass(call, "after", request, context, code="OK")
        except BaseException as error:
            self._end(call, error, context=context)
            raise
        self._end(call, None)

    def _begin(self, method: str, request: Message, context: CallContext) -> CallInfo:
        call_id = self._history.new_call() if self._history is not None else f"c{next(self._ids)}"
        own: tuple[RuleState, ...] = ()
        client = ""
        if self._metadata:
            sent = [(str(key), value) for key, value in context.invocation_metadata() or ()]
            client = next((str(value) for key, value in sent if key == CLIENT_KEY), "")
            own = tuple(self._lend(method, str(value)) for key, value in sent if key == METADATA_KEY)
        call = call_info(call_id, method, request, node=self._node, client=client, own=own)
        if self._history is not None:
            self._history.add("invoke", "rpc", method, call=call_id, process=call.node, value=request)
        return call

    def _lend(self, method: str, text: str) -> RuleState:
        # The site may be left out but for its end: the call knows its own method.
        full = f"rpc.{method}.{text}" if text.lstrip().startswith(("before", "after")) else text
        try:
            return self._plane.lend(parse_rule(full, name=METADATA_KEY), method)
        except ValueError as error:
            reason = error.reason if isinstance(error, RuleError) else str(error)
            raise InjectedStatus(grpc.StatusCode.INVALID_ARGUMENT, f"{METADATA_KEY}: {reason}") from None

    def _end(
        self,
        call: CallInfo,
        error: BaseException | None,
        response: Message | RawMessage | None = None,
        *,
        context: CallContext | None = None,
    ) -> None:
        if self._history is None:
            return
        if error is None:
            self._history.add("ok", "rpc", call.method, call=call.call_id, process=call.node, value=response)
            return
        code = self._status(error)
        kind: Any = "info" if code.name in INDETERMINATE else "fail"
        told: dict[str, Any] = (
            {"code": code.name, "message": str(error)[:_TOLD]} if isinstance(error, Exception) else {"code": code.name}
        )
        left_s = context.time_remaining() if context is not None and code.name == "DEADLINE_EXCEEDED" else None
        if left_s is not None:
            told["left_s"] = round(left_s, 6)
        self._history.add(kind, "rpc", call.method, call=call.call_id, process=call.node, value=told)

    def _status(self, error: BaseException) -> grpc.StatusCode:
        if isinstance(error, InjectedStatus):
            return error.code
        return self._code_of(error) if isinstance(error, Exception) else grpc.StatusCode.CANCELLED

    async def _pass(
        self, call: CallInfo, when: str, request: Message, context: CallContext, *, code: str = ""
    ) -> Firing | None:
        """Pass a site; gives the firing only if the response has to be changed."""
        site = f"rpc.{call.method}.{when}"
        if when == "before":
            self._pass_processes(call)
        if not call.own and self._plane.idle(site):
            return None
        passing = Passing(
            site, call.vol, call.snap, call.node, call.client, call.phase, code, call.call_id,
            fields=lambda: self._describe(request), own=call.own,
        )  # fmt: skip
        firing = await self._plane.meet(passing)
        if firing is None or firing.action.kind == "ready":
            return firing
        action = firing.action
        match action.kind:
            case "error":
                raise InjectedStatus(grpc.StatusCode[action.word], action.text or f"injected by {firing.rule}")
            case "exhaust":
                raise InjectedStatus(grpc.StatusCode.RESOURCE_EXHAUSTED, _EXHAUSTED[action.word])
            case "disconnect":
                self._surgeon.disconnect(context.peer(), action.word)
            case "crash":
                self._surgeon.crash(action.word or "driver", call.node, action.seconds)
                if action.word == "nas":
                    return None  # who serves this call lives on
        # No answer may leave. The caller's deadline, the end of its connection or a reset ends this.
        await self._plane.barriers.wait(f"no answer to {call.call_id}")
        raise InjectedStatus(grpc.StatusCode.UNAVAILABLE, f"the answer was dropped by {firing.rule}")

    def _pass_processes(self, call: CallInfo) -> None:
        names = ("process.driver", "process.node") if self._node else ("process.driver",)
        for name in names:
            if name in self._plane.passed and not self._plane.idle(name):
                passing = Passing(name, node=call.node if name == "process.node" else "", call_id=call.call_id)
                for firing in self._plane.decide(passing):
                    what = firing.action.word or name.removeprefix("process.")
                    self._surgeon.crash(what, call.node, firing.action.seconds)


def _set_not_ready(response: Message | RawMessage) -> None:
    """A snapshot that is said not to be ready to use yet; in a list all of them are."""
    if isinstance(response, RawMessage):
        changed = copy.deepcopy(response.message)
        if not response.malformed:
            _set_not_ready(changed)
            response.replace(changed)
        return
    found: Any = response
    snapshots = [entry.snapshot for entry in found.entries] if hasattr(found, "entries") else [found.snapshot]
    for snapshot in snapshots:
        snapshot.ready_to_use = False
