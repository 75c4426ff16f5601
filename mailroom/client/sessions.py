"""Sessions that this client has registered, what they are told, and what it wants of them."""

from datetime import timedelta
from typing import Any

from pydantic import AwareDatetime, SecretStr

from mailroom.client.letters import Letter, Theirs
from mailroom.models.agent_handling import OfflineQueue, Retry
from mailroom.models.base import Frozen

MESSAGE_RECEIVED = "message.received"


class Wishes(Frozen):
    """The configuration of seed 002, of one client; None is what `mailroom.toml` says."""

    retry: Retry | None = None
    offline_queue: OfflineQueue | None = None
    delivery_timeout: timedelta | None = None

    @property
    def queues(self) -> bool:
        return self.offline_queue is None or self.offline_queue.enabled

    @property
    def ttl(self) -> timedelta | None:
        """Of a letter that says none, where this client was given one."""
        queue = self.offline_queue
        return queue.ttl if queue and "ttl" in queue.model_fields_set else None

    def options(self) -> dict[str, Any]:
        """As `POST /sessions` takes them: only what was said, lengths of time in seconds."""
        given = {
            "retry": self.retry and _in_seconds(self.retry),
            "offline_queue": self.offline_queue and _in_seconds(self.offline_queue),
            "delivery_timeout": self.delivery_timeout and self.delivery_timeout.total_seconds(),
        }
        return {name: value for name, value in given.items() if value}


def _in_seconds(table: Frozen) -> dict[str, Any]:
    return {
        name: value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in table.model_dump(exclude_unset=True).items()
    }


class Registration(Frozen):
    """What is said when a session is registered, and again when it has to be once more."""

    address: str
    daemon_id: str
    session_id: str | None = None
    channel: str | None = None

    def wire(self, wishes: Wishes) -> dict[str, Any]:
        options = wishes.options()
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
