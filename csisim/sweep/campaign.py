"""The whole sweep: what there is to fail is recorded, every case is run, and it is shown that nothing was left out."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, field
from typing import Final

from csisim.sweep import work
from csisim.sweep.cases import Case, cases_at, plan, sites_of
from csisim.sweep.judge import Outcome

_BATCH: Final = 24
_MOST_ROUNDS: Final = 5

Progress = Callable[[int, int, int], None]
"""Told how many cases are done, of how many, and how many did not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to sweep.

    Attributes:
        protocols: nfs, iscsi, nvmeof.
        site: glob of sites.
        seed: of names, jitter, faults, and of the choice where there is a limit.
        limit: at most so many cases, chosen at random; None runs all, and looks for passings beyond the recorded ones.
        cases: these alone, instead of all.
    """

    protocols: tuple[str, ...]
    site: str = "*"
    seed: int = 0
    limit: int | None = None
    cases: tuple[Case, ...] = ()


@dataclass(slots=True)
class Sweep:
    """What has come of it so far.

    Attributes:
        order: what was asked for.
        passes: of each (protocol, story), how often each site was passed without a fault.
        outcomes: of the cases, in their order.
        known: how many cases there are, as far as is known.
        complete: all of it was run.
    """

    order: Order
    passes: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    known: int = 0
    complete: bool = False

    @property
    def violations(self) -> list[Outcome]:
        """The cases that did not hold."""
        return [each for each in self.outcomes if each.violations]

    @property
    def fired(self) -> int:
        """In how many cases the fault happened."""
        return sum(each.fired for each in self.outcomes)


def sweep(found: Sweep, executor: Executor, progress: Progress) -> None:
    """Run all of it.

    Args:
        found: what to sweep, and where everything goes that is found; also where this is cut off.
        executor: where cases are run; its tasks are functions of `csisim.sweep.work`.
        progress: told after each batch.

    Raises:
        ValueError: no site is meant, or there is no such site, fault or story.
        RuntimeError: a story goes wrong without a fault.
        concurrent.futures.BrokenExecutor: a worker has died.
    """
    order = found.order
    if order.cases:
        _run(found, order.cases, executor, progress)
    else:
        _all(found, executor, progress)
    found.complete = True


def _all(found: Sweep, executor: Executor, progress: Progress) -> None:
    order = found.order
    recorded = [executor.submit(work.record_stories, protocol, order.seed) for protocol in order.protocols]
    found.passes = {
        (protocol, story): sites_of(passed, order.site)
        for protocol, future in zip(order.protocols, recorded, strict=True)
        for story, passed in future.result().items()
    }
    cases = [case for (protocol, story), passed in found.passes.items() for case in plan(protocol, story, passed)]
    if not cases:
        raise ValueError(f"no story passes a site like {order.site!r}")
    if order.limit is not None and order.limit < len(cases):
        kept = sorted(random.Random(order.seed).sample(range(len(cases)), order.limit))  # noqa: S311 - repeatable
        _run(found, [cases[index] for index in kept], executor, progress)
        return
    _run(found, cases, executor, progress)
    for _ in range(_MOST_ROUNDS):
        more = _beyond(order, found.passes, executor)
        if not more:
            break
        _run(found, more, executor, progress)


def _run(found: Sweep, cases: Sequence[Case], executor: Executor, progress: Progress) -> None:
    done, bad = len(found.outcomes), len(found.violations)
    found.known += len(cases)

    def tell(outcomes: Sequence[Outcome]) -> None:
        nonlocal done, bad
        done += len(outcomes)
        bad += sum(bool(each.violations) for each in outcomes)
        progress(done, found.known, bad)

    tell(())
    futures: list[Future[list[Outcome]]] = []
    out = set()
    try:
        for number, batch in enumerate(_batches(cases)):
            future = executor.submit(work.run_batch, batch, found.order.seed + number)
            futures.append(future)
            if future.done():  # in this process: the next one begins only now
                tell(future.result())
            else:
                out.add(future)
        for future in as_completed(out):
            tell(future.result())
    finally:
        for future in futures:
            if future.done() and not future.cancelled() and future.exception() is None:
                found.outcomes += future.result()


def _beyond(order: Order, passes: dict[tuple[str, str], dict[str, int]], executor: Executor) -> list[Case]:
    """The cases of passings that were not recorded, which are noted: timing may let a site be passed more often."""
    futures = {
        (protocol, story): executor.submit(work.passed_beyond, protocol, story, passed, order.seed)
        for (protocol, story), passed in passes.items()
        if passed
    }
    cases: list[Case] = []
    for (protocol, story), future in futures.items():
        known = passes[protocol, story]
        for site, count in future.result().items():
            cases += cases_at(protocol, story, site, range(known[site] + 1, count + 1))
            known[site] = count
    return cases


def _batches(cases: Sequence[Case]) -> Iterator[Sequence[Case]]:
    for start in range(0, len(cases), _BATCH):
        yield cases[start : start + _BATCH]


def by_site(result: Sweep) -> Iterable[tuple[str, int, int, int, int]]:
    """Per site, over all protocols and stories: passes without faults, cases, faults that happened, violations."""
    rows: dict[str, list[int]] = {}
    for found in result.passes.values():
        for site, count in found.items():
            rows.setdefault(site, [0, 0, 0, 0])[0] += count
    for outcome in result.outcomes:
        row = rows.setdefault(outcome.case.site, [0, 0, 0, 0])
        row[1] += 1
        row[2] += outcome.fired
        row[3] += bool(outcome.violations)
    for site in sorted(rows):
        passes, cases, fired, violations = rows[site]
        yield site, passes, cases, fired, violations
