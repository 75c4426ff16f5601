"""`mailroom queue filters`: filters of messages that have a name."""

from typing import Annotated

import typer

from mailroom.cli.errors import EXIT_CODES
from mailroom.cli.output import Output, OutputOption
from mailroom.cli.queue_selecting import Selected, selecting

app = typer.Typer(
    no_args_is_help=True,
    help="Filters of messages that have a name; --filter takes it.",
    epilog=EXIT_CODES,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as `stuck`.")]


@app.command("list", epilog=EXIT_CODES)
def list_(*, output: OutputOption = Output.TABLE) -> None:
    """Shows the saved filters."""
    from mailroom.cli import queue_saved  # noqa: PLC0415

    queue_saved.show_all(output)


@app.command(epilog=EXIT_CODES)
def show(name: Name, *, output: OutputOption = Output.TABLE) -> None:
    """Shows what a saved filter says."""
    from mailroom.cli import queue_saved  # noqa: PLC0415

    queue_saved.show_one(name, output)


@app.command(epilog=EXIT_CODES)
@selecting(leave_out=("saved",))
def save(name: Name, *, selected: Selected, output: OutputOption = Output.TABLE) -> None:
    """Gives a filter a name, in place of an older one of this name.

    For example `mailroom queue filters save stuck --status deferred --min-attempts 5`.
    """
    from mailroom.cli import queue_saved  # noqa: PLC0415

    queue_saved.save(name, selected, output)


@app.command(epilog=EXIT_CODES)
def remove(name: Name) -> None:
    """Removes a saved filter; messages stay."""
    from mailroom.cli import queue_saved  # noqa: PLC0415

    queue_saved.remove(name)
