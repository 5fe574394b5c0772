"""Where work is done: in this process, in processes of its own, or on a Dask cluster."""

import faulthandler
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from csisim.logs import silence

_CONNECT_S: Final = 30


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

    When the block ends with an error, what is still running is ended: nobody waits for it.
    """
    if jobs == 1:
        silence()
        yield Workplace(Inline(), 1)
        return
    before = multiprocessing.active_children()
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield Workplace(pool, jobs)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            if process not in before:
                process.terminate()
        raise
    pool.shutdown()


def _begin() -> None:
    """A worker is quiet, leaves the keyboard to its parent, ends with it, and says where it was when it crashes."""
    silence()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed tells nobody, and its workers hold both ends of the pipe that they wait on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
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
