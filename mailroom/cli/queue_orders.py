"""What may have been sent is sent again only by those who mean it."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import typer

from mailroom.cli.client import Refused, bridge
from mailroom.cli.output import say
from mailroom.cli.queue_submit import MESSAGES
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.words import BounceType, MessageQueueStatus


def ask_about_doubtful(ids: Sequence[UUID]) -> None:
    """Ends the command where somebody says no."""
    doubtful = asyncio.run(_maybe_sent(ids))
    for id in doubtful:
        say(f"{id} may have been sent: the server did not confirm it.")
    if doubtful:
        typer.confirm("Send again what may have been sent?", abort=True, err=True)


def may_have_been_sent(item: MessageQueueItem) -> bool:
    return (
        item.status is MessageQueueStatus.SUSPENDED
        and item.bounce_classification is BounceType.UNKNOWN
    )


async def _maybe_sent(ids: Sequence[UUID]) -> list[UUID]:
    found: list[UUID] = []
    async with bridge() as to:
        for id in dict.fromkeys(ids):
            try:
                item = (await to.get(f"{MESSAGES}/{id}"))["item"]
            except Refused:
                continue  # told when it is tried
            if may_have_been_sent(MessageQueueItem.model_validate(item)):
                found.append(id)
    return found
