"""What pages, API and metrics read. Plain SQL; nothing here writes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.base import Frozen
from mailroom.models.receipts import Receipt
from mailroom.models.retention import removed_sentence
from mailroom.models.states import MailState, Stage


class WorkflowState(BaseModel):
    """One row of `workflow_state` as people get it (seed 003's fields, and ours)."""

    id: int
    owner: str
    message_id: str
    workflow_id: str
    email_subject: str | None
    email_from: str | None
    email_body_preview: str | None
    current_state: MailState
    previous_state: MailState | None
    reason: str | None
    failed_stage: Stage | None
    code: str | None
    revision: int | None
    draft_note: str | None
    ai_reply_text: str | None
    ai_reply_generated_at: datetime | None
    sms_message_id: str | None
    sms_sent_at: datetime | None
    sms_phone_number: str | None
    user_command: str | None
    user_edit_instructions: str | None
    user_responded_at: datetime | None
    edit_iteration: int
    send_at: datetime | None = None
    snoozed_until: datetime | None = None
    reply_sent_at: datetime | None
    reply_message_id: str | None
    error_message: str | None
    retry_count: int
    created_at: datetime
    updated_at: datetime
    timeout_at: datetime | None
    blob: str = Field(description="SHA-256; empty once retention has removed it")
    reply_blob: str | None
    received_at: datetime
    processed_at: datetime | None = None
    bodies_removed_at: datetime | None = None

    @property
    def removed(self) -> str | None:
        """Why there is no text any more, where retention has removed it."""
        removed = self.bodies_removed_at
        return removed_sentence(self.processed_at, removed) if removed else None


class TimelineEntry(BaseModel):
    id: int
    type: str
    at: datetime
    detail: dict[str, Any]


class Answerable(Frozen):
    """A draft as its code names it; `waits` while this very revision can still be answered,
    `scheduled` while its reply is approved and waits for its time."""

    owner: str
    workflow_id: str
    message_id: str
    code: str
    revision: int
    created_at: datetime
    sender: str
    subject: str
    state: MailState
    waits: bool
    scheduled: bool = False


ANSWERABLE = (
    MailState.AI_GENERATED,
    MailState.SMS_SENDING,
    MailState.SMS_SENT,
    MailState.AWAITING_USER,
    MailState.FAILED,
)
"""States in which a word may decide; a failed mail has its draft and waits for a word too."""

_ROWS = """
    SELECT s.*, coalesce(p.blob, '') AS blob, p.received_at, p.processed_at, p.bodies_removed_at
    FROM workflow_state s JOIN processed_emails p USING (owner, message_id)
"""

# `{whose}` is the one condition on owners, so that each half has its index.
_WAITING_FOR = """
    SELECT s.owner, s.workflow_id, d.message_id, d.code, d.revision, d.created_at,
           coalesce(s.email_from, '') AS sender, coalesce(s.email_subject, '') AS subject,
           s.current_state AS state,
           d.live AND d.revision = s.revision AND s.current_state = ANY(:answerable) AS waits,
           s.current_state = 'user_approved' AND s.send_at IS NOT NULL AS scheduled
    FROM drafts d JOIN workflow_state s USING (owner, message_id)
    WHERE {whose} AND d.live AND d.revision = s.revision
      AND (s.current_state = ANY(:answerable)
           OR s.current_state = 'user_approved' AND s.send_at > now())
"""


_PAGE = text(
    _ROWS
    + """
    WHERE s.owner = ANY(:owners)
      AND (:any_state OR s.current_state = ANY(:states))
      AND (CAST(:before AS bigint) IS NULL OR s.id < :before)
    ORDER BY s.id DESC LIMIT :limit"""
)
_FIND = text(_ROWS + "WHERE s.owner = ANY(:owners) AND s.message_id = :message_id")
_BY_WORKFLOW = text(_ROWS + "WHERE s.workflow_id = :id")
_DRAFT_BLOB = text(
    "SELECT blob FROM drafts WHERE owner = :owner AND message_id = :message_id"
    " AND revision = :revision"
)
_TIMELINE = text(
    "SELECT id, type, at, detail FROM events"
    " WHERE owner = :owner AND message_id = :message_id ORDER BY step, id"
)
_RECEIPT = text("SELECT * FROM sms_receipts WHERE provider_id = :provider_id")
_WAITING = text(
    f"{_WAITING_FOR.format(whose='d.owner = :owner')}"
    f"UNION ALL {_WAITING_FOR.format(whose='s.delegate = :owner')}"
    "ORDER BY created_at LIMIT :limit"
)


class PostgresViews:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(
        self,
        owners: Sequence[str],
        states: Sequence[MailState] = (),
        before: int | None = None,
        limit: int = 50,
    ) -> list[WorkflowState]:
        """Newest first; `before` is the `id` of the last row of the page before."""
        rows = await self._all(
            _PAGE,
            owners=list(owners),
            any_state=not states,
            states=list(states),
            before=before,
            limit=limit,
        )
        return [WorkflowState.model_validate(dict(row)) for row in rows]

    async def find(self, owners: Sequence[str], message_id: str) -> list[WorkflowState]:
        """One row for each of these owners who got the mail."""
        rows = await self._all(_FIND, owners=list(owners), message_id=message_id)
        return [WorkflowState.model_validate(dict(row)) for row in rows]

    async def by_workflow(self, workflow_id: str) -> WorkflowState | None:
        rows = await self._all(_BY_WORKFLOW, id=workflow_id)
        return WorkflowState.model_validate(dict(rows[0])) if rows else None

    async def draft_blob(self, row: WorkflowState, revision: int) -> str | None:
        rows = await self._all(
            _DRAFT_BLOB, owner=row.owner, message_id=row.message_id, revision=revision
        )
        return rows[0]["blob"] if rows else None

    async def timeline(self, owner: str, message_id: str) -> list[TimelineEntry]:
        rows = await self._all(_TIMELINE, owner=owner, message_id=message_id)
        return [TimelineEntry.model_validate(dict(row)) for row in rows]

    async def receipt(self, provider_id: str) -> Receipt | None:
        """What its provider said became of a text of ours."""
        rows = await self._all(_RECEIPT, provider_id=provider_id)
        return Receipt.model_validate(dict(rows[0])) if rows else None

    async def waiting(self, owner: str, limit: int = 20) -> list[Answerable]:
        """Drafts that wait for this owner's word, oldest first."""
        rows = await self._all(_WAITING, owner=owner, answerable=list(ANSWERABLE), limit=limit)
        return [Answerable.model_validate(dict(row)) for row in rows]

    async def _all(self, query: TextClause, **values: object) -> Sequence[RowMapping]:
        async with self._engine.connect() as connection:
            return (await connection.execute(query, values)).mappings().all()
