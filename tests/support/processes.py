"""Real servers as child processes: started, waited for, stopped with SIGTERM or killed."""

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.forked import Forked

API_KEY = "1-" + "k" * 64
NODE_ID = "node-1"
_POLL_S = 0.02
_START_POLLS = 1500


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now; a restarted server needs the same one again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One child process; `ready` tells from the process's own signs whether it accepts calls.

    Standard output and error go to `<name>.out` and `<name>.err` in `directory`, appended to over restarts.

    Args:
        args: a module of a command, and its flags.
        directory: where it runs.
        name: what errors call it.

    Attributes:
        env: more of its environment, which is this one without our own variables.
    """

    def __init__(self, args: Sequence[str], directory: Path, name: str) -> None:
        self.args = list(args)
        self.env: dict[str, str] = {}
        self.directory = directory
        self.name = name
        self.stdout = directory / f"{name}.out"
        self.stderr = directory / f"{name}.err"
        self.is_ready: Callable[[], bool] = self._said_ready
        self._process: Forked | None = None
        self._seen = 0

    @property
    def process(self) -> Forked:
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    @property
    def output(self) -> str:
        return self.stdout.read_text(errors="replace") + self.stderr.read_text(errors="replace")

    def spawn(self) -> None:
        """Start the process and return at once."""
        self._seen = self.stdout.stat().st_size if self.stdout.exists() else 0
        env = {key: value for key, value in os.environ.items() if not key.startswith(("CSI", "TRUENAS"))}
        env |= self.env
        for path in (self.stdout, self.stderr):
            path.touch()
        self._process = Forked(self.args, self.directory, env, self.stdout, self.stderr)

    def start(self) -> "Server":
        """Start the process and wait until it is ready."""
        self.spawn()
        for _ in range(_START_POLLS):
            if self.is_ready():
                return self
            try:
                status = self.process.wait(timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"{self.name} exited with {status} before it was ready:\n{self.output}")
        self.kill()
        raise AssertionError(f"{self.name} did not become ready:\n{self.output}")

    async def start_async(self) -> "Server":
        """As `start`, without holding up other tasks of the test."""
        self.spawn()
        for _ in range(_START_POLLS):
            if self.is_ready():
                return self
            assert self.process.poll() is None, f"{self.name} exited before it was ready:\n{self.output}"
            await asyncio.sleep(_POLL_S)
        self.kill()
        raise AssertionError(f"{self.name} did not become ready:\n{self.output}")

    def terminate(self) -> None:
        """Ask it to end; returns at once."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """SIGTERM, and it must exit with status 0."""
        self.terminate()
        try:
            status = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} ignored SIGTERM for 30 s:\n{self.output[-4000:]}") from None
        assert status == 0, f"{self.name} exited with {status}:\n{self.output[-4000:]}"

    async def exit_status(self, timeout_s: float = 30.0) -> int:
        """Wait for the end without holding up other tasks."""
        async with asyncio.timeout(timeout_s):
            while True:
                status = self.process.poll()
                if status is not None:
                    return status
                await asyncio.sleep(_POLL_S)

    def kill(self) -> None:
        """Send SIGKILL, and reap."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(timeout=30)

    def _said_ready(self) -> bool:
        with self.stdout.open("rb") as out:
            out.seek(self._seen)
            return any(b"ready" in line for line in out.read().splitlines(keepends=True) if line.endswith(b"\n"))


def driver(directory: Path, *flags: str, endpoint: Path | None = None, name: str = "csisim") -> Server:
    """`csisim serve` on `<directory>/csi.sock`, not yet started."""
    socket_path = endpoint or directory / "csi.sock"
    args = ["csisim.cli.main", "serve", "--endpoint", f"unix://{socket_path}", "--node-id", NODE_ID, *flags]
    return Server(args, directory, name)


def control_url(server: Server) -> str:
    """Where the control server of a driver or proxy that has started is, as it says itself."""
    found = re.search(r"^csisim control on (\S+)$", server.stdout.read_text(), re.MULTILINE)
    assert found is not None, server.stdout.read_text()
    return found[1]


def nas(directory: Path, port: int, *flags: str, pool: str = "tank:1TiB") -> Server:
    """`python -m fake_truenas` on this port, not yet started; ready when it accepts TCP connections."""
    where = ["--listen", f"127.0.0.1:{port}", "--pool", pool]
    args = ["fake_truenas.__main__", *where, "--api-key", API_KEY, "--no-rate-limit", *flags]
    server = Server(args, directory, "fake_truenas")

    def listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    server.is_ready = listening
    return server


def nas_flags(port: int) -> tuple[str, ...]:
    """The flags that point a driver at a NAS on this port."""
    return ("--nas", f"ws://127.0.0.1:{port}/api/current", "--api-key", API_KEY)
