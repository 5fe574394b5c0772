"""`csisim drive` against real processes: what it prints, writes and refuses, and how it ends."""

import asyncio
import json
import os
import re
import signal
import subprocess
import xml.etree.ElementTree as ET
from contextlib import suppress

import pytest
from typer.testing import CliRunner

from csisim.cli import run_output
from csisim.cli.drive import _patiently
from csisim.cli.main import app
from csisim.runs.drive import drive as run_drive
from tests.support.processes import Server, control_url, driver
from tests.support.stranger import Stranger

FAST = ("--speed", "300", "--timeout", "20", "--size", "1x1")
RULES = (
    "rpc.CreateVolume.after: 1*error(UNAVAILABLE)",
    "rpc.NodePublishVolume.after: #1 error(NOT_FOUND)",
    "rpc.DeleteVolume.before: 2*error(INTERNAL)",
)


@pytest.fixture
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("d")  # short: a socket path has 107 bytes


@pytest.fixture
def served(directory):
    """A driver with two nodes, and a proxy in front of the first."""
    first = driver(directory, "--nodes", "2")
    proxy = Server(
        ["csisim.cli.main", "proxy", "--listen", f"unix://{directory}/p.sock", "--upstream",
         f"unix://{directory}/csi.sock", "--control", "127.0.0.1:0"],
        directory, "proxy",
    )  # fmt: skip
    proxy.spawn()
    first.start()
    for _ in range(1000):
        if proxy.is_ready():
            break
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"{proxy.process.wait(timeout=0.02)}: {proxy.output}")
    yield proxy
    proxy.kill()
    first.kill()


def drive(*flags):
    return CliRunner().invoke(app, ["drive", *map(str, flags)])


def reported(found):
    assert found.exit_code == 0, found.output
    report = json.loads(found.stdout)
    assert report["verdict"] == "ok"
    return report


def test_all_protocols_on_two_nodes_with_and_without_a_proxy(directory, served):
    both = ["--endpoint", f"unix://{directory}/csi.sock", "--node", f"one=unix://{directory}/csi.sock",
            "--node", f"two=unix://{directory}/csi-node-2.sock"]  # fmt: skip
    report = reported(drive(*both, "--storage-class-parameter", "protocol=nfs", *FAST, "--json"))
    assert report["driver"]["nodes"] == {"one": "node-1", "two": "node-2"}
    assert {"seed", "strategy", "invariants", "violations", "trace_hash", "steps", "virtual_s", "replay"} <= set(report)
    assert report["real"]
    assert any("nfs volumes have no block device" in note for note in report["notes"])

    raw = ["--storage-class-parameter", "protocol=iscsi", "--volume-mode", "Block", "--access-mode", "ReadWriteMany"]
    found = drive(*both, *raw, *FAST, "--history", directory / "h.jsonl")
    assert found.exit_code == 0, found.output
    assert re.search(r"^  I18 +- +0  .*only the driver itself sees", found.output, re.MULTILINE)
    assert "note: data was not checked: nothing is really mounted at " in found.output
    calls = [json.loads(line) for line in (directory / "h.jsonl").read_text().splitlines()]
    published = [each["process"] for each in calls if (each["type"], each["f"]) == ("invoke", "NodePublishVolume")]
    assert {"kubelet node-1", "kubelet node-2"} <= set(published)
    assert drive_again(directory / "h.jsonl").exit_code == 0

    through = ["--endpoint", f"unix://{directory}/p.sock", "--proxy-control", control_url(served)]
    faults = [word for rule in RULES for word in ("--faults", rule)]
    mounted = ["--storage-class-parameter", "protocol=nvmeof", "--fs-type", "ext4", *FAST]
    report = reported(drive(*through, *faults, *mounted, "--json"))
    assert report["faults_fired"] == 4
    assert report["faults"] == list(RULES)
    assert report["looked_at"]["I7"]


def drive_again(history):
    """The same verdict from the file."""
    return CliRunner().invoke(app, ["check", str(history)])


async def test_a_violation_is_told_in_every_report(directory, capsys):
    async with Stranger(directory / "s.sock", "forgets in lists") as stranger:
        found = await run_drive(stranger.plan())
    files = run_output.Files(junit=directory / "j.xml", html=directory / "p.html", history=directory / "h.jsonl")
    files.write(found.result, more=found.more)
    run_output.show(found.result, json=False, more=found.more)
    told = capsys.readouterr().out
    assert told.startswith(f"stranger.example at unix://{stranger.path} · run 5eed0001 · seed 0 · 1 user · 1 node · ")
    assert re.search(r"^  I14 +VIOLATION", told, re.MULTILINE)
    assert "did not show" in told
    assert [case for case in ET.parse(directory / "j.xml").iter("testcase") if case.find("failure") is not None]  # noqa: S314
    html, xml = (directory / "p.html").read_text(), (directory / "j.xml").read_text()
    assert "did not show" in html
    for text in (html, xml, told):
        assert "only the driver itself sees its locks" in text
        assert found.more["notes"]
        assert all(f"{note[:60]}" in text for note in found.more["notes"])
    assert f"<dd>{found.more['driver']['name']}</dd>" in html
    assert run_output.status(found.result.report.verdict) == 1


async def test_the_first_signal_tidies_up_and_says_so(directory, capsys):
    async with Stranger(directory / "s.sock", "never attaches") as stranger:
        work = asyncio.create_task(_patiently(stranger.plan(), None, None))
        while "ControllerPublishVolume" not in stranger.asked:
            assert not work.done(), work.result()
            await asyncio.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)
        found = await work
        assert list(stranger.volumes) == ["someone-elses"]
    assert found.more["left"] == []
    assert found.result.report.unknown["termination"].startswith("it was ended before its time")
    told = capsys.readouterr().err
    assert "run 5eed0001: every volume and snapshot bears this in its name" in told
    assert "tidying up; once more to leave everything as it is" in told


async def test_the_second_signal_ends_that_too(directory):
    async with Stranger(directory / "s.sock", "never attaches") as stranger:
        work = asyncio.create_task(_patiently(stranger.plan(), None, None))
        while "ControllerPublishVolume" not in stranger.asked:
            assert not work.done(), work.result()
            await asyncio.sleep(0.005)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        found = await work
    assert found.result.report.unknown["termination"].startswith("it was ended before its time")
