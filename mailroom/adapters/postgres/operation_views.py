"""Operations as they are asked for, and as people look at them: the audit trail."""

import json
from uuid import UUID, uuid4

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mailroom.adapters.postgres.engine import Engines
from mailroom.adapters.postgres.operation_rows import result_of
from mailroom.models.outbound.bulk import OperationFilter, OperationStatus, OperationView
from mailroom.models.outbound.operation_request import OperationRequest


class PostgresOperationViews:
    def __init__(self, engines: Engines) -> None:
        self._read: AsyncEngine = engines.read
        self._write: AsyncEngine = engines.write

    async def add(self, id: UUID, request: OperationRequest, requested_by: str) -> bool:
        """False where this ID is another operation's. The same one again is the same, though what
        lasts for an hour ends at another moment then."""
        lasts = "for" in (request.metadata or {})
        request = request.settled()
        known = request.model_dump(mode="json")
        selection = request.selection
        given = {
            "operation": known["operation"],
            "queue_name": known["queue_name"],
            "message_ids": request.message_ids,
            "filter": _json(known["filter"] and _without_defaults(request)),
            "selection": _json(selection and selection.model_dump(mode="json", exclude_unset=True)),
            "whole": request.whole and request.whole.model_dump_json(),
            "metadata": _json(known["metadata"]),
            "reason": known["reason"],
            "dry_run": known["dry_run"],
        }
        values = given | {"id": id, "by": requested_by, "moving": ["until"] if lasts else []}
        async with self._write.connect() as connection:
            return await connection.scalar(_ADD, values) is not None

    async def note(self, request: OperationRequest, requested_by: str) -> None:
        """What was done in another way, in one word."""
        given = request.model_dump(mode="json", include={"operation", "queue_name", "reason"})
        chosen = request.filter and _without_defaults(request)
        values = given | {
            "id": uuid4(),
            "message_ids": request.message_ids,
            "filter": _json(chosen),
            "metadata": _json(request.metadata),
            "messages": len(request.message_ids or ()),
            "by": requested_by,
        }
        async with self._write.connect() as connection:
            await connection.execute(_NOTE, values)

    async def one(self, id: UUID) -> OperationView | None:
        # Who has just asked for it looks at what was just written.
        async with self._write.connect() as connection:
            row = (await connection.execute(_ONE, {"id": id})).mappings().first()
        return _view(row) if row else None

    async def page(self, wanted: OperationFilter, limit: int) -> list[OperationView]:
        """The newest first."""
        values = {
            "operation": wanted.operation,
            "status": wanted.status,
            "before": wanted.before,
            "before_id": wanted.before_id,
            "limit": limit,
        }
        async with self._read.connect() as connection:
            rows = (await connection.execute(_PAGE, values)).mappings()
            return [_view(row) for row in rows]


def _json(value: object) -> str | None:
    return json.dumps(value) if value else None


def _without_defaults(request: OperationRequest) -> object:
    assert request.filter is not None
    return request.filter.model_dump(mode="json", exclude_unset=True)


def _view(row: RowMapping) -> OperationView:
    known = {name: row[name] for name in OperationView.model_fields if name in row}
    ended = OperationStatus(row["status"]).ended
    return OperationView.model_validate(
        known | {"sample": row["sample"] or [], "result": result_of(row) if ended else None}
    )


_SHOWN = """
    SELECT id, operation, dry_run, queue_name, message_ids, filter, metadata, whole, reason,
           requested_by, created_at, confirmed_at, finished_at, sample, status, messages, done,
           affected, failed, affected_queues, errors
    FROM queue_operations
"""
_ADD = text("""
    WITH added AS (
        INSERT INTO queue_operations (id, operation, queue_name, message_ids, filter, selection,
                                      whole, metadata, reason, dry_run, requested_by)
        VALUES (:id, :operation, :queue_name, CAST(:message_ids AS uuid[]),
                CAST(:filter AS jsonb), CAST(:selection AS jsonb), CAST(:whole AS jsonb),
                CAST(:metadata AS jsonb), :reason, :dry_run, :by)
        ON CONFLICT (id) DO NOTHING RETURNING id
    )
    SELECT id FROM added
    UNION ALL
    SELECT id FROM queue_operations
    WHERE id = :id
      AND (operation, queue_name, message_ids, filter, reason, dry_run,
           metadata - CAST(:moving AS text[]))
          IS NOT DISTINCT FROM
          (CAST(:operation AS text), CAST(:queue_name AS text), CAST(:message_ids AS uuid[]),
           CAST(:filter AS jsonb), CAST(:reason AS text), CAST(:dry_run AS boolean),
           CAST(:metadata AS jsonb) - CAST(:moving AS text[]))
""")
_NOTE = text("""
    INSERT INTO queue_operations (id, operation, queue_name, message_ids, filter, metadata, reason,
                                  dry_run, requested_by, status, messages, done, affected,
                                  planned_at, finished_at)
    VALUES (:id, :operation, :queue_name, CAST(:message_ids AS uuid[]), CAST(:filter AS jsonb),
            CAST(:metadata AS jsonb), :reason, false, :by, 'completed', :messages, :messages,
            :messages, now(), now())
""")
_ONE = text(f"{_SHOWN} WHERE id = :id")
_PAGE = text(f"""
    {_SHOWN}
    WHERE (CAST(:operation AS text) IS NULL OR operation = :operation)
      AND (CAST(:status AS text) IS NULL OR status = :status)
      AND (CAST(:before AS timestamptz) IS NULL
           OR (created_at, id) < (CAST(:before AS timestamptz), CAST(:before_id AS uuid)))
    ORDER BY created_at DESC, id DESC LIMIT :limit
""")
