"""Mails and drafts as rows (port `EmailStore`). One statement for each step of a mail."""

import json
from collections.abc import Mapping, Sequence
from functools import cache

from sqlalchemy import TextClause, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.texts import KEEP
from mailroom.models.codes import code_for
from mailroom.models.email_reply import EXCERPT, Draft, MailRef
from mailroom.models.names import REASON_LATER_MAIL, reopened_id
from mailroom.models.rows import Change, NewDraft, OpenMail, SentReply
from mailroom.models.states import MailState, is_final, processed_status

MOST_REOPENED = 20


class PostgresEmails:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def enter(self, *changes: Change) -> None:
        """Mail, state and timeline in one statement, so that they never disagree.

        A change older than the row changes nothing and leaves no line in the timeline.
        """
        besides = [_KEEP_TEXT] if changes[-1].text else []
        besides += [_RETIRE] if _ends(changes[-1]) else []
        await self._enter(_values(changes), _known(changes), *besides)

    async def enter_draft(self, draft: NewDraft, *changes: Change) -> Draft:
        mail = changes[-1].mail
        number = int(mail.workflow_id.encode().hex(), 16) + draft.revision
        while (code := await self._try_code(draft, code_for(number), changes)) is None:
            number += 1
        return _draft(draft, code)

    async def list_pending(self, mails: Sequence[MailRef]) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(_LIST_PENDING, _pending(mails))

    async def unanswered(self, owner: str, message_ids: Sequence[str]) -> list[OpenMail]:
        values = {"owner": owner, "message_ids": list(message_ids), "merged": REASON_LATER_MAIL}
        async with self._engine.connect() as connection:
            rows = await connection.execute(_UNANSWERED, values | {"final": _FINAL})
            return [OpenMail.model_validate(dict(row)) for row in rows.mappings()]

    async def sent_reply(self, workflow_id: str) -> SentReply | None:
        """Its workflow may be a later one, of a reply that came back before."""
        ids = [workflow_id, *(reopened_id(workflow_id, n + 1) for n in range(MOST_REOPENED))]
        async with self._engine.connect() as connection:
            row = (await connection.execute(_SENT_REPLY, {"ids": ids})).first()
        if row is None:
            return None
        return SentReply(
            workflow_id=row.workflow_id, reopened=ids.index(row.workflow_id), step=row.step // 2
        )

    async def reply_blob(self, mail: MailRef) -> str | None:
        async with self._engine.connect() as connection:
            blob = await connection.scalar(_REPLY_BLOB, _key(mail))
        return None if blob is None else str(blob)

    async def _try_code(self, draft: NewDraft, code: str, changes: Sequence[Change]) -> str | None:
        """The draft's code, an earlier one if it was saved before; None if another live draft
        has this code."""
        named = {"code": code, "revision": draft.revision, "draft_note": draft.note}
        saving = {
            "draft_blob": draft.blob,
            "length": len(draft.text),
            "note": draft.note,
            "instructions": draft.instructions,
        }
        values = saving | _values(changes, {"code": code, "revision": draft.revision})
        try:
            saved = await self._enter(
                values, _known(changes) | named, _SAVE_DRAFT, select="code FROM saved"
            )
        except IntegrityError:
            return None
        if saved == code:
            return code
        return await self._try_code(draft, str(saved), changes)

    async def _enter(
        self,
        values: dict[str, object],
        known: dict[str, object],
        *besides: str,
        select: str = "NULL",
    ) -> object:
        statement = _entering(tuple(sorted(known)), besides, select)
        async with self._engine.connect() as connection:
            return await connection.scalar(statement, _storable(values | known))


_FINAL = [state.value for state in MailState if is_final(state)]
_UNANSWERED = text("""
    SELECT s.workflow_id, p.blob, coalesce(s.email_from, '') AS sender,
           coalesce(s.reason, '') = :merged AS superseded
    FROM processed_emails p JOIN workflow_state s USING (owner, message_id)
    WHERE p.owner = :owner AND p.message_id = ANY(:message_ids) AND p.blob IS NOT NULL
      AND (s.current_state <> ALL(:final) OR s.reason = :merged)
    ORDER BY p.received_at
""")

_SENT_REPLY = text("""
    SELECT workflow_id, step FROM workflow_state
    WHERE workflow_id = ANY(:ids) AND current_state = 'reply_sent'
""")

# What was handed over first is what every later sending hands over.
_REPLY_BLOB = text("""
    SELECT coalesce(m.blob, s.reply_blob)
    FROM workflow_state s LEFT JOIN send_markers m ON m.key = s.workflow_id || '/1'
    WHERE s.owner = :owner AND s.message_id = :message_id
""")

_ENTER = """
    WITH mail AS (
        INSERT INTO processed_emails AS p (owner, message_id, workflow_id, subject, "from",
                                           received_at, blob, status, processed_at, step)
        VALUES (:owner, :message_id, :workflow_id, :subject, :sender,
                :received_at, :blob, :status, CASE WHEN :processed THEN now() END, :step)
        ON CONFLICT (owner, message_id) DO UPDATE
        SET status = excluded.status, processed_at = excluded.processed_at, step = excluded.step
        WHERE p.step <= excluded.step
    ), entered AS (
        INSERT INTO workflow_state AS s (owner, message_id, workflow_id, email_subject,
                                         email_from, current_state, previous_state, step{names})
        VALUES (:owner, :message_id, :workflow_id, :subject,
                :sender, :state, :previous, :step{values})
        ON CONFLICT (owner, message_id) DO UPDATE
        SET current_state = excluded.current_state,
            previous_state = coalesce(excluded.previous_state, s.current_state),
            step = excluded.step, workflow_id = excluded.workflow_id, updated_at = now(){changes}
        WHERE s.step <= excluded.step
        RETURNING owner, message_id
    ), lines AS (
        INSERT INTO events (owner, message_id, step, type, detail)
        SELECT owner, message_id, :step, line.type, CAST(line.detail AS jsonb)
        FROM entered, unnest(CAST(:states AS text[]), CAST(:details AS text[]))
             WITH ORDINALITY AS line (type, detail, position)
        ORDER BY position
        ON CONFLICT DO NOTHING
    ){besides}
    SELECT {select}
"""

_LIST_PENDING = text("""
    WITH listed AS (
        SELECT * FROM unnest(
            CAST(:owner AS text[]), CAST(:message_id AS text[]), CAST(:workflow_id AS text[]),
            CAST(:subject AS text[]), CAST(:sender AS text[]), CAST(:received_at AS timestamptz[]),
            CAST(:blob AS text[])
        ) AS mail (owner, message_id, workflow_id, subject, sender, received_at, blob)
    ), mail AS (
        INSERT INTO processed_emails (owner, message_id, workflow_id, subject, "from",
                                      received_at, blob, status, step)
        SELECT *, 'pending', 0 FROM listed
        ON CONFLICT DO NOTHING
    ), entered AS (
        INSERT INTO workflow_state (owner, message_id, workflow_id, email_subject, email_from,
                                    current_state, step)
        SELECT owner, message_id, workflow_id, subject, sender, 'pending', 0 FROM listed
        ON CONFLICT DO NOTHING
    )
    INSERT INTO events (owner, message_id, step, type, detail, at)
    SELECT owner, message_id, 0, 'pending', '{}', received_at FROM listed
    ON CONFLICT DO NOTHING
""")

# Frees the codes of drafts that nobody can answer any more.
_RETIRE = """, retired AS (
        UPDATE drafts SET live = false
        WHERE owner = :owner AND message_id = :message_id AND live
    )"""

_KEEP_TEXT = f", texted AS ({KEEP})"

_SAVE_DRAFT = """, retired AS (
        UPDATE drafts SET live = false
        WHERE owner = :owner AND message_id = :message_id AND live AND revision < :revision
    ), saved AS (
        INSERT INTO drafts (owner, message_id, revision, code, blob, length, note, instructions)
        VALUES (:owner, :message_id, :revision, :code, :draft_blob, :length, :note, :instructions)
        ON CONFLICT (owner, message_id, revision) DO UPDATE
        SET blob = excluded.blob, length = excluded.length, note = excluded.note
        RETURNING code
    )"""


@cache
def _entering(columns: tuple[str, ...], besides: tuple[str, ...], select: str) -> TextClause:
    """The statement for a set of known columns; their names are those of `Columns`, never data.

    Plain SQL, since building it anew from tables for each step took a fifth of a mail's CPU.
    """
    return text(
        _ENTER.format(
            names="".join(f", {name}" for name in columns),
            values="".join(f", :{name}" for name in columns),
            changes="".join(f", {name} = excluded.{name}" for name in columns),
            besides="".join(besides),
            select=select,
        )
    )


def _known(changes: Sequence[Change]) -> dict[str, object]:
    known: dict[str, object] = {}
    for change in changes:
        known |= change.columns.model_dump(exclude_unset=True)
    return known


def _ends(change: Change) -> bool:
    return change.closed or is_final(change.states[-1])


def _values(
    changes: Sequence[Change], detail: Mapping[str, str | int] | None = None
) -> dict[str, object]:
    """`detail` is what the store itself has to say of the last change."""
    mail, step = changes[-1].mail, changes[-1].order
    entered = [(state, change.detail) for change in changes for state in change.states]
    entered[-1] = (entered[-1][0], {**entered[-1][1], **(detail or {})})
    *earlier, state = [state for state, _ in entered]
    text = changes[-1].text
    return {
        **_mail(mail),
        **(text.model_dump(exclude={"owner", "message_id"}) if text else {}),
        "status": processed_status(state).value,
        "processed": is_final(state) or state is MailState.FAILED,
        "step": step,
        "state": state.value,
        "previous": earlier[-1].value if earlier else None,
        # Plain strings: psycopg looks an enum's members up for each value that it sends.
        "states": [state.value for state, _ in entered],
        "details": [json.dumps(_storable(detail)) for _, detail in entered],
    }


def _pending(mails: Sequence[MailRef]) -> dict[str, list[object]]:
    """A column each. In one order for all, so that two processes never wait for each other."""
    rows = [_storable(_mail(mail)) for mail in sorted(mails, key=lambda mail: mail.workflow_id)]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _mail(mail: MailRef) -> dict[str, object]:
    return {
        **_key(mail),
        "workflow_id": mail.workflow_id,
        "subject": mail.subject,
        "sender": mail.sender,
        "received_at": mail.received_at,
        "blob": mail.blob,
    }


def _storable(values: Mapping[str, object]) -> dict[str, object]:
    """Without NUL, which PostgreSQL refuses: a server's refusal that has one must not keep a
    failure from being recorded."""
    return {
        name: value.replace("\0", "") if isinstance(value, str) else value
        for name, value in values.items()
    }


def _key(mail: MailRef) -> dict[str, object]:
    return {"owner": mail.owner, "message_id": mail.message_id}


def _draft(draft: NewDraft, code: str) -> Draft:
    shown = draft.text if len(draft.text) <= EXCERPT else draft.text[: EXCERPT - 1] + "…"
    return Draft(
        revision=draft.revision,
        code=code,
        blob=draft.blob,
        length=len(draft.text),
        excerpt=shown,
        note=draft.note,
    )
