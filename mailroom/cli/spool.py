"""`mailroom spool`: what was accepted and waits to go on; on the bridge's machine."""

from pathlib import Path
from typing import Annotated

import typer

from mailroom.cli.errors import EXIT_CODES, ExitCode
from mailroom.cli.output import Output, OutputOption
from mailroom.models.queues import Kind, Queue

app = typer.Typer(
    no_args_is_help=True,
    help="What was accepted while the way on was closed. On the bridge's machine.",
    epilog=EXIT_CODES,
)

Id = Annotated[
    str, typer.Argument(metavar="ID", help="Of an entry, or its beginning, for example 3f2a.")
]


@app.command(epilog=EXIT_CODES)
def status(output: OutputOption = Output.TABLE) -> None:
    """Shows how much waits, and whether the way on is open; if not, since when and why.

    Also while the bridge is down.
    """
    from mailroom.cli import spooled  # noqa: PLC0415

    spooled.show_status(output)


@app.command("list", epilog=EXIT_CODES)
def list_(
    queue: Annotated[Queue | None, typer.Argument(help="Only this one, else all.")] = None,
    *,
    kind: Annotated[
        list[Kind] | None, typer.Option(help="Only of this kind; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The first so many.")] = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows entries in the order in which they go on.

    For example `mailroom spool list dead-letter`: what can't go on, with the reason.
    """
    from mailroom.cli import spooled  # noqa: PLC0415

    spooled.show_list(queue, kind or [], limit, output)


@app.command(epilog=EXIT_CODES)
def show(
    entry: Id,
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="Only the mail, byte by byte: `show 3f2a --raw > a.eml`.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows one entry, and what it says."""
    from mailroom.cli import spooled_entry  # noqa: PLC0415

    if raw:
        spooled_entry.write_raw(entry)
    else:
        spooled_entry.show_entry(entry, output)


@app.command(epilog=EXIT_CODES)
def drain(output: OutputOption = Output.TABLE) -> None:
    """Has the bridge send on what waits now, instead of with its next look.

    Exit code 1 if the way on is closed.
    """
    from mailroom.cli import draining  # noqa: PLC0415

    draining.drain(output)


@app.command(epilog=EXIT_CODES)
def replay(
    entries: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Of dead letters, or their beginnings."),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Puts dead letters back to where they came from, to be tried again.

    For example `mailroom spool replay 3f2a 81c0`, once the reason is mended.
    """
    from mailroom.cli import replaying  # noqa: PLC0415

    if every == bool(entries):
        raise typer.BadParameter("Name dead letters by their IDs, or say --all.")
    replaying.replay(entries, output)


@app.command(epilog=EXIT_CODES)
def verify(output: OutputOption = Output.TABLE) -> None:
    """Reads every file, and lists what is half-written, foreign, damaged or unreadable.

    Deletes nothing. Exit code 1 if there is any.
    """
    from mailroom.cli import verifying  # noqa: PLC0415

    if not verifying.verify(output):
        raise typer.Exit(ExitCode.FAILED)


@app.command("import", epilog=EXIT_CODES)
def import_(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="For example ./daemon/mail-queues.")
    ],
    output: OutputOption = Output.TABLE,
) -> None:
    """Takes over letters from inbound.json, outbound.json and dead-letter.json.

    The files stay as they are. A letter that is known is not taken twice, so an import that was
    interrupted can be run again.
    """
    from mailroom.cli import taking_over  # noqa: PLC0415

    taking_over.take_over(folder, output)
