"""`mailroom queue bounces`: what refusals mean."""

from typing import Annotated

import typer

from mailroom.cli.output import Output, OutputOption

Reply = Annotated[
    str | None, typer.Argument(help='A reply in quotation marks, such as "550 5.1.1 no such user".')
]


def bounces(reply: Reply = None, *, output: OutputOption = Output.TABLE) -> None:
    """Says what a server's reply means; without one, shows all rules, the first of which decides.

    Those of mailroom.toml ([[outbound.bounces]]) come before the others.
    """
    from mailroom.cli import queue_bounce_rules  # noqa: PLC0415

    if reply is None:
        queue_bounce_rules.show_rules(output)
    else:
        queue_bounce_rules.show_meaning(reply, output)
