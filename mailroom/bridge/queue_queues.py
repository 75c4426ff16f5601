"""`/queue/queues` and `/queue/domains`: what queues may do, and how well mail to domains goes."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query

from mailroom.adapters.postgres.domain_views import DomainPage
from mailroom.adapters.postgres.queue_views import QueuePage
from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.audit import note_state
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.problems import Problem
from mailroom.models.outbound.domains import ascii_domain
from mailroom.models.outbound.queues import (
    DomainCursor,
    DomainHealth,
    HealthThen,
    QueueView,
    SetState,
)
from mailroom.models.outbound.submission import Name

router = APIRouter(prefix="/queue", tags=["queue"], route_class=ApiRoute)

PAGE_LIMIT = 200
LONGEST_CURSOR = 500

Limit = Annotated[int, Query(ge=1, le=PAGE_LIMIT)]
Cursor = Annotated[
    str | None, Query(max_length=LONGEST_CURSOR, description="`next_cursor` of the page before")
]
QueueName = Annotated[Name, Path()]


class DomainDetail(DomainHealth):
    """With how it was in the last seven days, hour by hour, the newest first."""

    history: list[HealthThen]


@router.get("/queues")
async def queues(
    the: The, who: Operator, cursor: Cursor = None, limit: Limit = PAGE_LIMIT
) -> QueuePage:
    if cursor and "\0" in cursor:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, _NO_CURSOR)
    return await the.queue_views.queues(limit, cursor or "")


@router.get("/queues/{queue_name:path}")
async def queue(queue_name: QueueName, the: The, who: Operator) -> QueueView:
    """A queue that nobody said anything of is active."""
    return await the.queue_views.queue(queue_name)


@router.put("/queues/{queue_name:path}")
async def set_state(queue_name: QueueName, wanted: SetState, the: The, who: Operator) -> QueueView:
    """What the queue may do from now on. What it held goes on where it delivers."""
    await the.queue_states.set(queue_name, wanted)
    await the.suspending.set_queue(queue_name, wanted)
    await note_state(the, who, queue_name, wanted)
    await the.queue_flows.look_after(queue_name)
    return await the.queue_views.queue(queue_name)


@router.get("/domains")
async def domains(
    the: The, who: Operator, cursor: Cursor = None, limit: Limit = PAGE_LIMIT
) -> DomainPage:
    """Health of domains, the worst first."""
    try:
        place = DomainCursor.of(cursor) if cursor else None
    except ValueError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, _NO_CURSOR) from error
    return await the.domain_views.domains(limit, place)


@router.get("/domains/{domain}")
async def domain(domain: QueueName, the: The, who: Operator) -> DomainDetail:
    found = await the.domain_views.domain(ascii_domain(domain))
    if found is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            f"Nothing is known of {domain}: no message to it was tried in the last 30 days.",
        )
    history = await the.domain_views.history(found.domain)
    return DomainDetail.model_validate({**found.model_dump(), "history": history})


_NO_CURSOR = "This is no cursor; take `next_cursor` of the page before."
