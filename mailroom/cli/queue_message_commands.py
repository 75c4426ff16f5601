"""`mailroom queue list`, `show`, `watch`, and what operators say to single messages."""

from typing import Annotated
from uuid import UUID

import typer

from mailroom.cli.output import Output, OutputOption
from mailroom.models.outbound.words import MessageQueueStatus

Ids = Annotated[list[UUID], typer.Argument(metavar="ID...", help="As `queue list` shows them.")]
Reason = Annotated[str, typer.Option(help="Why; the timeline keeps it.")]
CampaignOption = Annotated[str | None, typer.Option(help="Only of this campaign.")]


def list_(
    *,
    status: Annotated[
        list[MessageQueueStatus] | None, typer.Option(help="Only these; may be repeated.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Only to this domain.")] = None,
    queue: Annotated[str | None, typer.Option(help="Only of this queue.")] = None,
    campaign: CampaignOption = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Only to this address.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Goes on where a list ended.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows messages, the newest first.

    For example `mailroom queue list --status deferred --domain example.com`.
    """
    from mailroom.cli import queue_messages  # noqa: PLC0415

    asked = {
        "status": [one.value for one in status or []],
        "domain": domain,
        "queue_name": queue,
        "campaign_id": campaign,
        "tenant_id": tenant,
        "recipient": recipient,
    }
    wanted = {name: value for name, value in asked.items() if value}
    queue_messages.show_list(wanted, limit, cursor, output)


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


def suspend(ids: Ids, *, reason: Reason = "") -> None:
    """Keeps messages back until they are resumed."""
    _tell("suspend", ids, reason=reason)


def resume(ids: Ids, *, reason: Reason = "") -> None:
    """Lets suspended messages go on. What may have been sent goes on by `retry` alone."""
    _tell("resume", ids, reason=reason)


def retry(
    ids: Ids,
    *,
    reason: Reason = "",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Also what may have been sent; don't ask.")
    ] = False,
) -> None:
    """Tries messages now. Asks about one that may have been sent already."""
    from mailroom.cli import queue_orders  # noqa: PLC0415

    queue_orders.retry(ids, reason, ask=not yes)


def cancel(ids: Ids, *, reason: Reason = "") -> None:
    """Gives messages up: they are cancelled."""
    _tell("cancel", ids, reason=reason)


def bounce(ids: Ids, *, reason: Reason = "") -> None:
    """Gives messages up as bounced."""
    _tell("bounce", ids, reason=reason)


def rebind(
    ids: Ids,
    *,
    queue: Annotated[str, typer.Option(help="Its name.")],
    reason: Reason = "",
) -> None:
    """Moves messages to another queue."""
    _tell("rebind", ids, reason=reason, queue_name=queue)


def set_priority(
    ids: Ids,
    *,
    priority: Annotated[int, typer.Option(min=0, max=10, help="10 is the most urgent.")],
    reason: Reason = "",
) -> None:
    """Sets how urgent messages are."""
    _tell("set_priority", ids, reason=reason, priority=priority)


def _tell(order: str, ids: list[UUID], **more: object) -> None:
    from mailroom.cli import queue_orders  # noqa: PLC0415

    queue_orders.tell_each(order, ids, more)
