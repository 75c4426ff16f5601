"""Sessions that this client has registered, and what they are told."""

from datetime import timedelta
from typing import Any

from pydantic import AwareDatetime, SecretStr

from mailroom.client.letters import Letter, Theirs
from mailroom.models.agent_handling import Wishes
from mailroom.models.base import Frozen

MESSAGE_RECEIVED = "message.received"


def queues(wishes: Wishes) -> bool:
    """Whether this client lets letters wait for who is offline."""
    return wishes.offline_queue is None or wishes.offline_queue.enabled


def ttl_of(wishes: Wishes) -> timedelta | None:
    """Of a letter that says none, where this client was given one."""
    queue = wishes.offline_queue
    return queue.ttl if queue and "ttl" in queue.model_fields_set else None


class Registration(Frozen):
    """What is said when a session is registered, and again when it has to be once more."""

    address: str
    daemon_id: str
    session_id: str | None = None
    channel: str | None = None

    def wire(self, wishes: Wishes) -> dict[str, Any]:
        options = wishes.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        known = self.model_dump(exclude_none=True)
        return {**known, **({"options": options} if options else {})}


class RegisteredSession(Theirs):
    """A session of this client. `token` stands for it alone: it can be handed on to who reads
    its letters. `queued` letters waited when it was registered; `lease` is how long it lasts
    without a sign of life."""

    session_id: str
    address: str
    daemon_id: str
    channel: str | None = None
    token: SecretStr
    expires_at: AwareDatetime
    lease: timedelta
    queued: int = 0


class SessionEvent(Theirs):
    """Of a session's stream. `message` is the letter of `message.received`. The others say what
    happens to the letters and sessions of its address: `message_id` is which of them."""

    type: str
    event_id: int | None = None
    address: str | None = None
    message_id: str | None = None
    message: Letter | None = None
    timestamp: AwareDatetime | None = None
