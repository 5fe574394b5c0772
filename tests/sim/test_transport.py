"""The bad connection of csisim.faults.link over simulated transports: all that it does over real ones, its own tests say."""

import inspect
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from csisim.sim.run import simulate
from csisim.sim.strategies import Choose, RandomWalk
from tests.features import test_link


def bodies() -> Iterator[Any]:
    """Its tests that need no whole driver, with each of their parameters."""
    for name, body in vars(test_link).items():
        if not name.startswith("test_") or "world(" in inspect.getsource(body):
            continue
        sets: list[dict[str, Any]] = [{}]
        for mark in getattr(body, "pytestmark", []):
            names = (
                [each.strip() for each in mark.args[0].split(",")] if isinstance(mark.args[0], str) else mark.args[0]
            )
            values = [given if len(names) > 1 else [given] for given in mark.args[1]]
            sets = [{**known, **dict(zip(names, given, strict=True))} for known in sets for given in values]
        for number, given in enumerate(sets):
            yield pytest.param(body, given, id=f"{name}-{number}")


@pytest.mark.parametrize("strategy", [RandomWalk])
@pytest.mark.parametrize(("body", "given"), list(bodies()))
def test_a_link_does_the_same(
    body: Callable[..., Coroutine[Any, Any, None]], given: dict[str, Any], strategy: Choose
) -> None:
    outcome = simulate(lambda: body(**given), seed=1, strategy=strategy)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.leaked == ()
