"""The servers under measurement as processes of their own: started, their CPU time and memory read, stopped."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from csisim.pb import csi_pb2_grpc

API_KEY = "1-" + "benchmark" * 7 + "b"
_ROOT = Path(__file__).parent.parent
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process has used so far.

    Attributes:
        cpu_s: user and system time of all its threads, in steps of the kernel's clock tick.
        peak_bytes: the most memory it ever had resident.
    """

    cpu_s: float
    peak_bytes: int


def cpu_seconds(stat: str) -> float:
    """User and system time from /proc/<pid>/stat; the command name in it may hold spaces and brackets."""
    after_name = stat.rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS_PER_S


def peak_bytes(status: str) -> int:
    """VmHWM from /proc/<pid>/status."""
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def usage(pid: int) -> Usage:
    """Read both from /proc. FileNotFoundError: the process has ended."""
    proc = Path("/proc") / str(pid)
    return Usage(cpu_seconds((proc / "stat").read_text()), peak_bytes((proc / "status").read_text()))


@dataclass(frozen=True, slots=True)
class Target:
    """Something to measure.

    Attributes:
        name: in tables and messages.
        pids: its processes by role; the fake NAS is part of what a driver call costs.
        channel: open connection to its socket.
        controller: generated stub on that channel.
    """

    name: str
    pids: dict[str, int]
    channel: grpc.aio.Channel
    controller: "csi_pb2_grpc.ControllerAsyncStub"

    def usage(self) -> dict[str, Usage]:
        """By role."""
        return {role: usage(pid) for role, pid in self.pids.items()}


@asynccontextmanager
async def bare(work: Path, volumes: int = 0) -> AsyncIterator[Target]:
    """The yardstick server."""
    async with AsyncExitStack() as stack:
        endpoint = f"unix://{work / 'bare.sock'}"
        process = await start(stack, work, "bare", ["benchmarks.bare", "--endpoint", endpoint, f"--volumes={volumes}"])
        yield await _connect(stack, work, "bare", endpoint, {"bare": process})


@asynccontextmanager
async def csisim(work: Path, name: str = "csisim") -> AsyncIterator[Target]:
    """A driver and the fake NAS behind it."""
    async with AsyncExitStack() as stack:
        address = f"127.0.0.1:{free_port()}"
        nas_name, endpoint = f"{name}-nas", f"unix://{work / name}.sock"
        arguments = ["fake_truenas", "--listen", address, "--pool", "tank:1PiB", "--api-key", API_KEY]
        arguments.append("--no-rate-limit")
        nas = await start(stack, work, nas_name, arguments)
        await accepting(address, nas, work / f"{nas_name}.log")
        driver_arguments = [
            "csisim.cli.main", "serve", "--mode", "controller", "--endpoint", endpoint,
            "--nas", f"ws://{address}/api/current", "--api-key", API_KEY,
        ]  # fmt: skip
        driver = await start(stack, work, name, driver_arguments)
        yield await _connect(stack, work, name, endpoint, {"driver": driver, "nas": nas})


@asynccontextmanager
async def proxied(work: Path, behind: Path) -> AsyncIterator[Target]:
    """`csisim proxy` in front of the server on the socket `behind`, which is no part of the target."""
    async with AsyncExitStack() as stack:
        endpoint = f"unix://{work / 'proxy.sock'}"
        arguments = ["csisim.cli.main", "proxy", "--listen", endpoint, "--upstream", f"unix://{behind}"]
        process = await start(stack, work, "proxy", arguments)
        yield await _connect(stack, work, "proxy", endpoint, {"proxy": process})


@asynccontextmanager
async def with_faults(work: Path, name: str, rules: Sequence[str] | None) -> AsyncIterator[Target]:
    """A driver with its NAS inside; None for rules leaves the fault plane out."""
    async with AsyncExitStack() as stack:
        endpoint = f"unix://{work / name}.sock"
        arguments = ["csisim.cli.main", "serve", "--mode", "controller", "--endpoint", endpoint, "--pool", "tank:1PiB"]
        if rules is not None:
            path = work / f"{name}.rules"
            path.write_text("".join(f"{rule}\n" for rule in rules))
            arguments += ["--fault-seed", "1", "--faults", str(path)]
        driver = await start(stack, work, name, arguments)
        yield await _connect(stack, work, name, endpoint, {"driver": driver})


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def start(stack: AsyncExitStack, work: Path, name: str, arguments: Sequence[str]) -> asyncio.subprocess.Process:
    """Start `python -m ...` with its output in a file, and have it stopped when the stack unwinds."""
    log = stack.enter_context((work / f"{name}.log").open("wb"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, cwd=_ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
    )
    stack.push_async_callback(_stop, process)
    return process


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def accepting(address: str, process: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until a TCP connection is taken. RuntimeError: the process ended before, with the end of its log."""
    host, _, port = address.partition(":")
    async with asyncio.timeout(_START_TIMEOUT_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                _fail_if_ended(process, log)
                await asyncio.sleep(_POLL_S)
            else:
                writer.close()
                return


async def _connect(
    stack: AsyncExitStack, work: Path, name: str, endpoint: str, processes: dict[str, asyncio.subprocess.Process]
) -> Target:
    options = [("grpc.max_receive_message_length", -1), ("grpc.initial_reconnect_backoff_ms", 50)]
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(endpoint, options=options))
    ready = asyncio.ensure_future(channel.channel_ready())
    async with asyncio.timeout(_START_TIMEOUT_S):
        while not ready.done():
            for role, process in processes.items():
                _fail_if_ended(process, work / f"{name}{'-nas' if role == 'nas' else ''}.log")
            await asyncio.wait([ready], timeout=_POLL_S)
    pids = {role: process.pid for role, process in processes.items()}
    return Target(name, pids, channel, csi_pb2_grpc.ControllerStub(channel))


def _fail_if_ended(process: asyncio.subprocess.Process, log: Path) -> None:
    if process.returncode is not None:
        raise RuntimeError(f"{log.stem} ended with status {process.returncode}:\n{log.read_text()[-2000:]}")
