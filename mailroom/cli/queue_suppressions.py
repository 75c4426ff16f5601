"""`mailroom queue suppressions`: addresses that get no more mail."""

from pathlib import Path
from typing import Annotated

import typer

from mailroom.cli.errors import EXIT_CODES
from mailroom.cli.output import Output, OutputOption
from mailroom.models.outbound.suppression_reason import SuppressionReason

app = typer.Typer(
    no_args_is_help=True,
    help="Addresses that get no more mail: bounced, complained, unsubscribed, or yours to name.",
    epilog=EXIT_CODES,
)

Addresses = Annotated[
    list[str], typer.Argument(metavar="ADDRESS...", help="For example ann@example.com.")
]
OfTenant = Annotated[
    str | None, typer.Option("--tenant", help="Of this tenant, else of mail without one.")
]
AnyTenant = Annotated[
    str | None, typer.Option("--tenant", help="Only of this tenant; '' is without one.")
]
SourceOption = Annotated[
    str | None, typer.Option("--source", help="A word on where they come from.")
]


@app.command("list", epilog=EXIT_CODES)
def list_(
    search: Annotated[
        str, typer.Argument(metavar="[BEGINNING]", help="How the address begins.")
    ] = "",
    *,
    tenant: AnyTenant = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The first so many.")] = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows who gets no mail, and why.

    For example `mailroom queue suppressions list ann@`.
    """
    from mailroom.cli import suppressing  # noqa: PLC0415

    suppressing.show_list(search, tenant, limit, output)


@app.command(epilog=EXIT_CODES)
def add(
    addresses: Addresses,
    *,
    tenant: OfTenant = None,
    reason: Annotated[SuppressionReason, typer.Option(help="Why.")] = SuppressionReason.MANUAL,
    source: SourceOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Has addresses get no more mail: all of them or, where one is none, nobody."""
    from mailroom.cli import suppressing  # noqa: PLC0415

    suppressing.add(addresses, tenant, reason, source, output)


@app.command(epilog=EXIT_CODES)
def remove(addresses: Addresses, *, tenant: OfTenant = None) -> None:
    """Has addresses get mail again.

    Not without their word, where they unsubscribed or complained.
    """
    from mailroom.cli import suppressing  # noqa: PLC0415

    suppressing.remove(addresses, tenant)


@app.command("import", epilog=EXIT_CODES)
def import_(
    file: Annotated[Path, typer.Argument(help="CSV in UTF-8; - is stdin.", allow_dash=True)],
    *,
    tenant: OfTenant = None,
    source: SourceOption = None,
    atomic: Annotated[
        bool, typer.Option("--atomic", help="Import nothing where a line can't be used.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Adds the addresses of a CSV file: `address,reason`, or columns that its first line names.

    Importing a file again changes nothing. Exit code 1 if a line was left out.
    """
    from mailroom.cli import suppressing_files  # noqa: PLC0415

    suppressing_files.import_file(file, tenant, source, output, atomic=atomic)


@app.command(epilog=EXIT_CODES)
def export(
    file: Annotated[
        Path, typer.Argument(help="Where to write; - is stdout.", allow_dash=True)
    ] = Path("-"),
    *,
    tenant: AnyTenant = None,
    force: Annotated[
        bool, typer.Option("--force", help="In place of a file of this name.")
    ] = False,
) -> None:
    """Writes the list as CSV, which `import` reads."""
    from mailroom.cli import suppressing_files  # noqa: PLC0415

    suppressing_files.export(file, tenant, force=force)
