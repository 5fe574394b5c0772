"""`csisim fault` against a real control server that runs beside the test."""

import asyncio
import json
import threading

import pytest
from typer.testing import CliRunner

from csisim.cli.main import app
from csisim.control.options import ControlOptions
from csisim.control.server import ControlServer
from csisim.faults.grammar import parse_rule
from csisim.faults.plane import Passing
from tests.support.controlled import World
from tests.support.processes import free_port

RULE = "mount.umount: 2*error(EBUSY)"
TOKEN = "12345678"


class Beside:
    """A control server in a thread with a loop of its own; `do` runs something there."""

    def __init__(self):
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self):
        self.loop, self.end = asyncio.get_running_loop(), asyncio.Event()
        self.world = World()
        async with ControlServer(self.world, ControlOptions(token=TOKEN)) as server:
            self.url = server.url
            self.ready.set()
            await self.end.wait()

    def do(self, act):
        async def run():
            return act(self.world)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)


@pytest.fixture(scope="module")
def running():
    beside = Beside()
    beside.thread.start()
    assert beside.ready.wait(10)
    yield beside
    beside.loop.call_soon_threadsafe(beside.end.set)
    beside.thread.join(10)


@pytest.fixture
def beside(running):
    yield running
    running.do(lambda world: world.plane.reset())


def run(*args, **env):
    return CliRunner(env={"CSISIM_CONTROL": None, "CSISIM_CONTROL_TOKEN": TOKEN} | env).invoke(app, ["fault", *args])


@pytest.fixture
def fault(beside):
    """Runs a command, which must succeed; gives its output."""

    def succeed(*args):
        result = run(*args, CSISIM_CONTROL=beside.url)
        assert result.exit_code == 0, result.output
        return result.stdout

    return succeed


def test_rules_are_added_listed_and_removed(fault, beside):
    assert fault("add", RULE, "link.up: delay(1ms)") == f"rule-1  {RULE}\nrule-2  link.up: delay(1ms)\n"
    assert json.loads(fault("add", RULE, "--name", "busy", "--json")) == [
        {"name": "busy", "rule": RULE, "asked": 0, "fired": 0}
    ]
    assert fault("list").splitlines() == [
        "NAME    ASKED  FIRED  RULE",
        f"rule-1  0      0      {RULE}",
        "rule-2  0      0      link.up: delay(1ms)",
        f"busy    0      0      {RULE}",
    ]
    assert fault("rm", "rule-1", "busy") == ""
    assert [row["name"] for row in json.loads(fault("list", "--json"))] == ["rule-2"]
    assert fault("reset") == ""
    assert beside.do(lambda world: world.plane.rules) == ()


def test_rules_come_from_files_with_their_names(fault, tmp_path):
    (tmp_path / "a.txt").write_text(f"# busy\n{RULE}\n")
    (tmp_path / "b.yaml").write_text('- name: late\n  rule: "link.up: delay(1ms)"\n')

    out = fault("add", "--file", str(tmp_path / "a.txt"), "-f", str(tmp_path / "b.yaml"))

    assert [line.split()[0] for line in out.splitlines()][1] == "late"


def test_sites_tell_what_was_passed_and_fired(fault, beside):
    def pass_it(world):
        world.plane.add(parse_rule(RULE))
        world.plane.decide(Passing("mount.umount"))

    beside.do(pass_it)

    rows = [line.split()[:3] for line in fault("sites", "--fired").splitlines()]
    assert ["mount.umount", "1", "1"] in rows
    assert "mount.umount" not in [row[0] for row in map(str.split, fault("sites", "mount.*", "--never").splitlines())]
    (row,) = json.loads(fault("sites", "link.up", "--json"))
    assert "throttle" in row["actions"]


def test_events_are_watched(fault, beside):
    def call(world):
        world.history.add("invoke", "rpc", "CreateVolume", call="c9", value={"name": "a"})
        return world.history.last_seq

    seq = beside.do(call)
    line = fault("watch", "--since", str(seq - 1), "--count", "1")
    assert line.split() == [str(seq), line.split()[1], "rpc", "invoke", "CreateVolume", "call=c9", '{"name":', '"a"}']
    event = json.loads(fault("watch", "--since", str(seq - 1), "--count", "1", "--kind", "rpc", "--json"))
    assert (event["seq"], event["value"]) == (seq, {"name": "a"})


def test_barriers_are_listed_and_released(fault, beside):
    def hang(world):
        world.hanging = asyncio.get_running_loop().create_task(world.plane.barriers.wait("gate"))

    beside.do(hang)
    beside.do(lambda world: None)

    assert fault("barriers").splitlines() == ["BARRIER  WAITING", "gate     1"]
    assert fault("release", "gate") == "released 1 at gate\n"
    assert json.loads(fault("release", "gate", "--json")) == {"released": 0}
    assert json.loads(fault("barriers", "--json")) == []


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["add", "link.up: bug"], 2, "csisim fault: column 10: 'bug' is not an action"),
        (["add", "link.up: off", "linkup: off"], 2, "line 2, column 1: there is no site 'linkup'"),
        (["add"], 2, "give a rule or --file"),
        (["add", "--name", "x", RULE, RULE], 2, "a name is for one rule"),
        (["add", "--file", "/nowhere/x"], 2, "/nowhere/x: No such file"),
        (["rm", "nothing"], 1, "csisim fault: there is no rule 'nothing'"),
        (["rm"], 2, "Missing argument"),
        (["sites", "nowhere.*"], 1, "there is no site 'nowhere.*'"),
        (["watch", "--kind", "bug", "--count", "1"], 2, "Input should be 'rpc'"),
        (["list", "--token", "wrong-token"], 1, "the control token is missing or wrong"),
        (["list", "--control", "http://127.0.0.1:{port}"], 1, "no control server answers at http://127.0.0.1:"),
        (["list", "--control", ""], 2, "give the URL that csisim serve --control printed"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_what_goes_wrong_ends_with_a_status_and_a_reason(beside, args, status, says):
    args = [arg.replace("{port}", str(free_port())) for arg in args]
    result = run(*args, CSISIM_CONTROL=beside.url)

    assert result.exit_code == status, result.output
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert beside.do(lambda world: world.plane.rules) == ()


def test_a_file_with_a_bad_rule_is_named_with_line_and_column(beside, tmp_path):
    path = tmp_path / "rules.txt"
    path.write_text("link.up: off\nlink.up: bug\n")

    result = run("add", "--file", str(path), CSISIM_CONTROL=beside.url)

    assert result.exit_code == 2
    assert f"{path}: line 2, column 10: 'bug' is not an action" in " ".join(result.stderr.split())
