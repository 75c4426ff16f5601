"""What a poll of the Email Monitor found and did, and what the monitor is told afterwards."""

from pydantic import Field

from mailroom.models.base import Frozen
from mailroom.models.states import ProcessedStatus


class TakenMail(Frozen):
    """A mail of the monitor that is durable here; `digest` is the SHA-256 of its bytes."""

    workflow_id: str
    monitor_id: str
    digest: str


class StatusReport(Frozen):
    """What the monitor has not been told of one of its mails."""

    workflow_id: str
    monitor_id: str
    status: ProcessedStatus


class Polled(Frozen):
    """Result of one poll, as the Temporal UI shows it."""

    new: int = 0
    known: int = Field(default=0, description="taken before, by an earlier poll or another way")
    refused: int = Field(default=0, description="no mail, or nobody's; the log says why")
    deferred: int = Field(default=0, description="not taken this time; the next poll tries again")
    reported: int = 0
