"""`mailroom queue list`, `show` and `watch`."""

from typing import Annotated
from uuid import UUID

import typer

from mailroom.cli.output import Output, OutputOption
from mailroom.cli.queue_selecting import Selected, selecting

CampaignOption = Annotated[str | None, typer.Option(help="Only of this campaign.")]


@selecting()
def list_(
    *,
    selected: Selected,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The first so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Goes on where a list ended.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="And what becomes of them, until Ctrl-C.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows messages, the newest first unless `--sort` and `--order` say otherwise.

    For example `mailroom queue list --status deferred --domain example.com --sort num_attempts`.
    """
    from mailroom.cli import queue_list_watch, queue_messages  # noqa: PLC0415

    if watch:
        queue_list_watch.watch(selected.params, limit, output)
    else:
        queue_messages.show_list(selected.params, limit, cursor, output)


def show(
    id: Annotated[UUID, typer.Argument(metavar="ID", help="As `queue list` shows it.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows one message: its fields, and what happened to it, with what servers said."""
    from mailroom.cli import queue_messages  # noqa: PLC0415

    queue_messages.show_one(id, output)


def watch(*, campaign: CampaignOption = None) -> None:
    """Shows how messages go out, until none waits any more or Ctrl-C.

    Where no terminal is, a line for each change.
    """
    from mailroom.cli import queue_watch  # noqa: PLC0415

    queue_watch.watch(campaign)
