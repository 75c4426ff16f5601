"""The typed Python client of agent mail: `from mailroom.client import Mailroom`."""

from mailroom.client.errors import (
    NoActiveSessionError,
    OrchestratorOfflineError,
    OrchestratorRoutingError,
    Refused,
    Unreachable,
)
from mailroom.client.letters import (
    Letter,
    Message,
    RouteMessageResult,
    RouteStatus,
    Sent,
    SentLetter,
)
from mailroom.client.mailroom import Mailroom
from mailroom.client.sessions import RegisteredSession, SessionEvent
from mailroom.models.agent_handling import OfflineQueue, Retry
from mailroom.models.agent_mail import Delivery, LetterState, Priority
from mailroom.models.sessions import Presence, Session

__all__ = [
    "Delivery",
    "Letter",
    "LetterState",
    "Mailroom",
    "Message",
    "NoActiveSessionError",
    "OfflineQueue",
    "OrchestratorOfflineError",
    "OrchestratorRoutingError",
    "Presence",
    "Priority",
    "Refused",
    "RegisteredSession",
    "Retry",
    "RouteMessageResult",
    "RouteStatus",
    "Sent",
    "SentLetter",
    "Session",
    "SessionEvent",
    "Unreachable",
]
