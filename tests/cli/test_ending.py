"""What ends many runs before their time."""

import asyncio
import signal
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

import pytest

from csisim.cli.ending import BROKEN, End, stopped, until_signalled, until_stopped


class Ended(BaseException):
    """What the signal would have done otherwise."""


@pytest.fixture(autouse=True)
def _others(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the process does on SIGTERM, to find out whether that is put back."""

    def ended(*_: object) -> None:
        raise Ended

    before = signal.signal(signal.SIGTERM, ended)
    monkeypatch.setattr("sys.unraisablehook", sys.unraisablehook)
    with warnings.catch_warnings():
        yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_ends_the_work_and_its_status_says_which_it_was(number: int, status: int) -> None:
    done: list[int] = []
    with until_signalled() as end:
        done.append(1)
        signal.raise_signal(number)
        done.append(2)
    assert (done, end.signal, end.status) == ([1], number, status)


def test_without_one_there_is_none() -> None:
    with until_signalled() as end:
        pass
    assert (end.signal, end.status) == (0, 0)


def test_a_second_one_does_what_it_always_did() -> None:
    def stubborn() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Ended), until_signalled():
        stubborn()
    with pytest.raises(Ended):
        signal.raise_signal(signal.SIGTERM)


def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match="no"), until_signalled():
        raise ValueError("no")


@pytest.mark.parametrize(
    ("number", "ignored"),
    [
        pytest.param(signal.SIGTERM, False, id="SIGTERM"),
        pytest.param(signal.SIGINT, False, id="SIGINT"),
        pytest.param(signal.SIGTERM, True, id="SIGTERM, in the background of a shell, where SIGINT is ignored"),
    ],
)
def test_an_event_loop_is_not_torn_up_but_cancels_what_runs_in_it(number: int, ignored: bool) -> None:
    seen: list[str] = []

    def in_the_middle() -> None:
        signal.raise_signal(number)
        seen.append("the callback ended")

    async def work() -> None:
        asyncio.get_running_loop().call_soon(in_the_middle)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            seen.append("cleaned up")

    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if ignored else signal.getsignal(signal.SIGINT)
    try:
        with until_signalled() as end:
            asyncio.run(work())
            seen.append("went on")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (seen, end.status) == (["the callback ended", "cleaned up"], 128 + number)


def killed() -> End:
    def die() -> None:
        raise BrokenExecutor("killed")

    with until_stopped() as end:
        die()
    return end


def test_a_worker_that_has_died_has_a_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert stopped("explore", End(), " after 1 of 2 runs") == 0
    assert capsys.readouterr().err == ""
    end = killed()
    assert stopped("explore", end, " after 1 of 2 runs") == BROKEN
    assert capsys.readouterr().err == (
        "csisim explore: a worker has died after 1 of 2 runs, and what was found until then is shown: killed\n"
    )


def test_workers_that_died_of_the_same_signal_are_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    assert stopped("explore", End(signal.SIGTERM, BrokenExecutor("killed")), " after 1 of 2 runs") == 143
    assert capsys.readouterr().err == "interrupted after 1 of 2 runs\n"
