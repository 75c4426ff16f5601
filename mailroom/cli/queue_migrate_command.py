"""`mailroom queue migrate`: what can be typed."""

from pathlib import Path
from typing import Annotated

import typer

from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import Output, OutputOption

File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="Old records: a JSON array, JSON lines, or CSV."),
]
Sender = Annotated[
    str | None,
    typer.Option(help="Envelope sender, which old records don't have; else EMAIL_ADDRESS."),
]


def migrate(
    file: File = None,
    *,
    sender: Sender = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what an import would do; change nothing.")
    ] = False,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Import the records that are in order.")
    ] = False,
    rollback: Annotated[
        str | None, typer.Option(metavar="ID", help="Take a migration back, and its records out.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the records of a rollback go: .json, .jsonl or .csv."),
    ] = None,
    forget: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Remove a migration's old records; no way back then."),
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Show the latest migrations.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Imports records of the old queue, after a check and a backup; they wait for their content.

    Started again after a kill, it goes on where it broke off. For example
    `mailroom queue migrate old.json --sender news@example.org --dry-run`.
    """
    if [file, rollback, forget, status or None].count(None) != 3:
        raise Failure("Give a FILE, --rollback ID, --forget ID or --status.", ExitCode.USAGE)
    from mailroom.cli import queue_migrate, queue_rollback  # noqa: PLC0415

    if file is not None:
        order = queue_migrate.Order(file, sender, dry_run, skip_invalid)
        queue_migrate.migrate_file(order, output)
    elif rollback is not None:
        queue_rollback.roll_back(rollback, out, output)
    elif forget is not None:
        queue_rollback.forget(forget)
    else:
        queue_rollback.show_status(output)
