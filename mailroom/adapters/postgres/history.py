"""What was written before (port `History`): conversations, and edits that an AI may learn from."""

from collections.abc import Sequence

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.drafting import Examples
from mailroom.models.email_reply import MailRef
from mailroom.models.templates import EarlierMail, OwnersEdit
from mailroom.ports import Blobs, Permanent

# Newest of the mails that a mail refers to; a prompt has room for fewer.
THREAD = 20
# How far back edits are looked for: each mail is one step down the index `workflow_state_newest`.
LOOKED_BACK = 300
EDITS = 3

_THREAD = text("""
    SELECT p."from" AS sender, p.subject, p.received_at, s.email_body_preview AS body,
           s.reply_sent_at, s.ai_reply_text AS answer
    FROM processed_emails p JOIN workflow_state s USING (owner, message_id)
    WHERE p.owner = :owner AND p.message_id = ANY(:ids) AND p.message_id <> :message_id
    ORDER BY p.received_at DESC
    LIMIT :limit
""")

_EDITS = text("""
    SELECT before.blob AS before, after.blob AS after, after.instructions
    FROM (
        SELECT id, owner, message_id, email_from, edit_iteration, current_state
        FROM workflow_state WHERE owner = :owner ORDER BY id DESC LIMIT :looked_back
    ) s
    CROSS JOIN LATERAL (
        SELECT d.* FROM drafts d
        WHERE d.owner = s.owner AND d.message_id = s.message_id AND d.instructions IS NOT NULL
        ORDER BY d.revision DESC LIMIT 1
    ) after
    JOIN drafts before ON before.owner = s.owner AND before.message_id = s.message_id
                      AND before.revision = after.revision - 1
    WHERE s.edit_iteration > 0 AND s.current_state = 'reply_sent'
      AND (CAST(:address AS text) IS NULL
           OR lower(s.email_from) = :address
           OR right(lower(s.email_from), length(:address) + 2) = '<' || :address || '>')
    ORDER BY s.id DESC
    LIMIT :limit
""")


class PostgresHistory:
    def __init__(self, engine: AsyncEngine, blobs: Blobs, examples: Examples) -> None:
        self._engine = engine
        self._blobs = blobs
        self._examples = examples

    async def thread(self, mail: MailRef, ids: Sequence[str]) -> list[EarlierMail]:
        if not ids:
            return []
        values = {
            "owner": mail.owner,
            "message_id": mail.message_id,
            "ids": list(ids),
            "limit": THREAD,
        }
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_THREAD, values)).all()
        written = [one for row in rows for one in _written(row)]
        return sorted(written, key=lambda one: one.at)

    async def recent_edits(self, owner: str, correspondent: str | None) -> list[OwnersEdit]:
        if self._examples is Examples.NONE:
            return []
        of_all = self._examples is Examples.ALL
        if not of_all and correspondent is None:
            return []
        values = {
            "owner": owner,
            "address": None if of_all else (correspondent or "").lower(),
            "looked_back": LOOKED_BACK,
            "limit": EDITS,
        }
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_EDITS, values)).all()
        edits = [await self._edit(row) for row in rows]
        return [edit for edit in edits if edit]

    async def _edit(self, row: Row[tuple[str, str, str]]) -> OwnersEdit | None:
        try:
            before, after = await self._blobs.get(row.before), await self._blobs.get(row.after)
        except Permanent:
            # Retention took it.
            return None
        return OwnersEdit(
            before=before.decode(), instructions=row.instructions, after=after.decode()
        )


def _written(row: Row[tuple[object, ...]]) -> list[EarlierMail]:
    mail = EarlierMail(
        sender=row.sender, subject=row.subject, text=row.body or "", at=row.received_at
    )
    if row.reply_sent_at is None or not row.answer:
        return [mail]
    answer = EarlierMail(
        sender="", subject=row.subject, text=row.answer, at=row.reply_sent_at, by_owner=True
    )
    return [mail, answer]
