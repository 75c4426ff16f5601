"""Waiting for a session to confirm what was pushed to it."""

import asyncio
from datetime import timedelta

from mailroom.models.agent_mail import Event
from mailroom.models.events import MailEvent

TOOK = (Event.ROUTED, Event.READ, Event.ACKNOWLEDGED)


async def confirmed(news: asyncio.Queue[MailEvent], letter_id: str, within: timedelta) -> bool:
    return not await unconfirmed(news, {letter_id}, within)


async def unconfirmed(
    news: asyncio.Queue[MailEvent], letters: set[str], within: timedelta
) -> set[str]:
    """Those of which nothing was heard in time."""
    left = set(letters)
    try:
        async with asyncio.timeout(within.total_seconds()):
            while left:
                event = await news.get()
                if event.type in TOOK:
                    left.discard(event.message_id)
    except TimeoutError:
        pass
    return left
