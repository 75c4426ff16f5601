"""`mailroom queue kumomta`: the queues of the KumoMTA that delivers for us."""

from typing import Annotated

import typer

from mailroom.cli.output import Output, OutputOption
from mailroom.cli.queue_states import Limit


def kumomta(
    *,
    queue: Annotated[
        str | None,
        typer.Option(help="Only this one: campaign:tenant@domain!routing_domain, or less."),
    ] = None,
    message: Annotated[
        str | None, typer.Option(help="One message instead, by its ID in KumoMTA's log.")
    ] = None,
    limit: Limit = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows KumoMTA's scheduled and ready queues, those with the most messages first."""
    from mailroom.cli import queue_kumomta  # noqa: PLC0415

    if message:
        queue_kumomta.show_message(message, output)
    else:
        queue_kumomta.show_queues(queue, limit, output)
