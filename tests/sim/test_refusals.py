import asyncio
import signal
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from csisim.sim.errors import EscapedSimulation
from csisim.sim.run import simulate


def loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


ESCAPES: dict[str, Callable[[], Any]] = {
    "to_thread": lambda: asyncio.to_thread(print),  # noqa: TID251
    "run_in_executor": lambda: loop().run_in_executor(None, print),
    "set_default_executor": lambda: loop().set_default_executor(ThreadPoolExecutor()),
    "set_task_factory": lambda: loop().set_task_factory(lambda _loop, coro: asyncio.Task(coro)),
    "add_reader": lambda: loop().add_reader(0, print),
    "add_signal_handler": lambda: loop().add_signal_handler(signal.SIGTERM, print),
    "datagram": lambda: loop().create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)),
    "subprocess": lambda: asyncio.create_subprocess_exec("true"),
    "sock_recv": lambda: loop().sock_recv(None, 1),  # type: ignore[arg-type]
    "start_tls": lambda: loop().start_tls(None, None, None),  # type: ignore[arg-type]
    "real socket": lambda: loop().create_connection(asyncio.Protocol, sock=socket.socket.__new__(socket.socket)),
    "tls": lambda: loop().create_connection(asyncio.Protocol, "localhost", 1, ssl=ssl.create_default_context()),
    "thread": lambda: threading.Thread(target=print).start(),
    "sleep": lambda: time.sleep(1),  # noqa: TID251
    "uuid1": lambda: uuid.uuid1(),  # noqa: PLW0108 - looked up while it runs
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_it_is_refused_where_it_is_asked_for_and_fails_the_run(escape: str) -> None:
    caught: list[BaseException] = []

    async def program() -> str:
        try:
            found = ESCAPES[escape]()
            if asyncio.iscoroutine(found):
                await found
        except EscapedSimulation as error:
            caught.append(error)
        await asyncio.sleep(1)
        return "went on"

    outcome = simulate(program)
    assert len(caught) == 1
    assert outcome.error is caught[0]
    assert outcome.result is None


def test_other_threads_of_the_process_keep_their_clock_and_their_entropy() -> None:
    seen: list[float] = []
    begun, over = threading.Event(), threading.Event()

    def outside() -> None:
        begun.wait(10)
        seen.append(time.monotonic())  # noqa: TID251
        over.set()

    thread = threading.Thread(target=outside)
    thread.start()
    before = time.monotonic()  # noqa: TID251

    async def program() -> float:
        begun.set()
        over.wait(10)
        return time.monotonic()  # noqa: TID251

    assert simulate(program).result == 0.0
    thread.join()
    assert seen[0] >= before


def test_everything_is_put_back_after_the_run() -> None:
    import os
    import random

    before = (os.urandom, time.time, time.monotonic, time.sleep, threading.Thread.start, asyncio.all_tasks)  # noqa: TID251
    state = random.getstate()

    async def program() -> None:
        random.random()  # noqa: TID251
        raise ValueError

    assert isinstance(simulate(program).error, ValueError)
    assert before == (os.urandom, time.time, time.monotonic, time.sleep, threading.Thread.start, asyncio.all_tasks)  # noqa: TID251
    assert random.getstate() == state
