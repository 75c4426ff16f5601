"""`mailroom owner`: whose mail this Mailroom answers."""

from typing import Annotated

import typer

from mailroom.cli.errors import EXIT_CODES
from mailroom.cli.output import Output, OutputOption

app = typer.Typer(no_args_is_help=True, help="Whose mail it is.", epilog=EXIT_CODES)


@app.command("list", epilog=EXIT_CODES)
def list_(output: OutputOption = Output.TABLE) -> None:
    """Shows the owners; the operator's token is needed."""
    from mailroom.cli import owners  # noqa: PLC0415

    owners.list_owners(output)


@app.command(epilog=EXIT_CODES)
def token(owner: Annotated[str, typer.Argument(metavar="ID", help="For example: ada")]) -> None:
    """Prints the token that shows one owner's mail and nobody else's."""
    from mailroom.cli import owners  # noqa: PLC0415

    owners.show_token(owner)
