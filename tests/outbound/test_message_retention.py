"""Outbound messages that ended long ago go; what waits stays."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from house import TOKEN, House, bridge_on
from outbound_world import Outbound
from sqlalchemy import text

from mailroom.models.names import MAIL_TASK_QUEUE
from mailroom.models.retention import Retained
from mailroom.ports import Permanent
from workflows.retention import RetentionWorkflow


async def run(house: House) -> Retained:
    return await house.client.execute_workflow(
        RetentionWorkflow.run, id=f"retention-{uuid4()}", task_queue=MAIL_TASK_QUEUE
    )


async def old(house: House, *messages: UUID, days: int) -> None:
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(
            text("UPDATE message_queue SET updated_at = now() - :ago WHERE id = ANY(:ids)"),
            {"ids": list(messages), "ago": timedelta(days=days)},
        )


async def blob_of(house: House, message: UUID) -> str | None:
    async with house.adapters.engines.write.connect() as connection:
        return await connection.scalar(  # type: ignore[no-any-return]
            text("SELECT blob FROM message_queue WHERE id = :id"), {"id": message}
        )


async def test_bodies_go_first_and_rows_later(dev_house: House, marker: str) -> None:
    async with dev_house.at_work(), bridge_on(dev_house.context) as http:
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        outbound = Outbound(dev_house, http, marker)
        done, waits = await outbound.submit(), await outbound.submit("wait")
        await outbound.reached(done, "deferred")
        await outbound.tell(done, "cancel")
        await outbound.reached(done, "cancelled")
        await old(dev_house, done, waits, days=91)
        blob = await blob_of(dev_house, done)
        assert blob is not None
        assert (await run(dev_house)).bodies.messages == 1
        assert await blob_of(dev_house, done) is None
        assert await blob_of(dev_house, waits) is not None
        await old(dev_house, done, waits, days=401)
        assert (await run(dev_house)).rows.messages == 1
        gone = await http.get(f"/queue/messages/{done}")
        assert gone.status_code == 404
        assert (await outbound.item(waits)).status == "deferred"
        with pytest.raises(Permanent):
            await dev_house.adapters.blobs.get(blob)
        await outbound.tell(waits, "cancel")
        await outbound.reached(waits, "cancelled")
