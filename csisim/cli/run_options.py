"""Options that commands with runs share, from text to what they mean; a wrong one is a usage error."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import typer

from csisim.cli.serve_options import checked, in_range

T = TypeVar("T")

_SIZE: Final = re.compile(r"(\d{1,4})x(\d{1,6})(?:x(\d{1,4}))?", re.ASCII)
_SHARD: Final = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)
_SEEDS: Final = re.compile(r"(\d{1,18}):(\d{1,18})", re.ASCII)
_MEMBER: Final = re.compile(r"([a-z][a-z_-]*): (.*)", re.ASCII | re.DOTALL)
_OTHER_FLAGS: Final = {
    "clients": "--size", "operations": "--size", "volumes": "--size", "protocols": "--protocol", "manifests": "--file",
    "deviations": "--exhaust",
}  # fmt: skip


check_jobs: Final = in_range(1, 1000)
"""The callback of every --jobs."""


def planned(make: Callable[[], T], **flags: str) -> T:
    """Make a plan from flags; what is wrong with a member of it becomes a usage error that names its flag.

    Args:
        make: raises `csisim.runs.plan.BadPlan`, whose text begins with the member.
        flags: of members that have another flag than the usual one.
    """
    from csisim.runs.plan import BadPlan  # noqa: PLC0415 - what a command needs is imported when it runs

    try:
        return make()
    except BadPlan as error:
        match = _MEMBER.fullmatch(str(error))
        if match is None:
            raise typer.BadParameter(str(error)) from error
        own = f"--{match[1]}"
        flag = flags.get(match[1]) or _OTHER_FLAGS.get(match[1], own)
        raise typer.BadParameter(match[2] if flag == own else str(error), param_hint=flag) from error


def seeds_of(text: str) -> range:
    """`A:B`: the seeds from A up to, and without, B."""
    match = _SEEDS.fullmatch(text)
    if match is None or int(match[1]) >= int(match[2]):
        raise typer.BadParameter(f"{text!r} is not A:B with A below B, such as 0:1000", param_hint="--seeds")
    return range(int(match[1]), int(match[2]))


def size_of(text: str) -> dict[str, int]:
    """`CxO` or `CxOxV`: clients, operations of each, and volumes, as members of a plan."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not CxO or CxOxV, such as 3x5 or 8x20x4", param_hint="--size")
    found = {"clients": int(match[1]), "operations": int(match[2])}
    return found | ({"volumes": int(match[3])} if match[3] else {})


def faults_of(given: list[str]) -> tuple[str, ...]:
    """Rules, `@FILE`s of rules, or one of the words all and none, as the member of a plan; files may be empty."""
    if any(each in {"all", "none"} for each in given):
        if len(given) > 1:
            raise typer.BadParameter("all and none stand alone", param_hint="--faults")
        return tuple(given)
    return rules_of(given) or ("none",)


def rules_of(given: list[str]) -> tuple[str, ...]:
    """Rules and `@FILE`s of rules."""
    from csisim.faults.files import read_rules, rules_of_text  # noqa: PLC0415 - what a command needs, when it runs

    def read(text: str) -> tuple[str, ...]:
        if text[:1] == "@":
            return tuple(map(str, read_rules(Path(text[1:]))))
        found = tuple(map(str, rules_of_text(text)))
        if not found:  # as where a variable of a shell is empty: to run without faults would hide that
            raise ValueError(f"there is no rule in {text[:80]!r}")
        return found

    return tuple(rule for each in given for rule in checked("--faults", read, each))


def shard_of(seeds: range, text: str | None, environ: Mapping[str, str]) -> range:
    """`I/N`: the I-th of N parts, counted from 0, none of which is longer than another one by more than one seed.

    Args:
        seeds: all of them.
        text: None: as the environment of a pod of a Kubernetes Indexed Job says; all where there is no such thing.
        environ: of the process.
    """
    if text is None:
        index = environ.get("JOB_COMPLETION_INDEX")
        if index is None:
            return seeds
        if "JOB_COMPLETIONS" not in environ:
            raise typer.BadParameter(
                f"JOB_COMPLETION_INDEX is {index!r}, and JOB_COMPLETIONS does not say of how many: set it to the job's "
                "completions, or give --shard 0/1 for all seeds", param_hint="--shard",
            )  # fmt: skip
        text = f"{index}/{environ['JOB_COMPLETIONS']}"
    match = _SHARD.fullmatch(text)
    if match is None or int(match[1]) >= int(match[2]):
        raise typer.BadParameter(f"{text[:80]!r} is not I/N with I from 0 and below N, such as 3/16",
                                 param_hint="--shard")  # fmt: skip
    number, of = int(match[1]), int(match[2])
    return seeds[len(seeds) * number // of : len(seeds) * (number + 1) // of]
