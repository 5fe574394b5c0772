"""system.*: what the box tells of itself."""

import random

import pytest

from fake_truenas.config import NasConfig
from fake_truenas.nas import Nas


@pytest.mark.parametrize(
    ("version", "text"),
    [("25.10.5", "TrueNAS-25.10.5"), ("24.10.2", "TrueNAS-SCALE-24.10.2"), ("26.0.0", "TrueNAS-26.0.0")],
)
def test_the_version_text_follows_the_persona(version, text):
    nas = Nas(NasConfig(api_key="1-key", version=version), rng=random.Random(1), clock=lambda: 0.0)
    assert nas.call_direct("system.version") == text
    assert nas.call_direct("system.version_short") == version
    assert nas.call_direct("system.info")["version"] == text
    nas.close()


def test_a_nas_that_answers_is_ready(box):
    assert box("system.ready") is True
    assert box("system.state") == "READY"
    assert box("system.product_type") == "COMMUNITY_EDITION"


def test_the_host_outlives_a_restart_and_the_boot_does_not(tmp_path):
    seen = []
    for seed in (1, 2):
        config = NasConfig(api_key="1-key", data_dir=tmp_path)
        nas = Nas(config, rng=random.Random(seed), clock=lambda: 0.0)
        seen.append((nas.call_direct("system.host_id"), nas.call_direct("system.boot_id")))
        nas.close()
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] != seen[1][1]


def test_times_come_from_the_given_clock(box):
    box.time += 86400 + 3661.5
    info = box("system.info")
    assert info["boottime"] == {"$date": 1_700_000_000_000}
    assert info["datetime"] == {"$date": 1_700_090_061_500}
    assert (info["uptime"], info["uptime_seconds"]) == ("1 day, 1:01:01", 90061.5)


def test_state_calls_need_no_login(box):
    public = {name for name, method in box.nas.registry.methods.items() if method.public and name.startswith("system.")}
    assert public == {"system.boot_id", "system.build_time", "system.ready", "system.state"}


def test_calls_take_no_arguments(box):
    assert box.refused("system.version", 1) == [("", "Too many arguments (expected 0, found 1)", 22)]
