"""How far each mailbox was read (port `MailboxStore`). A row belongs to an account: another user
or host is another row."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.models.mailbox import Cursor, Mailbox, Reading

# To the second, as INTERNALDATE is: what comes in the second of the first sight is new. Another
# name is another folder, of which nothing is known.
_FIRST_SEEN = text("""
    INSERT INTO mailboxes AS m (id, owner, name, answer_since)
    VALUES (:id, :owner, :name, date_trunc('second', now()))
    ON CONFLICT (id) DO UPDATE
    SET name = excluded.name, uidvalidity = NULL, last_uid = NULL, problem = NULL,
        problem_since = NULL
    WHERE m.name <> excluded.name
""")
# Of mail whose rows retention has deleted nobody knows whether it was answered.
_READING = text("""
    SELECT uidvalidity, last_uid, answer_since,
           (SELECT older_than FROM retention WHERE what = 'rows') AS rows_since
    FROM mailboxes WHERE id = :id
""")
_MOVE = text("""
    UPDATE mailboxes SET uidvalidity = :uidvalidity, last_uid = :uid, seen_at = now()
    WHERE id = :id
""")
_LOOKED = text("""
    UPDATE mailboxes SET seen_at = now(), problem = NULL, problem_since = NULL WHERE id = :id
""")
_TROUBLE = text("""
    UPDATE mailboxes SET problem = :problem, problem_since = coalesce(problem_since, now())
    WHERE id = :id
""")
# Also of its folders.
_LET_GO = text("""
    UPDATE mailboxes SET problem = NULL, problem_since = NULL
    WHERE id = :id OR starts_with(id, :id || '/')
""")
_TAKEN = text("SELECT 1 FROM processed_emails WHERE owner = :owner AND message_id = :message_id")


class PostgresMailboxes:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def reading(self, mailbox: Mailbox) -> Reading:
        named = {"id": mailbox.id, "owner": mailbox.owner, "name": mailbox.name}
        async with self._engine.connect() as connection:
            await connection.execute(_FIRST_SEEN, named)
            row = (await connection.execute(_READING, {"id": mailbox.id})).one()
        cursor = None
        if row.uidvalidity is not None:
            cursor = Cursor(uidvalidity=row.uidvalidity, uid=row.last_uid)
        since = mailbox.answer_since or row.answer_since
        return Reading(cursor=cursor, answer_since=max(since, row.rows_since or since))

    async def move(self, mailbox: Mailbox, cursor: Cursor) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(_MOVE, {"id": mailbox.id} | cursor.model_dump())

    async def looked(self, mailbox: Mailbox) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(_LOOKED, {"id": mailbox.id})

    async def trouble(self, mailbox: Mailbox, problem: str) -> None:
        values = {"id": mailbox.id, "problem": problem.replace("\0", "")}
        async with self._engine.connect() as connection:
            await connection.execute(_TROUBLE, values)

    async def let_go(self, mailbox_id: str) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(_LET_GO, {"id": mailbox_id})

    async def taken(self, owner: str, message_id: str) -> bool:
        values = {"owner": owner, "message_id": message_id}
        async with self._engine.connect() as connection:
            return await connection.scalar(_TAKEN, values) is not None
