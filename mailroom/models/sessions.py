"""An agent's session: a lease that says that somebody is there (seed 002)."""

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, Field

from mailroom.models.agent_mail import Priority
from mailroom.models.base import Frozen


class SessionStatus(StrEnum):
    ACTIVE = "active"
    IDLE = "idle"
    BUSY = "busy"


class Session(Frozen):
    """`daemon_id` is the process behind it; online until `expires_at`."""

    session_id: str
    address: str
    daemon_id: str
    channel: str | None = None
    status: SessionStatus = SessionStatus.ACTIVE
    created_at: AwareDatetime
    last_active_at: AwareDatetime
    expires_at: AwareDatetime


class Pushed(Frozen):
    """A letter on its way to a session. The same `event_id` comes again until it is confirmed."""

    event_id: int
    attempt: int
    message_id: str
    daemon_id: str
    address: str
    sender: str
    subject: str
    body: str | None
    blob: str | None
    priority: Priority
    thread: str
    reply_to: str | None
    channel: str | None
    sent_at: AwareDatetime
    created_at: AwareDatetime

    def event(self, body: str) -> dict[str, Any]:
        """As agents get it: seed 002's shape, and the letter as `message`."""
        at = self.created_at.isoformat()
        message = {
            "id": self.message_id,
            "from": self.sender,
            "to": self.address,
            "subject": self.subject,
            "body": body,
            "priority": self.priority.value,
            "thread_id": self.thread,
            "reply_to": self.reply_to,
            "sent_at": self.sent_at.isoformat(),
        }
        payload = {"message_id": self.message_id, "channel_id": self.channel, "content": body}
        return {
            "event_id": self.event_id,
            "id": f"evt_{self.event_id}",
            "type": "message.received",
            "daemon_id": self.daemon_id,
            "address": self.address,
            "payload": payload,
            "message": message,
            "timestamp": at,
        }


class Confirmation(Frozen):
    session_id: str | None
    delivered_at: AwareDatetime


class Confirmed(Frozen):
    """A letter that arrived just now; `waits`: its workflow rests and has to be told."""

    id: str
    waits: bool


class Presence(Frozen):
    """`sessions` is empty for an address that is offline."""

    address: str
    online: bool
    last_active_at: AwareDatetime | None = None
    sessions: tuple[Session, ...] = ()
    queued: int = Field(default=0, description="letters that wait")
