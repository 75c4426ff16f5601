"""Records of KumoMTA's log, and what they say of our messages.

https://docs.kumomta.com/reference/log_record/. What a record has besides is ignored.
"""

import hashlib
import json
from datetime import UTC
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.replies import one_reply

MOST_RECIPIENTS = 1_000


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class EnhancedCode(_Part):
    kind: int = Field(alias="class", ge=0, le=9)
    subject: int = Field(ge=0, le=999)
    detail: int = Field(ge=0, le=999)

    def __str__(self) -> str:
        return f"{self.kind}.{self.subject}.{self.detail}"


class LogResponse(_Part):
    """What the peer answered, or KumoMTA itself where it asked none."""

    code: int = Field(ge=0, le=999)
    enhanced_code: EnhancedCode | None = None
    content: str = ""


class FeedbackReport(_Part):
    """An ARF report (RFC 5965); bytes that are no UTF-8 come as their numbers."""

    feedback_type: str = "other"
    user_agent: str = ""
    original_mail_from: str | None = None
    original_rcpto_to: list[str] = []
    original_message: str | list[Annotated[int, Field(ge=0, le=255)]] | None = None


class LogRecord(_Part):
    """`id` is KumoMTA's own; ours is in `meta`. Times with a fraction are of servers since
    2025.10."""

    type: str = Field(max_length=40)
    id: str = Field(max_length=200)
    sender: str = ""
    recipient: Annotated[
        list[str], BeforeValidator(_as_list), Field(max_length=MOST_RECIPIENTS)
    ] = []
    response: LogResponse | None = None
    timestamp: AwareDatetime
    event_time: AwareDatetime | None = None
    num_attempts: int = Field(default=0, ge=0, le=65_535)
    bounce_classification: str | None = None
    feedback_report: FeedbackReport | None = None
    meta: dict[str, Any] = {}
    headers: dict[str, Any] = {}
    reception_protocol: str | None = None
    nodeid: str = Field(default="", max_length=100)

    @property
    def at(self) -> AwareDatetime:
        return (self.event_time or self.timestamp).astimezone(UTC)

    @property
    def key(self) -> str:
        """The same however often the record comes: it has no ID of its own."""
        known = [self.nodeid, self.id, self.type, self.at.isoformat(), *self.recipient]
        return f"kumomta/{hashlib.sha256(json.dumps(known).encode()).hexdigest()}"

    @property
    def answer(self) -> SmtpResponse | None:
        if self.response is None:
            return None
        enhanced = self.response.enhanced_code
        return SmtpResponse(
            code=self.response.code,
            message=one_reply(self.response.content),
            enhanced_code=str(enhanced) if enhanced else None,
            timestamp=self.at,
        )
