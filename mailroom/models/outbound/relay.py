"""What a relay that delivers for us tells of its queues (seed 004, section 7.1)."""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen


class RelayQueueState(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"


class KumoMTAQueue(Frozen):
    name: str = Field(
        description="campaign:tenant@domain!routing_domain of a scheduled queue, "
        "source->site@protocol of a ready one"
    )
    message_count: int = Field(ge=0)
    state: RelayQueueState


class KumoMTAQueueResponse(Frozen):
    """Those with the most messages first."""

    queues: list[KumoMTAQueue]


class LastResponse(Frozen):
    code: int
    message: str


class KumoMTAMessageDetails(Frozen):
    id: str = Field(description="KumoMTA's own, as in its log")
    queue: str
    recipient: str
    sender: str
    size: int = Field(ge=0, description="bytes")
    attempts: int = Field(ge=0)
    next_attempt: AwareDatetime = Field(description="now, where it is being delivered")
    last_response: LastResponse | None = None
    message_id: str | None = Field(default=None, description="ours, where the message is of ours")


class Interface(StrEnum):
    """The shapes that its admin interface speaks: those of KumoMTA's reference, or those that
    seed 004 names."""

    CURRENT = "current"
    SEED = "seed"


class Detected(Frozen):
    interface: Interface
    version: str | None = None
    hostname: str | None = None
