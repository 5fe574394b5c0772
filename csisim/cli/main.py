"""The `csisim` command: one module per command, each imported only when it is called."""

import typer

from csisim import __version__
from csisim.cli.check import check
from csisim.cli.demo import demo
from csisim.cli.drive import drive
from csisim.cli.explore import app as explore
from csisim.cli.fault import app as fault
from csisim.cli.mutants import app as mutants
from csisim.cli.output import watched
from csisim.cli.proxy import proxy
from csisim.cli.replay import replay
from csisim.cli.run import run
from csisim.cli.scenarios import app as scenarios
from csisim.cli.serve import serve
from csisim.cli.shrink import shrink
from csisim.cli.sweep import sweep

app = typer.Typer(
    name="csisim",
    help="A CSI driver that you can break on purpose, over a fake TrueNAS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"csisim {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Options before the command."""


app.command("serve")(serve)
app.command("proxy")(proxy)
app.add_typer(fault, name="fault")
app.command("demo")(demo)
app.command("sweep")(sweep)
app.command("run")(run)
app.command("replay")(replay)
app.command("check")(check)
app.command("drive")(drive)
app.add_typer(explore, name="explore")
app.command("shrink")(shrink)
app.add_typer(mutants, name="mutants")
app.add_typer(scenarios, name="scenarios")


def main() -> None:
    """Run the command line.

    Exit status 0 is success, 1 a failure, 2 a wrong use, 74 that standard output could not be written; 130 and 143 are
    those of SIGINT and SIGTERM, 141 that whoever read standard output has gone.
    """
    with watched("csisim"):
        app()


if __name__ == "__main__":
    main()
