"""What a provider says became of a text, whichever provider it is."""

from datetime import UTC, datetime, timedelta

from mailroom.bridge.context import Context
from mailroom.models.names import lost_text_id
from mailroom.models.receipts import LostText, Receipt
from mailroom.models.rows import SentText

# A provider that got no answer from us says it again; what is replayed later is no news.
SAID_AGAIN_WITHIN = timedelta(days=1)
START_WITHIN = timedelta(seconds=5)


async def keep(the: Context, receipt: Receipt) -> None:
    """Shown with the mail; if the text is lost, its owner is told by e-mail, once."""
    news = await the.texts.receipt(receipt)
    if receipt.status.is_lost and (news or await _said_lately(the, receipt)):
        lost = LostText(**receipt.model_dump(exclude={"status_at"}))
        text = await the.texts.text(receipt.provider_id)
        await the.flows.tell_lost(lost_text_id(_prompt(receipt, text)), lost, START_WITHIN)


async def _said_lately(the: Context, receipt: Receipt) -> bool:
    """What was said first, so a lost text that was delivered first is none."""
    kept = await the.views.receipt(receipt.provider_id)
    if kept is None or not kept.status.is_lost:
        return False
    return datetime.now(UTC) - kept.status_at < SAID_AGAIN_WITHIN


def _prompt(receipt: Receipt, text: SentText | None) -> str:
    """One notice for all parts of a prompt: their references differ in the part alone."""
    if text is None or text.message_id is None:
        return receipt.provider_id
    return text.reference.rpartition("/")[0]
