"""A letter as agents get it that are not in session: by a webhook, or by a command."""

import hashlib
from collections.abc import Sequence
from typing import Any

from mailroom.models.agent_mail import Letter


def letter_json(letter: Letter) -> dict[str, Any]:
    """The `message` of every event. The letter's body has to be filled in."""
    return {
        "id": letter.id,
        "from": letter.sender,
        "to": letter.to,
        "subject": letter.subject,
        "body": letter.body or "",
        "priority": letter.priority.value,
        "thread_id": letter.thread,
        "reply_to": letter.reply_to,
        "sent_at": letter.sent_at.isoformat(),
    }


def event_json(letter: Letter, address: str) -> dict[str, Any]:
    """Seed 002's event, of no session and no daemon, and the letter as `message`."""
    return {
        "id": letter.id,
        "type": "message.received",
        "daemon_id": None,
        "address": address,
        "payload": {
            "message_id": letter.id,
            "channel_id": letter.channel,
            "content": letter.body or "",
        },
        "message": letter_json(letter),
        "timestamp": letter.sent_at.isoformat(),
    }


def events_json(letters: Sequence[Letter], address: str) -> dict[str, Any]:
    """One letter's event, or those of several under `letters`. The same letters make the same
    content and the same `id`, also when they are tried again."""
    events = [event_json(letter, address) for letter in letters]
    if len(events) == 1:
        return events[0]
    together = "".join(letter.id for letter in letters)
    return {
        "id": hashlib.sha256(together.encode()).hexdigest()[:32],
        "type": "message.received",
        "address": address,
        "letters": events,
        "timestamp": max(letter.sent_at for letter in letters).isoformat(),
    }
