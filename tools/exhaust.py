"""Run every schedule of twenty small programs with at most so many deviations from first in, first out.

Usage: python tools/exhaust.py [DEVIATIONS]

A row for each: how many schedules it has, and how long they took; the exit status is 0 if all of them were run and
everything held. What a program is, and what is not covered, see docs/simulation.md.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from csisim.cli.run_output import prepare
from csisim.runs.exhaust import Exhausting, in_lockstep
from csisim.runs.plan import RunPlan

_BUDGET: Final = 1_000_000


def _program(seed: int, size: str, fault: str = "none", protocol: str = "nfs") -> RunPlan:
    clients, operations, volumes = map(int, size.split("x"))
    members: dict[str, Any] = {"clients": clients, "operations": operations, "volumes": volumes, "nodes": 1}
    return in_lockstep(RunPlan(seed=seed, faults=(fault,), protocols=(protocol,), **members))


# The fewest schedules first. What the clients call in the first phase is beside each.
PROGRAMS: Final = (
    _program(21, "2x1x2"),  # DeleteSnapshot, ListSnapshots
    _program(1, "2x1x1"),  # CreateVolume twice
    _program(21, "2x1x1"),  # DeleteSnapshot, CreateVolume
    _program(2, "2x1x1", "nas.pool.dataset.create.apply: #1 error(EIO)"),  # CreateVolume twice
    _program(2, "2x1x1", "nas.sharing.nfs.create.reply: #1 error(EIO)"),  # CreateVolume twice
    _program(5, "2x1x1"),  # ListSnapshots, CreateVolume
    _program(6, "2x1x1"),  # ListVolumes, CreateVolume
    _program(2, "2x1x1", "rpc.*.after: #2 disconnect(fin)"),  # CreateVolume twice
    _program(2, "2x1x2"),  # CreateVolume, ListVolumes
    _program(3, "2x2x1", "rpc.CreateVolume.after: #1 drop"),  # CreateVolume, DeleteVolume, ControllerPublishVolume
    _program(3, "2x2x1", "rpc.CreateVolume.before: #1 error(UNAVAILABLE)"),  # the same, and ControllerExpandVolume
    _program(2, "2x2x1"),  # CreateVolume, GetSnapshot, DeleteVolume
    _program(3, "2x2x1"),  # CreateVolume three times, DeleteVolume
    _program(14, "2x2x1"),  # CreateVolume, ListVolumes, ControllerExpandVolume
    _program(10, "2x2x1"),  # CreateVolume, ListSnapshots, ControllerPublishVolume
    _program(7, "2x2x1"),  # CreateVolume, ListSnapshots, ControllerExpandVolume
    _program(2, "2x1x1", "nas.pool.dataset.create.reply: #1 drop"),  # CreateVolume twice
    _program(1, "3x1x1"),  # CreateVolume three times
    _program(9, "3x1x1"),  # CreateVolume twice, DeleteSnapshot
    _program(2, "2x1x1", protocol="iscsi"),  # CreateVolume twice
    _program(14, "2x3x1"),  # CreateVolume, ListVolumes, ListSnapshots, ControllerExpandVolume twice
    _program(2, "2x1x1", protocol="nvmeof"),  # CreateVolume twice
)


def rows(programs: Iterable[RunPlan], deviations: int) -> Iterator[tuple[str, Exhausting]]:
    """Exhaust one after the other; gives a line for each, and what is known."""
    for plan in programs:
        found, begun_s = Exhausting(plan, deviations, _BUDGET), time.process_time()
        for _ in found.run():
            pass
        size = f"{plan.clients}x{plan.operations}x{plan.volumes}"
        word = f"{'' if found.exhausted else 'not '}exhausted, {found.verdict}"
        yield (
            (
                f"{plan.seed:>4}  {size:<6}  {plan.protocols[0]:<6}  {found.tally.runs:>7} of {found.schedules:<7}  "
                f"{found.tally.steps:>9}  {time.process_time() - begun_s:>7.1f}  {found.tally.digest}  {word:<20}  "
                f"{plan.faults[0]}"
            ),
            found,
        )


def main(deviations: int) -> int:
    """Exit status 0 if every program was exhausted and ok."""
    prepare(verbose=False)
    print(f"at most {deviations} deviations from first in, first out\nseed  size  protocol  schedules  steps  CPU s  "
          "digest  verdict  fault", flush=True)  # fmt: skip
    exhausted = schedules = programs = 0
    for row, found in rows(PROGRAMS, deviations):
        print(row, flush=True)
        programs += 1
        schedules += found.tally.runs
        exhausted += found.verdict == "ok"
        if found.verdict == "violation" and found.tally.worst is not None:
            print(found.tally.worst.report.replay, flush=True)
    print(f"{exhausted} of {programs} programs exhausted and ok, {schedules} schedules")
    return 0 if exhausted == programs else 1


if __name__ == "__main__":
    if len(sys.argv) > 2 or not all(each.isascii() and each.isdigit() for each in sys.argv[1:]):
        sys.exit(__doc__)
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) == 2 else 2))
