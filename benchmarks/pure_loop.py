"""The yardstick for what runs in Python alone: a fixed loop over integers and a dict. Its time is the machine's."""

import time
from collections.abc import Callable

STEPS = 100_000


def seconds(clock: Callable[[], float] = time.perf_counter) -> float:
    """How long the loop takes once, about 10 ms on a machine of 2024, by wall clock or another one."""
    begun = clock()
    total, last = 0, dict.fromkeys(range(64), 0)
    for step in range(STEPS):
        total = (total * 31 + step) & 0xFFFF
        last[total & 63] = step
    taken = clock() - begun
    assert total == _TOTAL, "the yardstick did not do its work"
    return taken


_TOTAL = 9040
