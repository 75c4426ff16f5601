"""`/queue/kumomta`: the queues of the KumoMTA that delivers for us, and what is in them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.problems import Problem
from mailroom.models.outbound.relay import (
    KumoMTAMessageDetails,
    KumoMTAQueueResponse,
    LastResponse,
)
from mailroom.models.outbound.submission import Name
from mailroom.ports import Permanent, Transient
from mailroom.ports.relay import NotThere, RelayAdmin, RelayAway

router = APIRouter(prefix="/queue/kumomta", tags=["queue"], route_class=ApiRoute)

MOST_QUEUES = 10_000

Limit = Annotated[int, Query(ge=1, le=MOST_QUEUES)]
QueueName = Annotated[Name | None, Query(description="only this one")]
SpoolId = Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,100}$", description="as in its log")]


@router.get("/queues")
async def queues(
    the: The, who: Operator, name: QueueName = None, limit: Limit = 1_000
) -> KumoMTAQueueResponse:
    """Scheduled and ready queues, those with the most messages first."""
    async with _relay(the) as relay:
        return await relay.queues(limit, name)


@router.get("/messages/{id}", response_model_exclude_none=True)
async def message(id: SpoolId, the: The, who: Operator) -> KumoMTAMessageDetails:
    async with _relay(the) as relay:
        found = await relay.message(id)
    if found.last_response is None and found.message_id:
        return found.model_copy(update={"last_response": await _known(the, found.message_id)})
    return found


async def _known(the: Context, message_id: str) -> LastResponse | None:
    """What its log has told us of our own message."""
    try:
        item = await the.message_views.one(UUID(message_id))
    except ValueError:
        return None
    response = item.smtp_response if item else None
    return LastResponse(code=response.code, message=response.message) if response else None


@asynccontextmanager
async def _relay(the: Context) -> AsyncIterator[RelayAdmin]:
    """KumoMTA's refusals as ours."""
    if the.relay is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "No KumoMTA delivers for us; set MAILROOM_OUTBOUND_ROUTE to kumomta, and KUMOMTA_URL.",
        )
    try:
        yield the.relay
    except RelayAway as error:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
    except NotThere as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
    except (Permanent, Transient) as error:
        raise Problem(HTTPStatus.BAD_GATEWAY, str(error)) from error
