"""The flags for faults and live control, the same for every command that serves, and what is made of them."""

import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from csisim.cli.serve_options import checked

# What a command needs is imported when it runs: `csisim --help` stays quick.
if TYPE_CHECKING:
    from csisim.control.controlled import Controlled
    from csisim.control.options import ControlOptions
    from csisim.faults.model import Rule
    from csisim.faults.settings import FaultSettings
    from csisim.faults.sites import Site

VARIABLE = "CSISIM_FAULTS"

FaultsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--faults",
        help=f"File of fault rules, one per line, or a YAML or JSON list; repeatable. {VARIABLE} has rules too.",
    ),
]
FaultSeedOption = Annotated[
    int | None,
    typer.Option("--fault-seed", help="Of all fault decisions; where none is given one is made up and printed."),
]
CallFaultsOption = Annotated[
    bool, typer.Option("--call-faults", help="Let a call ask for its own fault by gRPC metadata csisim-fault.")
]
ControlOption = Annotated[
    str | None, typer.Option("--control", help="HOST:PORT of the HTTP server that sets faults while this runs.")
]
ControlTokenOption = Annotated[
    str | None,
    typer.Option(
        "--control-token",
        envvar="CSISIM_CONTROL_TOKEN",
        show_envvar=True,
        help="Bearer token that its callers must show; the variable keeps it out of ps.",
    ),
]
ControlAllowRemoteOption = Annotated[
    bool, typer.Option("--control-allow-remote", help="Let --control be reached from other machines; needs a token.")
]


class ControlUnavailable(Exception):
    """The control server cannot listen where it was told to; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultFlags:
    """The flags as they were given.

    Attributes:
        files: of --faults.
        seed: of --fault-seed.
        calls: --call-faults.
        control: of --control.
        token: of --control-token.
        allow_remote: --control-allow-remote.
    """

    files: tuple[Path, ...] = ()
    seed: int | None = None
    calls: bool = False
    control: str | None = None
    token: str | None = field(default=None, repr=False)
    allow_remote: bool = False

    def control_options(self) -> "ControlOptions | None":
        """Where to listen; None without --control.

        Raises:
            typer.BadParameter: there must not be listened.
        """
        if self.control is None:
            if self.allow_remote:
                raise typer.BadParameter("give --control HOST:PORT with it", param_hint="--control-allow-remote")
            return None
        from csisim.control.options import ControlOptions, parse_control_address  # noqa: PLC0415

        host, port = checked("--control", parse_control_address, self.control)
        return checked(
            "--control",
            lambda token: ControlOptions(host=host, port=port, token=token, allow_remote=self.allow_remote),
            self.token or "",
        )

    def settings(self, sites: "Callable[[], Iterable[Site]]", seed: int | None) -> "FaultSettings | None":
        """The faults from the start; None where there are none and never can be.

        Args:
            sites: gives what rules can be for.
            seed: of everything else; one of the faults is made up out of it where there is no --fault-seed.

        Raises:
            typer.BadParameter: a rule is wrong or for another place (tells file, line, column), or its name is taken.
        """
        given = os.environ.get(VARIABLE, "")
        if not (self.files or given.strip() or self.calls or self.control or self.seed is not None):
            return None
        from csisim.faults.settings import FaultSettings  # noqa: PLC0415

        rules = _rules(self.files, given, sites())
        return FaultSettings(rules=rules, seed=self._seed(seed), metadata=self.calls)

    def _seed(self, seed: int | None) -> int:
        if self.seed is not None:
            return self.seed
        rng = random.SystemRandom() if seed is None else random.Random(f"faults {seed}")  # noqa: S311 - it is asked for
        made_up = rng.getrandbits(32)
        typer.echo(f"csisim fault seed {made_up}")
        return made_up


def _rules(files: Sequence[Path], given: str, sites: "Iterable[Site]") -> "tuple[Rule, ...]":
    """All rules of the files and of the variable, each tried out."""
    from csisim.faults.files import read_rules, rules_of_environment  # noqa: PLC0415
    from csisim.faults.plane import FaultPlane  # noqa: PLC0415
    from csisim.faults.sites import Catalogue  # noqa: PLC0415

    catalogue = Catalogue(sites)
    trial = FaultPlane(catalogue, seed=0, now=lambda: 0.0)
    found: list[Rule] = []
    for path in files:
        rules = checked("--faults", lambda each: read_rules(each, catalogue.check), path)
        checked("--faults", trial.add_all, rules)  # names that are taken, and too many
        found += rules
    rules = checked(VARIABLE, lambda text: rules_of_environment(text, catalogue.check), given)
    checked(VARIABLE, trial.add_all, rules)
    return (*found, *rules)


@contextlib.asynccontextmanager
async def controlled(options: "ControlOptions | None", make: "Callable[[], Controlled]") -> AsyncIterator[None]:
    """Serve the control API inside of the block, if it is wanted, and say where.

    Args:
        options: where; None for nowhere.
        make: gives what is controlled.

    Raises:
        ControlUnavailable: it cannot listen there.
    """
    if options is None:
        yield
        return
    from csisim.control.server import ControlServer  # noqa: PLC0415

    server = ControlServer(make(), options)
    try:
        await server.start()
    except OSError as error:
        raise ControlUnavailable(str(error)) from error
    try:
        typer.echo(f"csisim control on {server.url}")
        yield
    finally:
        await server.close()
