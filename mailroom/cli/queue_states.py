"""`mailroom queue queues`, `set-state` and `domains`: what queues may do, and how it goes."""

from typing import Annotated

import typer

from mailroom.cli.output import Output, OutputOption
from mailroom.models.outbound.words import QueueState

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="The first so many.")]


def queues(*, limit: Limit = 50, output: OutputOption = Output.TABLE) -> None:
    """Shows queues: their state, until when and why, and how many messages wait in them."""
    from mailroom.cli import queue_overview  # noqa: PLC0415

    queue_overview.show_queues(limit, output)


def set_state(
    name: Annotated[str, typer.Argument(help="A queue; most have the name of a domain.")],
    state: QueueState,
    *,
    reason: Annotated[str, typer.Option(help="Why; whoever looks is told.")],
    until: Annotated[
        str | None, typer.Option(help="Its end, with its zone: 2026-03-02T18:00+01:00.")
    ] = None,
    for_: Annotated[
        str | None, typer.Option("--for", help="How long instead: 30m, 2h, 1d.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Sets what a queue may do: active, suspended, draining or disabled.

    For example `mailroom queue set-state example.com suspended --reason "they move" --for 2h`.
    """
    from mailroom.cli import queue_overview  # noqa: PLC0415

    queue_overview.set_state(name, state, reason, queue_overview.end_of(until, for_), output)


def domains(*, limit: Limit = 50, output: OutputOption = Output.TABLE) -> None:
    """Shows how well mail to domains goes, the worst first, and circuits that are open."""
    from mailroom.cli import queue_overview  # noqa: PLC0415

    queue_overview.show_domains(limit, output)
