"""Driving somebody else's driver: everything that is wanted comes about, everything goes again, and a verdict."""

import asyncio
import random
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from csisim.check.verdicts import Result
from csisim.co.driver_info import Controller, Expansion, NodeRpc, Plugin
from csisim.co.fields import ManifestError
from csisim.co.manifests import Manifests
from csisim.control.client import ControlFailed
from csisim.events import Event
from csisim.runs import judge
from csisim.runs.drive_bed import DriveBed
from csisim.runs.drive_clients import DriveClients
from csisim.runs.drive_plan import DrivePlan
from csisim.runs.drive_story import DriveStory, ManifestStory
from csisim.runs.pace import HURRIED
from csisim.runs.phases import run_phases
from csisim.runs.proxied import woven
from csisim.runs.report import RunResult
from csisim.runs.stranger import CannotDrive, Stranger, meet
from csisim.runs.wanted import check_classes
from csisim.sim.run import Outcome
from csisim.sim.tape import Tape

Story = DriveStory | ManifestStory | DriveClients

__all__ = ["CannotDrive", "DriveResult", "Patience", "drive"]

_STEPS: Final = 20
"""Nothing takes longer than so many times what one thing may take: stages, and what there is between them."""
_TIDY_S: Final = 30.0
UNSEEN: Final[Mapping[str, str]] = {
    "I1": "no data was read",
    "I3": "nothing was looked for",
    "I8": "no call was refused",
    "I9": "only the driver itself sees the calls of its storage",
    "I13": "no data of a snapshot was read",
    "I10": "only the driver itself sees its locks",
    "I15": "no secrets were given",
    "I17": "only its storage knows what a driver touches",
    "I18": "only the driver itself sees the calls of its storage",
    "cost": "only the driver itself sees the calls of its storage",
}
"""Why a check found nothing to look at; for all others the driver never came to that."""
_NEVER: Final = "the run never came near it"


@dataclass(frozen=True, slots=True)
class DriveResult:
    """What came of it.

    Attributes:
        result: verdict and events.
        more: further members of the report: `unseen`, why a check looked at nothing, by name; `notes`; `left`, what is
            left of ours; `driver`, its name, version and capabilities.
    """

    result: RunResult
    more: Mapping[str, Any]


@dataclass(slots=True)
class Patience:
    """How a run is ended early.

    Attributes:
        asked: somebody wants it to end: what can be tidied up in a bounded time is.
        hurried: not even that.
    """

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    hurried: asyncio.Event = field(default_factory=asyncio.Event)


async def drive(
    plan: DrivePlan, manifests: Manifests | None = None, *, token: str | None = None, patience: Patience | None = None
) -> DriveResult:
    """Drive a driver as planned, and judge it.

    Args:
        plan: what to do.
        manifests: what is wanted, instead of the built-in intents.
        token: of the proxy's control server.
        patience: ends it early.

    Raises:
        CannotDrive: there is nobody to drive; nothing was created.
    """
    rng = random.Random(f"{plan.seed} {plan.run}")  # noqa: S311 - uids of objects, not secrets
    stranger = await meet(plan, rng)
    if plan.workload == "clients" and not stranger.node_ids:
        raise CannotDrive("clients need a node service: give one with --node")
    if manifests is not None:
        try:
            check_classes(manifests, stranger.info.name)
        except ManifestError as wrong:
            raise CannotDrive(str(wrong)) from wrong
    bed = DriveBed(plan, stranger, rng, token)
    result: Result | None = None
    error: Exception | None = None
    faults: Sequence[dict[str, Any]] = ()
    try:
        async with bed:
            result = await _driven(bed, manifests, patience or Patience())
            faults = await _faults(bed)
    except CannotDrive:
        raise
    except Exception as raised:  # noqa: BLE001 - a verdict of the run, whatever it is
        error = raised
    duration_s = asyncio.get_running_loop().time() - bed.started_s
    return _judged(bed, Outcome(result, error, "", 0, duration_s, Tape(), (), ()), faults)


async def _driven(bed: DriveBed, manifests: Manifests | None, patience: Patience) -> Result | None:
    """All phases; None if they were ended early."""
    story = _story(bed, manifests)
    limit_s = _STEPS * (1 + bed.plan.rounds) * bed.plan.timeout_s
    clients = isinstance(story, DriveClients)  # these go on until it is done, and not for ever
    pace = replace(HURRIED, safety_s=limit_s, liveness_s=bed.plan.timeout_s if clients else limit_s)
    loop = asyncio.get_running_loop()
    phases = loop.create_task(run_phases(bed, story, pace), name="phases")
    asked = loop.create_task(patience.asked.wait(), name="asked")
    try:
        await asyncio.wait((phases, asked), return_when=asyncio.FIRST_COMPLETED)
        if phases.done() and phases.exception() is None:
            return phases.result()
        phases.cancel()
        await asyncio.wait((phases,))
        if asked.done():
            bed.ended_early = True
        await _tidied(bed, story, patience)
        return None if asked.done() else phases.result()
    finally:
        for task in (phases, asked):
            task.cancel()
        await asyncio.wait((phases, asked))
        if isinstance(story, DriveClients):
            await story.close()


def _story(bed: DriveBed, manifests: Manifests | None) -> Story:
    if bed.plan.workload == "clients":
        return DriveClients(bed)
    return DriveStory(bed) if manifests is None else ManifestStory(bed, manifests)


async def _tidied(bed: DriveBed, story: Story, patience: Patience) -> None:
    """Take away what can be taken away in a bounded time, and see what is left."""

    async def tidy() -> None:
        try:
            with suppress(ControlFailed):
                await bed.heal()
            if isinstance(story, DriveClients):
                async with asyncio.timeout(_TIDY_S):
                    await story.liveness()
            else:
                await bed.co.everything_absent(min(bed.plan.timeout_s, _TIDY_S))
        except Exception as error:  # noqa: BLE001 - this is about what is left, whatever went wrong
            bed.notes[f"not everything could be tidied up: {str(error) or type(error).__name__}"] = None
        await bed.look(story.expected, judged=False)
        if bed.left:
            bed.notes[f"left: {', '.join(bed.left)}"] = None

    loop = asyncio.get_running_loop()
    work = loop.create_task(tidy(), name="tidy")
    hurried = loop.create_task(patience.hurried.wait(), name="hurried")
    await asyncio.wait((work, hurried), return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        bed.left = bed.wire.remaining()
        told = ", ".join(bed.left) or "no volume or snapshot that the driver has told of"
        bed.notes[f"not everything was tidied up; as far as is known there is left: {told}"] = None
    for task in (work, hurried):
        task.cancel()
    await asyncio.wait((work, hurried))


async def _faults(bed: DriveBed) -> list[dict[str, Any]]:
    """The faults that fired on the way, as far as their proxy still tells."""
    if bed.proxy is None:
        return []
    try:
        return await bed.proxy.events()
    except ControlFailed as error:
        why = f"the proxy did not tell which faults it had injected, so answers were taken as the driver's: {error}"
        bed.notes[why] = None
        return []


def _judged(bed: DriveBed, outcome: "Outcome[Result]", faults: Sequence[dict[str, Any]]) -> DriveResult:
    plan, stranger = bed.plan, bed.stranger
    told = [judge.plain(event) for event in bed.history.since()]
    events = woven(told, faults, bed.started_s)
    outcome = replace(outcome, result=_moved(outcome.result, told, events))
    end = judge.termination(outcome, events)
    if bed.ended_early:
        end = replace(end, unknown="it was ended before its time: what had not come true by then was not judged")
    results = [*judge.check_events(events, plan.secret_texts()), end]
    fired = len(faults) or (bed.proxy.fired if bed.proxy is not None else 0)
    measured = judge.Measured(plan.rules, fired, bed.call_count, virtual_s=outcome.virtual_s)
    shown = plan.to_json() | {"driver": stranger.info.name}
    report = judge.report_of(shown, results, measured, strategy="real", replay=command(plan))
    unseen = {each.check: UNSEEN.get(each.check, _NEVER) for each in results if not each.looked_at}
    for line in _about_data(bed):
        bed.notes[line] = None
    more = {
        "unseen": unseen,
        "notes": list(bed.notes),
        "left": bed.left,
        "driver": {"name": stranger.info.name, "version": stranger.version, "nodes": dict(stranger.node_ids),
                   "capabilities": capabilities(stranger)},
    }  # fmt: skip
    return DriveResult(RunResult(report, tuple(events)), more)


def _about_data(bed: DriveBed) -> list[str]:
    """Where data was not looked at, and why."""
    pretended = [path for files in bed.files.values() for path in files.pretended]
    count = len(pretended) + sum(len(files.used) for files in bed.files.values())
    if not pretended:
        return []
    where = "" if len(pretended) == count else f" at {len(pretended)} of {count} published paths"
    return [f"data was not checked{where}: nothing is really mounted at {pretended[0]}, so nothing was written there"]


def capabilities(stranger: Stranger) -> list[str]:
    """What the driver says that it can do, by name, sorted."""
    info = stranger.info
    found: list[str] = []
    for kind, prefix, numbers in (
        (Plugin, "plugin", info.plugin),
        (Expansion, "expansion", info.expansion),
        (Controller, "controller", info.controller),
        (NodeRpc, "node", info.node),
    ):
        known = dict(zip(kind.Type.values(), kind.Type.keys(), strict=True))
        found += [f"{prefix} {known.get(number, number)}" for number in sorted(numbers)]
    return found


def command(plan: DrivePlan) -> str:
    """The command line that does the same again, but for what was read from files."""
    words = ["csisim", "drive", "--controller-endpoint", str(plan.controller)]
    for name, where in plan.nodes.items():
        words += ["--node", f"{name}={where}"]
    words += ["--seed", str(plan.seed)]
    flags = {
        "--workload": (plan.workload, "co"),
        "--size": (f"{plan.users}x{plan.rounds}", "2x1"),
        "--access-mode": (plan.access_mode, "ReadWriteOnce"),
        "--volume-mode": (plan.volume_mode, "both"),
        "--fs-type": (plan.fs_type, ""),
        "--size-bytes": (str(plan.size_bytes), str(1 << 30)),
        "--timeout": (f"{plan.timeout_s:g}", "120"),
        "--speed": (f"{plan.speed:g}", "10"),
        "--patience": (f"{plan.patience:g}", "1"),
        "--kubelet-dir": (plan.kubelet_dir, ""),
        "--proxy-control": (plan.proxy_control, ""),
    }
    for flag, (value, default) in flags.items():
        words += [flag, value] if value != default else []
    for key, value in plan.parameters.items():
        words += ["--storage-class-parameter", f"{key}={value}"]
    words += [word for name in plan.secrets for word in ("--secret", f"{name}=FILE")]
    words += [word for rule in plan.rules for word in ("--faults", rule)]
    words += [word for path in plan.manifests for word in ("--file", path)]
    return shlex.join(words)


def _moved(result: Result | None, told: Sequence[Event], events: Sequence[Event]) -> Result | None:
    """What was found before the faults of a proxy were put in between, with the numbers that events have now."""
    if result is None or len(told) == len(events):
        return result
    now = dict(
        zip((event.seq for event in told), (event.seq for event in events if event.kind != "fault"), strict=True)
    )
    found = tuple(replace(each, events=tuple(now[seq] for seq in each.events)) for each in result.violations)
    return replace(result, violations=found)
