"""Where work is done."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from csisim.executors import Inline, NoCluster, dask, processes


def test_one_job_runs_in_this_process_at_once() -> None:
    with processes(1) as place:
        assert place.workers == 1
        assert place.executor.submit(multiprocessing.current_process).result() is multiprocessing.current_process()


def test_an_error_is_for_whoever_asks_for_the_result() -> None:
    future: Future[int] = Inline().submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        future.result()


def broken_off() -> tuple[list[BaseProcess], Path]:
    """A block that ends with an error while its workers are at work for ever; gives them, and a directory of theirs."""
    workers: list[BaseProcess] = []
    theirs = Path()
    others = multiprocessing.active_children()
    try:
        with processes(2) as place:
            theirs = Path(place.executor.submit(tempfile.mkdtemp).result())
            assert theirs.is_dir()
            place.executor.submit(signal.pause)
            workers = [each for each in multiprocessing.active_children() if each not in others]
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        return workers, theirs


def test_after_an_error_nobody_waits_for_what_is_still_running() -> None:
    workers, _ = broken_off()
    assert workers
    for worker in workers:  # is_alive() is wrong for a moment when the pool's own thread was told of the end first
        assert connection.wait([worker.sentinel], 30)


def test_temporary_files_of_workers_that_were_ended_are_gone() -> None:
    _, theirs = broken_off()
    assert not theirs.parent.exists()
    assert theirs.parent.parent == Path(tempfile.gettempdir())


PARENT = """
import os, signal, tempfile
from csisim.executors import processes
with processes(2) as place:
    print(place.executor.submit(os.getpid).result(), flush=True)
    print(place.executor.submit(tempfile.mkdtemp).result(), flush=True)
    place.executor.submit(signal.pause)
    signal.pause()
"""


def test_workers_end_with_a_parent_that_is_killed_and_leave_no_files() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:  # noqa: S603
        assert parent.stdout is not None
        worker, theirs = int(parent.stdout.readline()), Path(parent.stdout.readline().decode().strip())
        parent.kill()
        try:
            parent.communicate(timeout=60)  # comes to its end when nobody has the other end of the pipe any more
        finally:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        assert theirs.parent.parent == Path(tempfile.gettempdir())
        assert not theirs.parent.exists()


def test_without_dask_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NoCluster, match=r"pip install 'csisim\[dask\]'"), dask("tcp://127.0.0.1:1"):
        pass


@pytest.mark.usefixtures("with_dask")
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", ""])
def test_a_cluster_that_is_not_there_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csisim.executors._CONNECT_S", 0.2)
    with pytest.raises(NoCluster, match="no Dask scheduler at"), dask(address):
        pass
