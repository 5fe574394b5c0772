"""Clients of the control server, for scripts and tests: the same methods, with and without `await`.

    with FaultClient("http://127.0.0.1:8474") as faults:
        with faults.fault("mount.umount: 2*error(EBUSY)"):
            ...

Without a URL they take the one in CSISIM_CONTROL, and the token in CSISIM_CONTROL_TOKEN.

All methods raise ControlFailed: RuleRefused, NoSuchRule, or Unreachable where nobody answers.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from csisim.control import wire
from csisim.control.records import BarrierRecord, RuleRecord, SiteRecord, StatusRecord
from csisim.control.wire import Call, ControlFailed, NoSuchRule, Page, RuleRefused, Unreachable

__all__ = [
    "AsyncFaultClient",
    "BarrierRecord",
    "ControlFailed",
    "FaultClient",
    "NoSuchRule",
    "Page",
    "RuleRecord",
    "RuleRefused",
    "SiteRecord",
    "StatusRecord",
    "Unreachable",
]

T = TypeVar("T")
_QUIET_S = 60.0  # a stream says that it is alive more often than that


class FaultClient:
    """Sets faults on a running driver or proxy.

    Args:
        url: of its control server.
        token: that it asks for.

    Raises:
        Unreachable: no URL is known.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self.url, headers = wire.where(url, token)
        self._http = _made(lambda: httpx.Client(**_settings(self.url, headers)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections; rules stay in force."""
        self._http.close()

    @contextmanager
    def fault(self, rule: str, *, name: str = "") -> Iterator[RuleRecord]:
        """A rule that is in force inside of the block, and is gone after it, however that ends."""
        record = self.add(rule, name=name)
        try:
            yield record
        finally:
            with suppress(NoSuchRule):  # a reset inside has taken it out already
                self.remove(record.name)

    def watch(self, *, since: int | None = None, kinds: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """Events as they happen, until the server ends; from `since` on, or only new ones.

        A gap in what the server still knows is one `{"type": "gap", "missed": N}`.
        """
        params = _stream_params(since, kinds)
        with _translated(self.url), self._http.stream("GET", "/events/stream", params=params, timeout=_QUIET_S) as sent:
            if not sent.is_success:
                sent.read()
                raise _failure(sent)
            frame = _Frame()
            for line in sent.iter_lines():
                if (event := frame.feed(line)) is not None:
                    yield event

    def add(self, rule: str, *, name: str = "") -> RuleRecord:
        """Put a rule into force; without a name it gets one.

        Raises:
            RuleRefused: it is not a rule, could not be honoured, or its name is taken.
        """
        return self._do(wire.add(rule, name))

    def add_all(self, rules: wire.Rules) -> list[RuleRecord]:
        """Put several rules into force, or none of them; each is a text, or `rule` and `name`."""
        return self._do(wire.add_all(rules))

    def add_text(self, text: str) -> list[RuleRecord]:
        """Put the rules of a text into force, one per line with comments, or none of them."""
        return self._do(wire.add_text(text))

    def rules(self) -> list[RuleRecord]:
        """The rules in force with their counts."""
        return self._do(wire.rules())

    def change(self, name: str, rule: str) -> RuleRecord:
        """Change the text of a rule; its counts begin anew.

        Raises:
            NoSuchRule: there is none of this name.
            RuleRefused: the old one stays.
        """
        return self._do(wire.change(name, rule))

    def remove(self, name: str) -> None:
        """Take a rule out; what hung on it goes on.

        Raises:
            NoSuchRule: there is none of this name.
        """
        self._do(wire.remove(name))

    def reset(self) -> None:
        """Take all rules out, release every barrier and heal every connection."""
        self._do(wire.reset())

    def status(self) -> StatusRecord:
        """What is controlled, and how it is doing."""
        return self._do(wire.status())

    def sites(self, pattern: str = "*") -> list[SiteRecord]:
        """Where faults can happen, and how often one did; `*` in the pattern stands for any characters."""
        return self._do(wire.sites(pattern))

    def events(self, *, since: int = 0, limit: int = 1000, kinds: Sequence[str] = ()) -> Page:
        """What happened after event `since`, of these kinds: rpc, nas, mount, fault; all of them without."""
        return self._do(wire.events(since, limit, kinds))

    def barriers(self) -> list[BarrierRecord]:
        """Where calls hang now."""
        return self._do(wire.barriers())

    def release(self, barrier: str) -> int:
        """Let what hangs at a barrier go on; gives how many calls that were."""
        return self._do(wire.release(barrier))

    def crash(self, what: str, *, node: str = "", down_s: float = 0.0) -> None:
        """End driver, nas, node or reboot abruptly and start it again; comes back when it serves."""
        self._do(wire.crash(what, node, down_s))

    def disconnect_nas(self) -> int:
        """Reset every connection to the NAS; gives how many there were."""
        return self._do(wire.disconnect_nas())

    def leftovers(self) -> list[str]:
        """Everything of volumes that the NAS and the nodes have now."""
        return self._do(wire.leftovers())

    def _do(self, call: Call[T]) -> T:
        with _translated(self.url):
            answer = self._http.request(
                call.method, call.path, json=call.json, params=call.params, timeout=call.timeout_s
            )
            return _result(call, answer)


class AsyncFaultClient:
    """The same for asyncio; see `FaultClient`."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self.url, headers = wire.where(url, token)
        self._http = _made(lambda: httpx.AsyncClient(**_settings(self.url, headers)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections; rules stay in force."""
        await self._http.aclose()

    @asynccontextmanager
    async def fault(self, rule: str, *, name: str = "") -> AsyncIterator[RuleRecord]:
        """A rule that is in force inside of the block, and is gone after it, however that ends."""
        record = await self.add(rule, name=name)
        try:
            yield record
        finally:
            with suppress(NoSuchRule):  # a reset inside has taken it out already
                await self.remove(record.name)

    async def watch(self, *, since: int | None = None, kinds: Sequence[str] = ()) -> AsyncIterator[dict[str, Any]]:
        """Events as they happen; see `FaultClient.watch`."""
        params = _stream_params(since, kinds)
        with _translated(self.url):
            async with self._http.stream("GET", "/events/stream", params=params, timeout=_QUIET_S) as sent:
                if not sent.is_success:
                    await sent.aread()
                    raise _failure(sent)
                frame = _Frame()
                async for line in sent.aiter_lines():
                    if (event := frame.feed(line)) is not None:
                        yield event

    async def add(self, rule: str, *, name: str = "") -> RuleRecord:
        """Put a rule into force; without a name it gets one.

        Raises:
            RuleRefused: it is not a rule, could not be honoured, or its name is taken.
        """
        return await self._do(wire.add(rule, name))

    async def add_all(self, rules: wire.Rules) -> list[RuleRecord]:
        """Put several rules into force, or none of them; each is a text, or `rule` and `name`."""
        return await self._do(wire.add_all(rules))

    async def add_text(self, text: str) -> list[RuleRecord]:
        """Put the rules of a text into force, one per line with comments, or none of them."""
        return await self._do(wire.add_text(text))

    async def rules(self) -> list[RuleRecord]:
        """The rules in force with their counts."""
        return await self._do(wire.rules())

    async def change(self, name: str, rule: str) -> RuleRecord:
        """Change the text of a rule; its counts begin anew.

        Raises:
            NoSuchRule: there is none of this name.
            RuleRefused: the old one stays.
        """
        return await self._do(wire.change(name, rule))

    async def remove(self, name: str) -> None:
        """Take a rule out; what hung on it goes on.

        Raises:
            NoSuchRule: there is none of this name.
        """
        await self._do(wire.remove(name))

    async def reset(self) -> None:
        """Take all rules out, release every barrier and heal every connection."""
        await self._do(wire.reset())

    async def status(self) -> StatusRecord:
        """What is controlled, and how it is doing."""
        return await self._do(wire.status())

    async def sites(self, pattern: str = "*") -> list[SiteRecord]:
        """Where faults can happen, and how often one did; `*` in the pattern stands for any characters."""
        return await self._do(wire.sites(pattern))

    async def events(self, *, since: int = 0, limit: int = 1000, kinds: Sequence[str] = ()) -> Page:
        """What happened after event `since`, of these kinds: rpc, nas, mount, fault; all of them without."""
        return await self._do(wire.events(since, limit, kinds))

    async def barriers(self) -> list[BarrierRecord]:
        """Where calls hang now."""
        return await self._do(wire.barriers())

    async def release(self, barrier: str) -> int:
        """Let what hangs at a barrier go on; gives how many calls that were."""
        return await self._do(wire.release(barrier))

    async def crash(self, what: str, *, node: str = "", down_s: float = 0.0) -> None:
        """End driver, nas, node or reboot abruptly and start it again; comes back when it serves."""
        await self._do(wire.crash(what, node, down_s))

    async def disconnect_nas(self) -> int:
        """Reset every connection to the NAS; gives how many there were."""
        return await self._do(wire.disconnect_nas())

    async def leftovers(self) -> list[str]:
        """Everything of volumes that the NAS and the nodes have now."""
        return await self._do(wire.leftovers())

    async def _do(self, call: Call[T]) -> T:
        with _translated(self.url):
            answer = await self._http.request(
                call.method, call.path, json=call.json, params=call.params, timeout=call.timeout_s
            )
            return _result(call, answer)


class _Frame:
    """Server-sent events, line by line."""

    def __init__(self) -> None:
        self._kind = ""
        self._data: list[str] = []

    def feed(self, line: str) -> dict[str, Any] | None:
        """The event that ends with this line, if one does."""
        if line.startswith("data:"):
            self._data.append(line[5:].strip())
        elif line.startswith("event:"):
            self._kind = line[6:].strip()
        elif not line and self._data:
            event: dict[str, Any] = json.loads("\n".join(self._data))
            found = {"type": self._kind, **event} if self._kind else event
            self._kind, self._data = "", []
            return found
        return None


def _stream_params(since: int | None, kinds: Sequence[str]) -> dict[str, Any]:
    return {"kind": list(kinds)} if since is None else {"kind": list(kinds), "since": since}


def _result(call: Call[T], answer: httpx.Response) -> T:
    if not answer.is_success:
        raise _failure(answer)
    try:
        return call.read(answer.json() if answer.content else None)
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable("what answers there is not a control server", status=answer.status_code) from error


def _failure(answer: httpx.Response) -> ControlFailed:
    try:
        body = answer.json()
    except ValueError:
        body = None
    return wire.failure(answer.status_code, body)


def _settings(url: str, headers: dict[str, str]) -> dict[str, Any]:
    # Certificates take longer to load than most commands take.
    return {"base_url": url, "headers": headers, "trust_env": False, "verify": url.startswith("https:")}


def _made(make: Callable[[], T]) -> T:
    try:
        return make()
    except (httpx.InvalidURL, ValueError) as error:
        raise Unreachable(f"this is not the URL of a control server: {error}") from None


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """The library's errors as ours."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise Unreachable(f"no control server answers at {url}: {error}; start csisim with --control") from error
    except httpx.HTTPError as error:
        raise ControlFailed(f"the control server at {url} did not answer: {type(error).__name__} {error}") from error
