"""Mails and drafts as rows (port `EmailStore`). One statement for each step of a mail."""

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Table,
    Text,
    Update,
    and_,
    cast,
    func,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, Insert, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.schema import (
    draft_numbers,
    drafts,
    events,
    processed_emails,
    workflow_state,
)
from mailroom.models.codes import code_for
from mailroom.models.email_reply import EXCERPT, Draft, MailRef
from mailroom.models.rows import Change, NewDraft
from mailroom.models.states import MailState, is_final, processed_status


class PostgresEmails:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def enter(self, change: Change) -> None:
        """Mail, state and timeline in one statement, so that they never disagree.

        A change older than the row changes nothing and leaves no line in the timeline.
        """
        mail = _upsert(processed_emails, _mail_values(change)).cte("mail")
        state = _upsert(workflow_state, _state_values(change)).returning(
            workflow_state.c.owner, workflow_state.c.message_id
        )
        entered = state.cte("entered")
        lines = insert(events).from_select(
            ["owner", "message_id", "step", "type", "detail"], _lines(change, entered)
        )
        statement = lines.on_conflict_do_nothing().add_cte(mail, entered)
        async with self._engine.connect() as connection:
            await connection.execute(statement)
            if is_final(change.states[-1]):
                await connection.execute(_retire(change.mail))

    async def save_draft(self, mail: MailRef, draft: NewDraft) -> Draft:
        found = await self._draft(mail, draft.revision)
        while found is None:
            found = await self._insert_draft(mail, draft)
        return _draft(draft, found)

    async def reply_blob(self, mail: MailRef) -> str | None:
        query = select(workflow_state.c.reply_blob).where(_is(workflow_state, mail))
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def _draft(self, mail: MailRef, revision: int) -> str | None:
        query = select(drafts.c.code).where(_is(drafts, mail), drafts.c.revision == revision)
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def _insert_draft(self, mail: MailRef, draft: NewDraft) -> str | None:
        """The draft's code; None if another live draft has it, or this one came in between."""
        async with self._engine.connect() as connection:
            code = code_for(await connection.scalar(select(draft_numbers.next_value())) or 0)
            values = {
                "owner": mail.owner,
                "message_id": mail.message_id,
                "revision": draft.revision,
                "code": code,
                "blob": draft.blob,
                "length": len(draft.text),
                "note": draft.note,
                "instructions": draft.instructions,
            }
            try:
                await connection.execute(insert(drafts).values(values))
            except IntegrityError:
                return await self._draft(mail, draft.revision)
            if draft.revision > 1:
                await connection.execute(_retire(mail, before=draft.revision))
        return code


def _upsert(table: Table, values: dict[str, object]) -> Insert:
    statement = insert(table).values(values)
    changed: dict[str, Any] = {name: statement.excluded[name] for name in values if name not in _FIXED}
    if table is workflow_state:
        changed["updated_at"] = func.now()
        if "previous_state" not in values:
            changed["previous_state"] = workflow_state.c.current_state
    return statement.on_conflict_do_update(
        index_elements=["owner", "message_id"],
        set_=changed,
        where=table.c.step <= statement.excluded.step,
    )


_FIXED = {"owner", "message_id", "workflow_id", "received_at"}


def _mail_values(change: Change) -> dict[str, object]:
    mail, state = change.mail, change.states[-1]
    values: dict[str, object] = {
        "owner": mail.owner,
        "message_id": mail.message_id,
        "workflow_id": mail.workflow_id,
        "subject": mail.subject,
        "from": mail.sender,
        "received_at": mail.received_at,
        "blob": mail.blob,
        "status": processed_status(state),
        "step": change.order,
    }
    if is_final(state) or state is MailState.FAILED:
        values["processed_at"] = func.now()
    return values


def _state_values(change: Change) -> dict[str, object]:
    mail = change.mail
    values: dict[str, object] = {
        "owner": mail.owner,
        "message_id": mail.message_id,
        "workflow_id": mail.workflow_id,
        "email_subject": mail.subject,
        "email_from": mail.sender,
        "current_state": change.states[-1],
        "step": change.order,
        **change.columns.model_dump(exclude_unset=True),
    }
    if len(change.states) > 1:
        values["previous_state"] = change.states[-2]
    return values


def _lines(change: Change, entered: CTE) -> Select[tuple[object, ...]]:
    """One timeline line for each state, only if the row was written."""
    names = func.unnest(cast(list(change.states), ARRAY(Text))).table_valued(
        "type", with_ordinality="position"
    )
    line = names.render_derived()
    return (
        select(
            entered.c.owner,
            entered.c.message_id,
            literal(change.order),
            line.c.type,
            literal(change.detail, JSONB),
        )
        .select_from(entered.join(line, true()))
        .order_by(line.c.position)
    )


def _retire(mail: MailRef, before: int | None = None) -> Update:
    """Frees the codes of drafts that nobody can answer any more."""
    statement = update(drafts).where(_is(drafts, mail), drafts.c.live).values(live=False)
    return statement if before is None else statement.where(drafts.c.revision < before)


def _is(table: Table, mail: MailRef) -> ColumnElement[bool]:
    return and_(table.c.owner == mail.owner, table.c.message_id == mail.message_id)


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
