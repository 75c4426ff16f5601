"""A letter as somebody writes it, before anybody knows how many it becomes."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from mailroom.models.agent_mail import (
    INLINE_BYTES,
    MOST_ADDRESS,
    MOST_SUBJECT,
    Delivery,
    Letter,
    Priority,
    no_nul,
)
from mailroom.models.base import Frozen
from mailroom.models.spool import Theirs

Words = Annotated[Theirs, AfterValidator(no_nul)]
Channel = Annotated[Words, Field(max_length=200)]
A_YEAR = 366 * 86_400


class NewLetter(Frozen):
    """The body of `POST /mail`; `from` is the caller's own address if it is not given."""

    model_config = ConfigDict(populate_by_name=True)

    sender: str | None = Field(default=None, alias="from", max_length=MOST_ADDRESS)
    to: str = Field(max_length=MOST_ADDRESS)
    subject: Annotated[Words, Field(max_length=MOST_SUBJECT)] = ""
    body: Words = ""
    priority: Priority = Priority.NORMAL
    delivery: Delivery = Delivery.AUTO
    ttl_seconds: float | None = Field(default=None, gt=0, le=A_YEAR)
    reply_to: Annotated[Words, Field(max_length=64)] | None = None
    pinned: bool = False
    channel: Channel | None = None

    @property
    def is_long(self) -> bool:
        return len(self.body.encode()) > INLINE_BYTES

    def letter(self, letter_id: str, sender: str, to: str, thread: str, now: datetime) -> Letter:
        """For one recipient; a long body is put elsewhere by who has a place for it."""
        return Letter(
            id=letter_id,
            sender=sender,
            to=to,
            subject=self.subject,
            body=self.body,
            priority=self.priority,
            delivery=self.delivery,
            reply_to=self.reply_to,
            thread=thread,
            pinned=self.pinned,
            sent_at=now,
            expires_at=now + timedelta(seconds=self.ttl_seconds) if self.ttl_seconds else None,
            channel=self.channel,
        )
