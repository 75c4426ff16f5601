"""What operators say to single messages."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

import typer

from mailroom.cli.client import Refused, bridge
from mailroom.cli.errors import Failure
from mailroom.cli.output import answer, say
from mailroom.cli.queue_submit import MESSAGES
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.words import BounceType, MessageQueueStatus

SAID = {
    "suspend": "is to be suspended",
    "resume": "is to go on",
    "retry": "is tried again",
    "cancel": "is to be cancelled",
    "bounce": "is given up",
    "rebind": "goes to the other queue",
    "set_priority": "gets the other priority",
}


def tell_each(order: str, ids: Sequence[UUID], more: Mapping[str, object]) -> None:
    """One that is refused doesn't keep the others; the last refusal ends the command."""
    refusals = asyncio.run(_each(order, ids, more))
    for refusal in refusals[:-1]:
        say(str(refusal))
    if refusals:
        raise refusals[-1]


def retry(ids: Sequence[UUID], reason: str, *, ask: bool) -> None:
    doubtful = asyncio.run(_maybe_sent(ids)) if ask else []
    if doubtful:
        for id in doubtful:
            say(f"{id} may have been sent: the server did not confirm it.")
        typer.confirm("Send again what may have been sent?", abort=True, err=True)
    tell_each("retry", ids, {"reason": reason})


def may_have_been_sent(item: MessageQueueItem) -> bool:
    return (
        item.status is MessageQueueStatus.SUSPENDED
        and item.bounce_classification is BounceType.UNKNOWN
    )


async def _each(order: str, ids: Sequence[UUID], more: Mapping[str, object]) -> list[Failure]:
    refusals: list[Failure] = []
    async with bridge() as to:
        for id in dict.fromkeys(ids):
            try:
                await to.post(f"{MESSAGES}/{id}/{order}", json=more)
                answer(f"{id} {SAID[order]}.")
            except Refused as refusal:
                refusals.append(Failure(f"{id}: {refusal}", refusal.code))
    return refusals


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
