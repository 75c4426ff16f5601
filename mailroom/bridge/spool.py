"""The spool, for the operator: what waits, since when and why; and a drain at once."""

import asyncio
from datetime import datetime
from functools import partial
from http import HTTPStatus

from fastapi import APIRouter, Request
from pydantic import BaseModel

from mailroom.adapters.spool.spool import Spool
from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.forwarder import Drained, Forwarder
from mailroom.bridge.problems import Problem
from mailroom.models.spool import Kind, Queue, name_of

router = APIRouter(tags=["spool"], route_class=ApiRoute)


class SpoolStatus(BaseModel):
    """`oldest` is when the oldest entry of all queues was accepted."""

    open: bool
    since: datetime | None
    why: str | None
    queues: dict[Queue, dict[Kind, int]]
    oldest: datetime | None


@router.get("/spool")
async def status(the: The, who: Operator) -> SpoolStatus:
    """How much waits, and whether the way on is open."""
    way = the.handover.way
    queues, oldest = await asyncio.to_thread(_contents, the.handover.spool)
    return SpoolStatus(open=way.is_open, since=way.since, why=way.why, queues=queues, oldest=oldest)


@router.post("/spool/drain")
async def drain(request: Request, the: The, who: Operator) -> Drained:
    """Sends on what waits, now. 503 while the way is closed."""
    forwarder: Forwarder = request.app.state.forwarder
    drained = await forwarder.drain()
    way = the.handover.way
    if not way.is_open:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"{way.why} {drained.left} entries wait and go on by themselves.",
        )
    return drained


def _contents(spool: Spool) -> tuple[dict[Queue, dict[Kind, int]], datetime | None]:
    counts = {queue: dict(spool.counts(queue)) for queue in Queue}
    return counts, min(filter(None, map(partial(_oldest, spool), Queue)), default=None)


def _oldest(spool: Spool, queue: Queue) -> datetime | None:
    file = min(spool.files(queue), key=lambda file: file.partition("-")[2], default="")
    name = name_of(file)
    return name.queued_at if name else None
