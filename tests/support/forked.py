"""Processes of our commands without the half second that each would take to import everything.

They are forked from one that has done so, and are processes like all others from then on: with arguments, environment,
directory, signals and an exit status of their own.
"""

import atexit
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path

_FROM = multiprocessing.get_context("forkserver")
_FROM.set_forkserver_preload(["tests.support.warm"])


def prepare() -> None:
    """Start the process that all are forked from; the first of them would wait for it."""
    forkserver.ensure_running()


class Forked:
    """As `subprocess.Popen`, as far as tests need it.

    Args:
        args: a module with a `main`, and what it finds in sys.argv.
        directory: where it runs.
        env: all of its environment.
        stdout: the file that its output is appended to.
        stderr: the same for errors.
    """

    def __init__(
        self, args: Sequence[str], directory: Path, env: Mapping[str, str], stdout: Path, stderr: Path
    ) -> None:
        given = (tuple(args), str(directory), dict(env), str(stdout), str(stderr))
        self._process = _FROM.Process(target=_main, args=given, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _main(args: Sequence[str], directory: str, env: Mapping[str, str], stdout: str, stderr: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None  # its environment says where
    os.chdir(directory)
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.argv = list(args)
    try:
        importlib.import_module(args[0]).main()
    finally:
        atexit._run_exitfuncs()
