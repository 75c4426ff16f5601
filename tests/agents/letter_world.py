"""Letters to hand over."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from mailroom.models.agent_mail import Letter, Priority

SENT_AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def a_letter(**more: Any) -> Letter:
    letter = {
        "id": uuid4().hex,
        "sender": "mayor/",
        "to": "rig/worker",
        "subject": "The bridge is closed",
        "body": "Take the ferry.\n— größer",
        "priority": Priority.HIGH,
        "thread": "1" * 32,
        "channel": "harbour",
        "sent_at": SENT_AT,
    }
    return Letter.model_validate(letter | more)
