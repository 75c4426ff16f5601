"""A line of the timeline, as listeners hear of it."""

from mailroom.models.base import Frozen


class MailEvent(Frozen):
    """`owner` is a person's ID, or `agent/ADDRESS`; `message_id` a mail, a letter or a session."""

    id: int
    owner: str
    message_id: str
    type: str
