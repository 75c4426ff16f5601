"""Operations over many messages, as their workflows carry them out (port `OperationStore`)."""

import json
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mailroom.adapters.postgres.filter_sql import Where
from mailroom.adapters.postgres.operation_plan_sql import (
    COUNTED,
    ENTER,
    PLANNED,
    ROW,
    SAMPLE,
    SINGLE,
    SNAPSHOT,
    STATE,
)
from mailroom.adapters.postgres.operation_rows import (
    detail_of,
    meant_by,
    relay_order,
    result_of,
    used_by,
    words_of,
)
from mailroom.adapters.postgres.queue_operations_sql import (
    FINISH,
    HELD_FOR,
    MEANT,
    ORPHANS,
    SHARE,
    TOLD,
    UNUSED,
)
from mailroom.models.outbound.bulk import (
    MOST_ERRORS,
    SAMPLED,
    OperationProgress,
    OperationStatus,
    Reach,
    Reached,
    RelayOrder,
    Whole,
)
from mailroom.models.outbound.config import OutboundSection
from mailroom.models.outbound.message import (
    OUTBOUND,
    Change,
    Order,
    OutboundInput,
    OutboundMessage,
    OutboundProgress,
)
from mailroom.models.outbound.operations import QueueOperationResult
from mailroom.models.outbound.orders import EVENTS
from mailroom.models.outbound.transitions import WAITING
from mailroom.models.outbound.words import QueueOperationType as Op
from mailroom.models.outbound.words import QueueState
from mailroom.ports import Permanent

MOST_QUEUES = 1_000
_PROGRESS = ", ".join(OperationProgress.model_fields)


class PostgresOperations:
    def __init__(self, engine: AsyncEngine, outbound: OutboundSection) -> None:
        self._engine = engine
        self._outbound = outbound

    async def plan(self, id: UUID) -> OperationProgress:
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            async with connection.begin():
                row = await self._row(connection, id, lock=True)
                if row["planned_at"] is None:
                    await self._choose(connection, id, row)
                return await self._progress(connection, id)

    async def _choose(self, connection: AsyncConnection, id: UUID, row: RowMapping) -> None:
        await _refuse_closed(connection, Op(row["operation"]), row["metadata"] or {})
        meant = meant_by(row)
        chosen = {**meant.values}
        number = await self._number(connection, id, row, meant)
        sample = await connection.execute(
            text(SAMPLE.format(where=meant.sql)), chosen | {"limit": SAMPLED}
        )
        shown = json.dumps([dict(one) for one in sample.mappings()], default=str)
        await connection.execute(PLANNED, {"id": id, "messages": number, "sample": shown})

    async def _number(
        self, connection: AsyncConnection, id: UUID, row: RowMapping, meant: Where
    ) -> int:
        """Of those that are to be changed one by one; they are written down."""
        if row["dry_run"]:
            counting = f"SELECT count(*) FROM message_queue AS m WHERE {meant.sql}"  # noqa: S608
            return int(await connection.scalar(text(counting), meant.values) or 0)
        if row["whole"] and row["operation"] == Op.SUSPEND:
            return 0
        snapshot = SNAPSHOT.format(where=meant.sql)
        statement = text(snapshot if row["message_ids"] is None else SINGLE)
        return (await connection.execute(statement, {**meant.values, "id": id})).rowcount

    async def enter(self, id: UUID, status: OperationStatus) -> None:
        async with self._engine.connect() as connection:
            await connection.execute(ENTER, {"id": id, "status": status.value})

    async def order(self, id: UUID) -> RelayOrder | None:
        async with self._engine.connect() as connection:
            return relay_order(await self._row(connection, id))

    async def share(self, id: UUID, limit: int, *, at_relay: bool) -> Sequence[Reached]:
        async with self._engine.connect() as connection:
            row = await self._row(connection, id)
            op = Op(row["operation"])
            values = words_of(row) | {
                "id": id,
                "limit": limit,
                "single": row["message_ids"] is not None,
                "at_relay": at_relay,
                "waiting": sorted(status.value for status in WAITING),
                "owner": OUTBOUND,
            }
            if op is not Op.PURGE:
                values |= {
                    "event": EVENTS[Order(op.value)].value,
                    "detail": json.dumps(detail_of(row)),
                }
            rows = (await connection.execute(SHARE[op], used_by(SHARE[op].text, values))).mappings()
            return [self._reached(one, row["reason"]) for one in rows]

    def _reached(self, row: RowMapping, reason: str | None) -> Reached:
        known = {"id": row["id"], "reach": row["reach"], "blob": row["blob"]}
        if row["reach"] != Reach.CHANGED or "status" not in row:
            return Reached.model_validate(known)
        change = {name: row[name] for name in Change.model_fields if name in row}
        change |= {"weight": self._outbound.weight(row["queue_name"]), "reason": reason}
        return Reached.model_validate(known | {"change": change, "due_later": row["due_later"]})

    async def words(self, id: UUID) -> Sequence[str | int] | None:
        async with self._engine.connect() as connection:
            row = await self._row(connection, id)
        words, reason = row["metadata"] or {}, row["reason"] or ""
        match Op(row["operation"]):
            case Op.REBIND:
                return None if "routing_domain" in words else [words["queue_name"], reason]
            case Op.SET_PRIORITY:
                return [words["priority"]]
        return [reason]

    async def orphans(self, ids: Sequence[UUID]) -> Sequence[OutboundInput]:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(ORPHANS, {"ids": list(ids)})).mappings().all()
        return [self._input(row) for row in rows]

    def _input(self, row: RowMapping) -> OutboundInput:
        message = {name: row[name] for name in OutboundMessage.model_fields if name in row}
        message["weight"] = self._outbound.weight(row["queue_name"])
        progress = {name: row[name] for name in OutboundProgress.model_fields if name in row}
        return OutboundInput.model_validate({"message": message, "carried": progress})

    async def unused(self, blobs: Collection[str]) -> Collection[str]:
        async with self._engine.connect() as connection:
            return set(await connection.scalars(UNUSED, {"blobs": list(blobs)}))

    async def told(
        self,
        id: UUID,
        affected: Mapping[UUID, str],
        same: Collection[UUID],
        failed: Mapping[UUID, str],
    ) -> OperationProgress:
        values = {
            "id": id,
            "over": [*affected, *same],
            "affected": list(affected),
            "queues": sorted(set(affected.values()) - {""}),
            "failed": list(failed),
            "errors": list(failed.values()),
            "most_queues": MOST_QUEUES,
        }
        async with self._engine.connect() as connection:
            row = (await connection.execute(TOLD, values)).mappings().one()
        return OperationProgress.model_validate(dict(row))

    async def whole(self, id: UUID) -> tuple[Whole, str] | None:
        async with self._engine.connect() as connection:
            row = await self._row(connection, id)
            if row["whole"] is None:
                return None
            whole = Whole.model_validate(row["whole"])
            held = {"scope": whole.scope.value, "name": whole.name}
            before = await connection.scalar(HELD_FOR, held)
        return whole, row["reason"] or before or "by an operator"

    async def counted(self, id: UUID, whole: Whole) -> OperationProgress:
        values = {"id": id, "name": whole.name, "waiting": MEANT[Op.CANCEL]}
        async with self._engine.connect() as connection:
            await connection.execute(COUNTED[whole.scope], values)
            return await self._progress(connection, id)

    async def finish(
        self, id: UUID, status: OperationStatus, error: str | None = None
    ) -> QueueOperationResult:
        values = {"id": id, "status": status.value, "error": error, "most": MOST_ERRORS}
        async with self._engine.connect() as connection:
            await connection.execute(FINISH, values)
            return result_of(await self._row(connection, id))

    async def _progress(self, connection: AsyncConnection, id: UUID) -> OperationProgress:
        statement = text(f"SELECT {_PROGRESS} FROM queue_operations WHERE id = :id")  # noqa: S608
        row = (await connection.execute(statement, {"id": id})).mappings().one()
        return OperationProgress.model_validate(dict(row))

    async def _row(
        self, connection: AsyncConnection, id: UUID, *, lock: bool = False
    ) -> RowMapping:
        statement = text(ROW + (" FOR UPDATE" if lock else ""))
        row = (await connection.execute(statement, {"id": id})).mappings().first()
        if row is None:
            raise Permanent("There is no such operation.")
        return row


async def _refuse_closed(connection: AsyncConnection, op: Op, words: Mapping[str, object]) -> None:
    if op is not Op.REBIND or "queue_name" not in words:
        return
    name = words["queue_name"]
    state = await connection.scalar(STATE, {"name": name})
    if state and not QueueState(state).accepts:
        raise Permanent(f"The queue {name} is {state} and takes no messages.")
