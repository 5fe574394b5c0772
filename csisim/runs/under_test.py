"""A testbed around one test: made of the options of its mark, and the test run inside of its loop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from csisim.runs.schedules import strategy
from csisim.runs.script import PROTOCOLS, Script
from csisim.runs.stuck import Stuck, watched
from csisim.runs.testbed import Testbed, TestbedSettings
from csisim.sim.run import simulate

_SETTINGS: Final = ("network_s", "nas_s", "driver", "mutant", "parts", "observers")
_OPTIONS: Final = ("faults", "nodes", "protocols", "strategy", "limit_s", *_SETTINGS)
_REAL: Final[dict[str, Any]] = {"nas_s": (0.0, 0.002)}

# A cluster that is waited on in vain goes on for ever: heartbeats keep its clock running.
SIMULATED_LIMIT_S: Final = 3600.0
REAL_LIMIT_S: Final = 60.0


class LeftRunning(AssertionError):
    """The test ended, and tasks of its testbed did not."""


class StillRunning(AssertionError):
    """The test did not come to an end; the text says what each task waited for."""


class BadOption(ValueError):
    """An option that there is not, or a value that it cannot have."""


def testbed_of(seed: int, *, simulated: bool, options: dict[str, Any]) -> Script:
    """A testbed that is not started yet.

    Args:
        seed: of every choice.
        simulated: else on real sockets.
        options: `faults`, rules as text or several of them; `nodes`, how many or their ids; `protocols`, see `Script`;
            `strategy`, of simulated runs; `limit_s`, see `run_inside`; and those of `TestbedSettings` by name.

    Raises:
        BadOption: says which, and what there is.
    """
    if strange := [name for name in options if name not in _OPTIONS]:
        raise BadOption(f"{strange[0]!r} is no option: there are mode, {', '.join(_OPTIONS)}")
    faults, nodes = options.get("faults", ()), options.get("nodes", 2)
    node_ids = tuple(f"node-{number}" for number in range(1, nodes + 1)) if isinstance(nodes, int) else tuple(nodes)
    try:
        strategy(options.get("strategy", "portfolio"))
        settings = TestbedSettings(
            seed=seed,
            simulated=simulated,
            node_ids=node_ids,
            rules=(faults,) if isinstance(faults, str) else tuple(faults),
            **({} if simulated else _REAL) | {name: options[name] for name in _SETTINGS if name in options},
        )
        return Script(settings, options.get("protocols", PROTOCOLS))
    except (TypeError, ValueError) as error:
        raise BadOption(str(error)) from error


def run_inside(
    testbed: Testbed,
    test: Callable[[], Coroutine[Any, Any, None]],
    *,
    chosen: str = "portfolio",
    limit_s: float | None = None,
) -> None:
    """Start the testbed, run the test, stop it; errors of the test are raised as they are.

    Args:
        testbed: not started.
        test: what to run.
        chosen: the strategy of a simulated run.
        limit_s: how long the test may take, by its loop's time; an hour of virtual time or a minute of real by default.

    Raises:
        StillRunning: it took longer; says what each task waited for.
        LeftRunning: tasks go on after everything was stopped.
        csisim.sim.errors.SimulationError: a deadlock, a livelock, or something that cannot be simulated; with a report.
    """
    patience_s = (SIMULATED_LIMIT_S if testbed.simulated else REAL_LIMIT_S) if limit_s is None else limit_s

    async def program() -> None:
        async with testbed:
            try:
                await watched("the test", test(), patience_s)
            except Stuck as stuck:
                raise StillRunning(f"{stuck}; every task then:\n{stuck.report}") from None

    if not testbed.simulated:
        with asyncio.Runner() as runner:
            runner.run(program())
        return
    outcome = simulate(program, seed=testbed.seed, strategy=strategy(chosen))
    if outcome.error is not None:
        raise outcome.error
    if outcome.leaked:
        raise LeftRunning(f"these tasks still ran when everything was stopped: {', '.join(outcome.leaked)}")
