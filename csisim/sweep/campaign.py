"""The whole sweep: what there is to fail is recorded, every case is run, and it is shown that nothing was left out."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Sweep:
    """What came of it.

    Attributes:
        order: what was asked for.
        passes: of each (protocol, story), how often each site was passed without a fault.
        outcomes: of the cases, in their order.
    """

    order: Order
    passes: dict[tuple[str, str], dict[str, int]]
    outcomes: tuple[Outcome, ...]

    @property
    def violations(self) -> list[Outcome]:
        """The cases that did not hold."""
        return [each for each in self.outcomes if each.violations]

    @property
    def fired(self) -> int:
        """In how many cases the fault happened."""
        return sum(each.fired for each in self.outcomes)


def sweep(order: Order, executor: Executor, progress: Progress) -> Sweep:
    """Run all of it.

    Args:
        order: what to sweep.
        executor: where cases are run; its tasks are functions of `csisim.sweep.work`.
        progress: told after each batch.

    Raises:
        ValueError: no site is meant, or there is no such site, fault or story.
        RuntimeError: a story goes wrong without a fault.
    """
    if order.cases:
        outcomes = _run(order, order.cases, executor, progress)
        return Sweep(order, {}, tuple(outcomes))
    recorded = [executor.submit(work.record_stories, protocol, order.seed) for protocol in order.protocols]
    passes = {
        (protocol, story): sites_of(found, order.site)
        for protocol, future in zip(order.protocols, recorded, strict=True)
        for story, found in future.result().items()
    }
    cases = [case for (protocol, story), found in passes.items() for case in plan(protocol, story, found)]
    if not cases:
        raise ValueError(f"no story passes a site like {order.site!r}")
    if order.limit is not None and order.limit < len(cases):
        kept = sorted(random.Random(order.seed).sample(range(len(cases)), order.limit))  # noqa: S311 - repeatable
        outcomes = _run(order, [cases[index] for index in kept], executor, progress)
        return Sweep(order, passes, tuple(outcomes))
    outcomes = _run(order, cases, executor, progress)
    for _ in range(_MOST_ROUNDS):
        more = _beyond(order, passes, executor)
        if not more:
            break
        outcomes += _run(order, more, executor, progress, before=outcomes)
    return Sweep(order, passes, tuple(outcomes))


def _run(
    order: Order, cases: Sequence[Case], executor: Executor, progress: Progress, before: Sequence[Outcome] = ()
) -> list[Outcome]:
    found: dict[int, list[Outcome]] = {}
    total, done = len(before) + len(cases), len(before)
    bad = sum(bool(each.violations) for each in before)
    futures = {}
    for number, batch in enumerate(_batches(cases)):
        futures[executor.submit(work.run_batch, batch, order.seed + number)] = number
    progress(done, total, bad)
    for future in as_completed(futures):
        found[futures[future]] = outcomes = future.result()
        done += len(outcomes)
        bad += sum(bool(each.violations) for each in outcomes)
        progress(done, total, bad)
    return [outcome for number in sorted(found) for outcome in found[number]]


def _beyond(order: Order, passes: dict[tuple[str, str], dict[str, int]], executor: Executor) -> list[Case]:
    """The cases of passings that were not recorded, which are noted: timing may let a site be passed more often."""
    futures = {
        (protocol, story): executor.submit(work.passed_beyond, protocol, story, found, order.seed)
        for (protocol, story), found in passes.items()
        if found
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
