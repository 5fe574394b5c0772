"""What a simulated loop does not do: everything that reaches a real thread, file descriptor, process or name server."""

import asyncio
import inspect
from typing import Any, NoReturn


class Refusals:
    """A mixin for the loop. Each of these fails the run with `EscapedSimulation`, at the place that asked."""

    def refuse(self, what: str) -> NoReturn:
        """Fail the run."""
        raise NotImplementedError(what)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:  # noqa: ARG002 - asyncio's
        """A thread."""
        self.refuse(f"{_name(func)} would run in a thread: simulated code has none")

    def set_default_executor(self, executor: Any) -> NoReturn:  # noqa: ARG002 - asyncio's
        """Threads."""
        self.refuse("an executor would run threads: simulated code has none")

    def set_task_factory(self, factory: Any) -> None:
        """Only the loop's own tasks have numbers."""
        if factory is not None:
            self.refuse("tasks of another kind would have no number: their order in sets would differ")


_DESCRIPTORS = (
    "add_reader", "remove_reader", "add_writer", "remove_writer", "sock_recv", "sock_recv_into", "sock_recvfrom",
    "sock_recvfrom_into", "sock_sendall", "sock_sendto", "sock_connect", "sock_accept", "sock_sendfile", "sendfile",
    "connect_accepted_socket", "connect_read_pipe", "connect_write_pipe", "create_datagram_endpoint",
)  # fmt: skip
_OTHERS = ("start_tls", "subprocess_exec", "subprocess_shell", "add_signal_handler", "remove_signal_handler")


def _name(func: Any) -> str:
    return str(getattr(func, "__qualname__", type(func).__qualname__))


def _refusal(name: str, what: str) -> Any:
    def refused(self: Refusals, *_args: Any, **_named: Any) -> NoReturn:
        self.refuse(f"loop.{name}: {what}")

    refused.__name__ = name
    refused.__doc__ = "Refused."
    if inspect.iscoroutinefunction(getattr(asyncio.AbstractEventLoop, name)):

        async def refused_later(self: Refusals, *args: Any, **named: Any) -> NoReturn:
            refused(self, *args, **named)

        refused_later.__name__, refused_later.__doc__ = name, "Refused."
        return refused_later
    return refused


for _each in _DESCRIPTORS:
    setattr(Refusals, _each, _refusal(_each, "real file descriptors are not there; use create_connection"))
for _each in _OTHERS:
    setattr(Refusals, _each, _refusal(_each, "cannot be simulated"))
