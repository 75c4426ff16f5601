"""`mailroom doctor`: what is set up, what is not, and how to mend it."""

import typer

from mailroom.cli.errors import ExitCode
from mailroom.cli.output import Output, OutputOption


def doctor(output: OutputOption = Output.TABLE) -> None:
    """Checks configuration, folders, ports, servers and secrets, and says how to mend each.

    Changes nothing and sends nothing. Exit code 1 if something would keep Mailroom from working.
    """
    from mailroom.cli import examination  # noqa: PLC0415

    if not examination.examine(output):
        raise typer.Exit(ExitCode.FAILED)
