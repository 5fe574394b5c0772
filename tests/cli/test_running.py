import asyncio
import os
import signal
import stat

import pytest
import typer

from csisim.cli.running import Signals, log_stream, run


class Slow:
    """Takes as long to stop as it is told."""

    def __init__(self) -> None:
        self.graces = []
        self.idle = asyncio.Event()

    async def stop_serving(self, grace_s=None):
        self.graces.append(grace_s)
        if grace_s == 0.0:
            self.idle.set()
        await self.idle.wait()


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


async def test_the_first_signal_drains():
    slow = Slow()
    draining = asyncio.create_task(Signals().drained(slow))
    await asyncio.sleep(0)
    assert slow.graces == []

    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: slow.graces)
    assert not draining.done()
    slow.idle.set()
    await draining

    assert slow.graces == [None]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_no_longer_waits(number):
    slow = Slow()
    draining = asyncio.create_task(Signals().drained(slow))
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: slow.graces)

    os.kill(os.getpid(), number)
    await draining

    assert slow.graces == [None, 0.0]


def test_run_gives_what_came_out():
    async def main():
        return 3

    assert run(main()) == 3


def test_a_log_file_is_private_and_appended_to(tmp_path):
    path = tmp_path / "x.log"
    for text in ("one\n", "two\n"):
        with log_stream(path) as stream:
            stream.write(text)

    assert path.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_log_file_there_is_no_stream():
    with log_stream(None) as stream:
        assert stream is None


def test_a_log_file_that_cannot_be_is_a_usage_error(tmp_path):
    with pytest.raises(typer.BadParameter, match="No such file"), log_stream(tmp_path / "no" / "x.log"):
        raise AssertionError("there is no such directory")
