"""The pytest plugin: the `cluster` fixture, and tests that run once simulated and once on real sockets.

    async def test_a_lost_answer_makes_one_volume(cluster):
        cluster.faults.add("rpc.CreateVolume.after: 1*disconnect(rst)")
        ...

Each test that uses `cluster` runs as `[sim]`, under virtual time and from a seed, and as `[real]`; a mark chooses:
`@pytest.mark.csisim(mode="sim")`. A suite that does not use the fixture is not touched, and pays no import.
"""

import functools
import inspect
import shlex
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import pytest

if TYPE_CHECKING:
    from csisim.runs.script import Script

_FIXTURE: Final = "cluster"
_MARK: Final = "csisim"
_MODES: Final = ("sim", "real")
_FIRST_SEED: Final = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One way in which a test runs.

    Attributes:
        mode: simulated, or on real sockets.
        seed: of every choice; a real run's interleaving is not among them.
        options: of the test's mark, for the testbed.
    """

    mode: Literal["sim", "real"]
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)


_RUN: Final = pytest.StashKey[Run]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The seeds."""
    group = parser.getgroup("csisim", "csisim: tests that use the `cluster` fixture")
    group.addoption(
        "--csisim-seed", type=_whole, default=_FIRST_SEED, metavar="N",
        help=f"seed of the simulated runs, {_FIRST_SEED} by default; a failure prints the one to give here",
    )  # fmt: skip
    group.addoption(
        "--csisim-seeds", type=_count, default=1, metavar="N", help="run each test simulated with N seeds, 1 by default"
    )


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError(f"{text!r} is not a whole number from 0 with at most 18 digits")
    return int(text)


def _count(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise ValueError(f"{text!r}: at least 1")
    return number


def pytest_configure(config: pytest.Config) -> None:
    """The mark."""
    config.addinivalue_line(
        "markers",
        f'{_MARK}(mode="both"|"sim"|"real", faults="...", nodes=2, strategy="portfolio", ...): '
        f"how a test that uses `{_FIXTURE}` runs",
    )


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> "Script":
    """Driver, NAS, nodes and orchestrator, started when the test begins; see `csisim.runs.script.Script`."""
    from csisim.runs import under_test  # noqa: PLC0415 - only suites that use it pay for it

    run: Run = request.param
    request.node.stash[_RUN] = run
    try:
        return under_test.testbed_of(run.seed, simulated=run.mode == "sim", options=dict(run.options))
    except under_test.BadOption as error:
        raise pytest.UsageError(f"{request.node.nodeid}: mark {_MARK}: {error}") from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item per way in which the test runs."""
    if not _uses_ours(metafunc.definition):
        return
    options = _options(metafunc.definition)
    modes = _modes_of(options.pop("mode", "both"), metafunc.definition.nodeid)
    first: int = metafunc.config.getoption("--csisim-seed")
    seeds = range(first, first + metafunc.config.getoption("--csisim-seeds"))
    runs = [
        pytest.param(Run("sim", seed, options), id="sim" if len(seeds) == 1 else f"sim-{seed}")
        for seed in seeds
        if "sim" in modes
    ]
    if "real" in modes:
        runs.append(pytest.param(Run("real", first, options), id="real"))
    metafunc.parametrize(_FIXTURE, runs, indirect=True)


def _uses_ours(item: pytest.Item) -> bool:
    """Whether the fixture of this name that the test gets is the plugin's, and not one of its own suite."""
    fixtures = getattr(item, "_fixtureinfo", None)
    found = [] if fixtures is None else fixtures.name2fixturedefs.get(_FIXTURE, [])
    return bool(found) and found[-1].func.__module__ == __name__


def _options(item: pytest.Item) -> dict[str, Any]:
    """Of all marks; the nearest has the last word."""
    options: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers(_MARK))):
        if mark.args:
            raise pytest.UsageError(f"{item.nodeid}: mark {_MARK}: options have names, such as mode='sim'")
        options |= mark.kwargs
    return options


def _modes_of(mode: Any, nodeid: str) -> tuple[str, ...]:
    if mode == "both":
        return _MODES
    if mode not in _MODES:
        raise pytest.UsageError(f"{nodeid}: mark {_MARK}: mode is both, sim or real, not {mode!r}")
    return (mode,)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep other plugins for asynchronous tests from running these in loops of their own."""
    if isinstance(item, pytest.Function) and _uses_ours(item):
        setattr(item, "runtest", functools.partial(pytest.Function.runtest, item))  # noqa: B010 - a method, to mypy


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the test inside of its cluster's loop."""
    run = pyfuncitem.stash.get(_RUN, None)
    if run is None or not _uses_ours(pyfuncitem):
        return None
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        pytest.fail(f"{pyfuncitem.nodeid}: a test that uses `{_FIXTURE}` is an `async def`", pytrace=False)
    from csisim.runs.under_test import run_inside  # noqa: PLC0415 - as above

    names = inspect.signature(pyfuncitem.function).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names if name in pyfuncitem.funcargs}
    chosen, limit_s = run.options.get("strategy", "portfolio"), run.options.get("limit_s")
    test = functools.partial(pyfuncitem.obj, **arguments)
    run_inside(cast("Script", pyfuncitem.funcargs[_FIXTURE]), test, chosen=chosen, limit_s=limit_s)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say how to run a failure again."""
    report = yield
    run = item.stash.get(_RUN, None)
    if run is not None and call.excinfo is not None and report.failed:
        report.sections.append((f"csisim: seed {run.seed}", _again(item, run)))
    return report


def _again(item: pytest.Item, run: Run) -> str:
    # Where one seed is given its number is no part of the name.
    nodeid = item.nodeid.replace(f"[sim-{run.seed}]", "[sim]")
    line = f"pytest {shlex.quote(nodeid)} --csisim-seed {run.seed}"
    if run.mode == "sim":
        return f"the same again, step by step:\n    {line}"
    return f"the same choices again; on real sockets the interleaving is not among them:\n    {line}"
