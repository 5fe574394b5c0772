"""What the linearizability checker takes for histories of clients at volumes, also as a ratio to a fixed loop."""

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks import pure_loop
from benchmarks.report import table, with_range
from benchmarks.statistics import Spread, median, ratios, spread
from csisim.check.linearizability import Operation, check
from csisim.check.volume_model import State, VolumeModel
from csisim.check.volume_operations import Answered, Asked

MOST_MS = 2.0
"""The bar for 160 operations of 8 clients at 4 volumes."""

_GIB = 1 << 30
_PENDING = 0.03


@dataclass(frozen=True, slots=True)
class CheckerResult:
    """One size of history.

    Attributes:
        clients, operations, volumes: how many, operations for each client.
        explored: pairs (what is placed, state) per history.
        ms: per history, the median of each turn.
        ratio: that time over the fixed loop's in the same turn.
        most_ms: the bar; 0 for none.
    """

    clients: int
    operations: int
    volumes: int
    explored: float
    ms: Spread
    ratio: Spread
    most_ms: float

    @property
    def met(self) -> bool:
        """Whether the bar is kept, if there is one."""
        return not self.most_ms or self.ms.median < self.most_ms


def make_history(seed: int, clients: int, operations: int, volumes: int) -> list[Operation]:
    """Clients at volumes, all at the same time; each operation takes effect at an instant between its call and answer.

    A few are never answered, half of these with their effect.
    """
    rng, model = random.Random(seed), VolumeModel()
    planned = []
    for client in range(clients):
        at_s = rng.random()
        for _ in range(operations):
            begin, instant = at_s, at_s + rng.expovariate(200)
            at_s = instant + rng.expovariate(200)
            planned.append((instant, begin, at_s, f"client-{client + 1}"))
            at_s += rng.expovariate(200)
    states: dict[str, State] = {}
    made = []
    for _, begin, end, process in sorted(planned):
        volume = f"pvc-{rng.randint(1, volumes)}"
        state = states.get(volume, model.init())
        f, asked = _choose(rng, volume)
        lost = Operation(process, f, asked, Answered(""), begin, None, "info")
        if rng.random() < _PENDING:
            after = tuple(model.step(state, lost)) if rng.random() < 0.5 else ()
            states[volume] = after[0] if after else state
            made.append(lost)
            continue
        size = state.volume.low_bytes if state.volume else 0
        nodes = tuple(node for node, _, _ in state.volume.published) if state.volume else ()
        for type_, result in (
            ("ok", Answered(id=volume, capacity_bytes=max(size, asked.required_bytes), nodes=nodes)),
            ("fail", Answered("NOT_FOUND")),
            ("fail", Answered("ALREADY_EXISTS")),
            ("fail", Answered("FAILED_PRECONDITION")),
        ):
            operation = Operation(process, f, asked, result, begin, end, type_)  # type: ignore[arg-type]
            after = tuple(model.step(state, operation))
            if after:
                states[volume] = after[0]
                made.append(operation)
                break
    return made


def _choose(rng: random.Random, volume: str) -> tuple[str, Asked]:
    known = Asked(volume, id=volume, node=rng.choice(("node-1", "node-2")))
    size = rng.choice((1, 2)) * _GIB
    return rng.choice(
        [
            ("CreateVolume", Asked(volume, required_bytes=_GIB)),
            ("DeleteVolume", known),
            ("ControllerPublishVolume", known),
            ("ControllerUnpublishVolume", known),
            ("ControllerExpandVolume", replace(known, required_bytes=size)),
            ("ControllerGetVolume", known),
        ]
    )


def measure_checker(rounds: int, histories: int = 20) -> list[CheckerResult]:
    """Each size so often, turn by turn with the fixed loop."""
    return [
        _measure(rounds, histories, clients, operations, volumes, most_ms)
        for clients, operations, volumes, most_ms in ((8, 20, 4, MOST_MS), (8, 20, 1, 0.0), (8, 100, 4, 0.0))
    ]


def _measure(rounds: int, count: int, clients: int, operations: int, volumes: int, most_ms: float) -> CheckerResult:
    model = VolumeModel()
    histories = [make_history(seed, clients, operations, volumes) for seed in range(count)]
    explored = [_explored(each, model) for each in histories]
    taken: list[float] = []
    loops: list[float] = []
    for _ in range(rounds):
        loops.append(1000 * pure_loop.seconds())
        each_ms = []
        for history in histories:
            begun = time.perf_counter()
            check(history, model)
            each_ms.append(1000 * (time.perf_counter() - begun))
        taken.append(median(each_ms))
    return CheckerResult(clients, operations, volumes, median(explored), spread(taken), ratios(taken, loops), most_ms)


def _explored(history: Sequence[Operation], model: VolumeModel) -> float:
    found = check(history, model)
    assert found.verdict == "ok", found.text()
    return found.explored


def as_json(results: Sequence[CheckerResult]) -> list[dict[str, Any]]:
    """Everything, with the bars."""
    return [{**asdict(each), "met": each.met} for each in results]


def as_text(results: Sequence[CheckerResult]) -> str:
    """One table; `median (low to high)` over the turns."""
    header = ("clients x operations", "volumes", "steps", "ms", "ratio to the fixed loop", "bar")
    rows = [
        (
            f"{each.clients} x {each.operations}",
            str(each.volumes),
            f"{each.explored:,.0f}",
            with_range(each.ms, 2),
            with_range(each.ratio, 3),
            "" if not each.most_ms else f"< {each.most_ms:.0f} ms {'met' if each.met else 'NOT MET'}",
        )
        for each in results
    ]
    return table("Linearizability of one history", header, rows)
