"""Hands a message to what it is for: at once, or later out of the spool. Twice is once."""

from datetime import datetime

from mailroom.adapters.postgres.texts import InboundText
from mailroom.bridge import letters, queue_submitting, receipts
from mailroom.bridge.context import Context
from mailroom.bridge.conversation import Answer, Conversation
from mailroom.models.spool import (
    LATER,
    URGENT,
    Kind,
    Message,
    SpooledLetter,
    SpooledMail,
    SpooledReceipt,
    SpooledSubmission,
    SpooledText,
)

# The webhook answers within 3 s whatever happens behind it.
TEXT_SECONDS = 2.9
RECEIPT_SECONDS = 8.0
DELIVERED = (Kind.TEXT, Kind.RECEIPT, Kind.MAIL, Kind.LETTER, Kind.SUBMISSION)
"""Kinds that have a way on; others wait in the spool."""
OUTWARD = (Kind.LETTER,)
"""Of these some wait in `outbound`: an older orchestrator was about to try them again."""


async def deliver(the: Context, message: Message, queued_at: datetime) -> None:
    """Out of the spool. Raises what `way.AWAY` has, and `Permanent`."""
    match message:
        case SpooledMail():
            await the.intake.accept(message.arrival)
        case SpooledText():
            await hear(the, message, queued_at)
        case SpooledReceipt():
            await take_receipt(the, message)
        case SpooledLetter():
            await letters.accept(the, message.message, queued_at)
        case SpooledSubmission():
            await queue_submitting.accept(the, message, queued_at)


async def hear(the: Context, text: SpooledText, said_at: datetime | None = None) -> Answer:
    """`said_at`: it comes out of the spool, so its outcome has to be texted."""
    inbound = InboundText(
        owner=text.owner, number=text.number, body=text.body, provider_id=text.provider_id
    )
    conversation = Conversation(the, said_at)
    return await conversation.hear(inbound, text.keyword)


async def take_receipt(the: Context, message: SpooledReceipt) -> None:
    if message.stopped:
        await the.texts.set_stopped(message.stopped, stopped=True)
    if message.receipt:
        await receipts.keep(the, message.receipt)


async def text(the: Context, said: SpooledText) -> Answer | None:
    """A text from outside. None: it is kept, and its outcome will be texted."""
    answer = await the.handover.on(lambda: hear(the, said), TEXT_SECONDS)
    if answer is None:
        await the.handover.keep(said, URGENT)
    return answer


async def receipt(the: Context, said: SpooledReceipt) -> None:
    """A receipt from outside."""

    async def taken() -> bool:
        await take_receipt(the, said)
        return True

    if not await the.handover.on(taken, RECEIPT_SECONDS):
        await the.handover.keep(said, LATER)
