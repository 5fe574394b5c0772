"""What is read from /proc."""

import os

from benchmarks import servers


def test_cpu_seconds_survives_brackets_and_spaces_in_the_command_name() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"42 (a) b) c) S 1 42 42 0 -1 4194560 1 2 3 4 {3 * ticks} {2 * ticks} 0 0 20 0 1 0"
    assert servers.cpu_seconds(stat) == 5.0


def test_peak_memory_is_the_high_water_mark_in_bytes() -> None:
    assert servers.peak_bytes("Name:\tx\nVmPeak:\t   9 kB\nVmHWM:\t   2048 kB\nVmRSS:\t 1024 kB\n") == 2 << 20


def test_usage_of_this_process_grows() -> None:
    before = servers.usage(os.getpid())
    sum(number * number for number in range(300_000))
    after = servers.usage(os.getpid())
    assert after.cpu_s >= before.cpu_s > 0
    assert after.peak_bytes >= before.peak_bytes > 0
