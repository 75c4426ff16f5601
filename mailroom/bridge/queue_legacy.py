"""The outbound queue in the shape of the old one, while its clients move (seed 004, section 4)."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from email_validator import EmailNotValidError
from fastapi import APIRouter, Depends, Query, Response

from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.legacy_orders import NoMessage, NotPossible
from mailroom.bridge.problems import Problem
from mailroom.models.base import Frozen
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.legacy import LegacyStatus, QueueItem, adapt_status
from mailroom.models.outbound.legacy_check import BadRecord, checked, mailbox
from mailroom.models.outbound.legacy_records import legacy_view, uuid_of
from mailroom.models.outbound.listing import Place, place_of
from mailroom.models.outbound.words import MessageQueueStatus

# RFC 9745: since 21 November 2026, the day on which both shapes were served for the first time.
DEPRECATION = "@1795219200"
# RFC 8288; `successor-version` is of RFC 5829.
LINK = '</queue/messages>; rel="successor-version"'


async def _adapter(the: The, response: Response) -> None:
    if not the.queue_model.legacy:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "The old queue's shape is not served here; set ENABLE_LEGACY_QUEUE_ADAPTER=true, or "
            "use /queue/messages.",
        )
    response.headers["Deprecation"], response.headers["Link"] = DEPRECATION, LINK


router = APIRouter(
    prefix="/queue/legacy",
    tags=["queue"],
    route_class=ApiRoute,
    dependencies=[Depends(_adapter)],
    deprecated=True,
)


class LegacyPage(Frozen):
    """`next_cursor` leads to the next page; None on the last."""

    items: list[QueueItem]
    next_cursor: str | None


class Wanted(Frozen):
    status: LegacyStatus


Customer = Annotated[str | None, Query(alias="customerId", max_length=100, pattern=r"^[^\x00]*$")]


@router.get("", response_model_exclude_unset=True)
async def legacy_items(
    the: The,
    who: Operator,
    status: LegacyStatus | None = None,
    customer_id: Customer = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    *,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> LegacyPage:
    """All messages, newest first."""
    statuses = [each for each in MessageQueueStatus if status and adapt_status(each) is status]
    place = _place(cursor)
    before = (place.created_at, place.id) if place else None
    found = await the.legacy_queue.store.page(statuses, customer_id, before, limit + 1)
    items = found[:limit]
    last = Place(created_at=items[-1].created_at, id=items[-1].id) if len(found) > limit else None
    return LegacyPage(items=[_shown(one) for one in items], next_cursor=last and last.cursor)


@router.post("", status_code=HTTPStatus.CREATED, response_model_exclude_unset=True)
async def submit_legacy(item: QueueItem, the: The, who: Operator, response: Response) -> QueueItem:
    """Takes a record without content: it is suspended until `PUT /queue/messages/{id}/content`."""
    try:
        message, new = await the.legacy_queue.submit(checked(item), sender_of(the, None))
    except BadRecord as error:
        errors = [one.model_dump() for one in error.problems]
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error}.", errors=errors) from error
    except NotPossible as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error
    if not new:
        response.status_code = HTTPStatus.OK
    return _shown(message)


@router.get("/{id:path}", response_model_exclude_unset=True)
async def legacy_item(id: str, the: The, who: Operator) -> QueueItem:
    """By the old ID, or the message's."""
    found = await the.legacy_queue.store.find(uuid_of(id))
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, str(NoMessage()))
    return _shown(found[0])


@router.patch("/{id:path}", response_model_exclude_unset=True)
async def change_legacy(id: str, wanted: Wanted, the: The, who: Operator) -> QueueItem:
    """To `cancelled`, or `waiting` again; a message that is on its way follows a moment later."""
    try:
        return _shown(await the.legacy_queue.move(uuid_of(id), wanted.status))
    except NoMessage as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
    except NotPossible as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error


def sender_of(the: Context, given: str | None) -> str:
    """The envelope sender, which old records don't have: as given, or EMAIL_ADDRESS, or the first
    owner's."""
    configured = next((a for owner in the.owners.values() for a in owner.addresses), None)
    sender = given or the.queue_model.sender or configured
    if sender is None:
        detail = "A sender is needed, which old records don't have: give one, or set EMAIL_ADDRESS."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    try:
        return mailbox(sender)[0]
    except EmailNotValidError as error:
        detail = f"The sender is no e-mail address. {error}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail) from error


def _shown(message: MessageQueueItem) -> QueueItem:
    return legacy_view(message, datetime.now(UTC))


def _place(cursor: str | None) -> Place | None:
    try:
        return place_of(cursor) if cursor else None
    except ValueError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"cursor: {error}.") from error
