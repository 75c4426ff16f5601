"""A line of the timeline, as listeners hear of it."""

from mailroom.models.base import Frozen

QUEUE_LIMIT = 1_000
"""Events that a listener may be behind; later ones it misses."""
RESUMED = "feed.resumed"
"""Type of what is no line: events may have been missed before it."""


class MailEvent(Frozen):
    """`owner` is a person's ID, or `agent/ADDRESS`; `message_id` a mail, a letter or a session."""

    id: int
    owner: str
    message_id: str
    type: str
