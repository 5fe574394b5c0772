"""Where work is done: in this process, in processes of its own, or on a Dask cluster."""

import faulthandler
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Any, Final, NoReturn

from csisim.logs import silence

_CONNECT_S: Final = 30
_GONE_S: Final = 5.0


class NoCluster(Exception):
    """A Dask cluster cannot be used; says which, and why."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """An executor, and how many of its tasks run at the same time."""

    executor: Executor
    workers: int


class Inline(Executor):
    """Runs everything at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it now."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is for whoever asks for the result
            future.set_exception(error)
        return future


@contextmanager
def processes(jobs: int) -> Iterator[Workplace]:
    """One process: this one. More: fresh ones, because gRPC's threads do not survive a fork.

    When the block ends with an error, what is still running is ended: nobody waits for it. Temporary files of the fresh
    ones are in a directory of theirs, which goes with them, whatever they died of.
    """
    if jobs == 1:
        silence()
        yield Workplace(Inline(), 1)
        return
    before = multiprocessing.active_children()
    with tempfile.TemporaryDirectory(prefix="csisim-", ignore_cleanup_errors=True) as home:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(home,))
        try:
            yield Workplace(pool, jobs)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            _end([each for each in multiprocessing.active_children() if each not in before])
            raise
        pool.shutdown()


def _end(workers: list[BaseProcess]) -> None:
    """End them now, and see that they are gone: until then they write."""
    for worker in workers:
        worker.kill()
    for worker in workers:  # one may be in the middle of something that cannot be interrupted
        multiprocessing.connection.wait([worker.sentinel], _GONE_S)


def _begin(home: str) -> None:
    """A worker is quiet, leaves the keyboard to its parent, ends with it, and says where it was when it crashes."""
    silence()
    tempfile.tempdir = home
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, partial(_leave, home))
    faulthandler.enable()
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed tells nobody, and its workers hold both ends of the pipe that they wait on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGUSR1)
        threading.Event().wait(_GONE_S)
        os._exit(1)


def _leave(home: str, *_signal: object) -> NoReturn:
    """Clean up and end: within a signal, so that the work, which is in the same thread, makes nothing any more."""
    shutil.rmtree(home, ignore_errors=True)
    os._exit(1)


@contextmanager
def dask(address: str) -> Iterator[Workplace]:
    """The workers of a Dask cluster, which have the same csisim.

    Args:
        address: of its scheduler, such as tcp://10.0.0.5:8786.

    Raises:
        NoCluster: dask is not installed, nobody answers there, or there are no workers.
    """
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError:
        raise NoCluster("dask is not installed: pip install 'csisim[dask]'") from None
    connect: Any = distributed.Client  # it says that it is typed, and is not
    try:
        client = connect(address, timeout=_CONNECT_S)
    except (OSError, ValueError, TypeError) as error:
        raise NoCluster(f"no Dask scheduler at {address[:200]!r}: {error}") from error
    with client:
        workers = sum(client.ncores().values())
        if not workers:
            raise NoCluster(f"the Dask cluster at {address[:200]!r} has no workers")
        client.register_worker_callbacks(silence)
        yield Workplace(client.get_executor(pure=False), workers)
