"""Figures about all mail of some owners: health, status, metrics."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.states import MailState, Stage


class Counts(BaseModel):
    """The figures of the health check (seed 003)."""

    pending: int = Field(description="accepted and not yet awaiting their owner")
    awaiting_user: int
    completed_today: int = Field(description="sent, ignored or timed out since midnight UTC")
    failed: int


class Statistics(BaseModel):
    """Mails received in the last 24 hours, but for `states`, which counts all there are."""

    states: dict[MailState, int]
    emails_per_hour: float
    seconds_to_sms: float | None = Field(description="mean from received to first text")
    response_rate: dict[str, float] = Field(description="approve, edit, ignore, none: 0 to 1")
    response_seconds: float | None = Field(description="mean from text to answer")
    failure_rate: dict[Stage, float] = Field(description="of mails that reached the stage")


_COUNTS = text("""
    SELECT count(*) FILTER (WHERE current_state = ANY(:working)) AS pending,
           count(*) FILTER (WHERE current_state = 'awaiting_user') AS awaiting_user,
           count(*) FILTER (WHERE current_state = 'failed') AS failed,
           (SELECT count(*) FROM workflow_state
            WHERE current_state = ANY(:closed) AND updated_at >= date_trunc('day', now(), 'UTC')
              AND (:everybody OR owner = ANY(:owners)))
               AS completed_today
    FROM workflow_state
    WHERE current_state = ANY(:open) AND (:everybody OR owner = ANY(:owners))
""")

_LAST_POLL = text("""
    SELECT greatest((SELECT max(polled_at) FROM polls), (SELECT max(seen_at) FROM mailboxes))
""")

_STATES = text("""
    SELECT current_state, count(*) FROM workflow_state
    WHERE :everybody OR owner = ANY(:owners) GROUP BY current_state
""")

_DAY = text("""
    SELECT count(*) AS mails,
           avg(extract(epoch FROM first_text.at - p.received_at)) AS seconds_to_sms,
           avg(extract(epoch FROM s.user_responded_at - s.sms_sent_at))
               FILTER (WHERE s.user_responded_at > s.sms_sent_at) AS response_seconds,
           count(*) FILTER (WHERE s.user_command = 'approve') AS approve,
           count(*) FILTER (WHERE s.user_command = 'edit') AS edit,
           count(*) FILTER (WHERE s.user_command = 'ignore') AS ignore,
           count(*) FILTER (WHERE s.sms_sent_at IS NOT NULL) AS asked
    FROM workflow_state s
    JOIN processed_emails p USING (owner, message_id)
    LEFT JOIN LATERAL (
        SELECT min(at) AS at FROM events e
        WHERE e.owner = s.owner AND e.message_id = s.message_id AND e.type = 'sms_sent'
    ) first_text ON true
    WHERE s.created_at > now() - interval '24 hours' AND (:everybody OR s.owner = ANY(:owners))
""")

_STAGES = text("""
    SELECT type, count(DISTINCT (owner, message_id)) AS mails,
           count(DISTINCT (owner, message_id)) FILTER (WHERE type = 'failed') AS failed,
           detail->>'stage' AS stage
    FROM events
    WHERE at > now() - interval '24 hours'
      AND type IN ('ai_generating', 'sms_sending', 'user_approved', 'failed')
      AND (:everybody OR owner = ANY(:owners))
    GROUP BY type, detail->>'stage'
""")

_WORKING = ("pending", "ai_generating", "ai_generated", "sms_sending", "sms_sent",
            "user_approved", "user_edit_requested")  # fmt: skip
_CLOSED = ("reply_sent", "user_ignored", "timeout")
_STAGE_EVENT = {
    Stage.DRAFT: "ai_generating",
    Stage.SMS: "sms_sending",
    Stage.REPLY: "user_approved",
}


class PostgresStatistics:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def counts(self, owners: Sequence[str] | None = None) -> Counts:
        """Of these owners' mails, or of everybody's."""
        values = {
            **_whose(owners),
            "working": list(_WORKING),
            "closed": list(_CLOSED),
            "open": [*_WORKING, "awaiting_user", "failed"],
        }
        async with self._engine.connect() as connection:
            row = (await connection.execute(_COUNTS, values)).mappings().one()
        return Counts.model_validate(dict(row))

    async def last_poll(self) -> datetime | None:
        """When a source last answered: the Email Monitor, or a mailbox."""
        async with self._engine.connect() as connection:
            found: datetime | None = await connection.scalar(_LAST_POLL)
        return found

    async def statistics(self, owners: Sequence[str] | None = None) -> Statistics:
        whose = _whose(owners)
        async with self._engine.connect() as connection:
            states = (await connection.execute(_STATES, whose)).all()
            day = (await connection.execute(_DAY, whose)).mappings().one()
            stages = (await connection.execute(_STAGES, whose)).all()
        return Statistics(
            states={MailState(state): count for state, count in states},
            emails_per_hour=round(day["mails"] / 24, 3),
            seconds_to_sms=_rounded(day["seconds_to_sms"]),
            response_rate=_response_rate(day["asked"], day["approve"], day["edit"], day["ignore"]),
            response_seconds=_rounded(day["response_seconds"]),
            failure_rate=_failure_rate(stages),
        )


def _whose(owners: Sequence[str] | None) -> dict[str, object]:
    return {"everybody": owners is None, "owners": list(owners or ())}


def _rounded(value: object) -> float | None:
    return None if value is None else round(float(str(value)), 3)


def _response_rate(asked: int, approve: int, edit: int, ignore: int) -> dict[str, float]:
    """Shares by the owner's last word."""
    none = max(asked - approve - edit - ignore, 0)
    shares = {"approve": approve, "edit": edit, "ignore": ignore, "none": none}
    return {name: round(count / asked, 4) if asked else 0.0 for name, count in shares.items()}


def _failure_rate(rows: Sequence[object]) -> dict[Stage, float]:
    reached = {row.type: row.mails for row in rows if row.type != "failed"}  # type: ignore[attr-defined]
    failed = {row.stage: row.failed for row in rows if row.type == "failed"}  # type: ignore[attr-defined]
    return {
        stage: round(failed.get(stage, 0) / reached[event], 4) if reached.get(event) else 0.0
        for stage, event in _STAGE_EVENT.items()
    }
