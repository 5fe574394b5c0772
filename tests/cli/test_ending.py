"""What ends many runs before their time."""

import signal
import sys
import warnings
from collections.abc import Iterator

import pytest

from csisim.cli.ending import until_signalled


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
