"""Mails by their Message-ID: look, decide, retry, time out (seed 003's endpoints)."""

from collections.abc import Awaitable, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from mailroom.adapters.postgres.statistics import Statistics
from mailroom.adapters.postgres.views import TimelineEntry, WorkflowState
from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import Caller, The, Who
from mailroom.bridge.context import Context
from mailroom.bridge.flows import NotRunning
from mailroom.bridge.intake import NobodysMail
from mailroom.bridge.problems import Problem
from mailroom.bridge.reception import Kept
from mailroom.models.arrival import Arrival
from mailroom.models.email_reply import Outcome, OwnersWord, Verdict
from mailroom.models.names import ASKED_AGAIN, REASON_BOUNCED
from mailroom.models.receipts import TextStatus
from mailroom.models.states import MailState

router = APIRouter(tags=["workflow"], route_class=ApiRoute)

DECIDE_WITHIN = timedelta(seconds=20)
FAILED = (MailState.FAILED,)
AWAITING = (MailState.AWAITING_USER,)
PAGE_LIMIT = 200
LARGEST_ID = 2**63 - 1


class WorkflowPage(BaseModel):
    """Newest first. `next_cursor` leads to the next page; None on the last."""

    items: list[WorkflowState]
    next_cursor: int | None


class WorkflowDetail(WorkflowState):
    """`sms_status` is what the provider last said of the text `sms_message_id`: queued, sent,
    delivered, undelivered or failed; None until it says something."""

    sms_status: TextStatus | None
    sms_error_code: str | None
    timeline: list[TimelineEntry]


class AcceptedMail(BaseModel):
    """`spooled`: it is kept until Temporal and PostgreSQL are back; then its workflow starts."""

    workflow_id: str | None
    message_id: str
    new: bool | None
    spooled: bool = False


class Done(BaseModel):
    detail: str


Cursor = Annotated[
    int | None, Query(ge=1, le=LARGEST_ID, description="`next_cursor` of the page before")
]
Limit = Annotated[int, Query(ge=1, le=PAGE_LIMIT)]


@router.get("/workflow/status")
async def status(the: The, who: Who) -> Statistics:
    """All mails by state, and the metrics of seed 003 over the last 24 hours."""
    return await the.statistics.statistics(None if who.operator else who.owners)


@router.get("/workflow/pending")
async def pending(the: The, who: Who, cursor: Cursor = None, limit: Limit = 50) -> WorkflowPage:
    """Mails that wait for their owner's word."""
    return await page_of(the, who, AWAITING, cursor, limit)


@router.get("/workflow/failed")
async def failed(the: The, who: Who, cursor: Cursor = None, limit: Limit = 50) -> WorkflowPage:
    """Mails of which a stage failed; `POST /workflow/{message_id}/retry` goes on."""
    return await page_of(the, who, FAILED, cursor, limit)


@router.get("/workflow")
async def everything(
    the: The,
    who: Who,
    state: Annotated[list[MailState] | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> WorkflowPage:
    return await page_of(the, who, state or (), cursor, limit)


@router.post("/workflow/timeout/{message_id:path}", status_code=HTTPStatus.ACCEPTED)
async def expire(message_id: str, the: The, who: Who) -> Done:
    """Ends the wait for the owner at once: ignored, and the owner is told."""
    row = await the_mail(the, who, message_id)
    if row.current_state is MailState.USER_APPROVED:
        raise Problem(HTTPStatus.CONFLICT, "The wait is over: this mail is user approved.")
    await _running(the, the.flows.expire(row.workflow_id), row)
    return Done(detail="The wait for the owner ends now.")


@router.post("/workflow/{message_id:path}/retry", status_code=HTTPStatus.ACCEPTED)
async def retry(message_id: str, the: The, who: Who) -> Done:
    """Goes on from the stage that failed."""
    row = await the_mail(the, who, message_id)
    if row.current_state is not MailState.FAILED:
        raise Problem(HTTPStatus.CONFLICT, f"Nothing failed: this mail is {row.current_state}.")
    if row.reason in ASKED_AGAIN:
        what = "came back" if row.reason == REASON_BOUNCED else "may have been sent"
        raise Problem(
            HTTPStatus.CONFLICT,
            f"The reply {what}. Decide 1 to send it again, or 3 to leave it.",
        )
    await _running(the, the.flows.retry(row.workflow_id), row)
    return Done(detail=f"The stage {row.failed_stage} is tried again.")


@router.post("/workflow/{message_id:path}/decide")
async def decide(message_id: str, word: OwnersWord, the: The, who: Who) -> Outcome:
    """The owner's word: `{"text": "1"}`, optionally with `revision` and `id`. 409 says why a
    word decided nothing."""
    row = await the_mail(the, who, message_id)
    outcome = await decision(the, row, word.model_copy(update={"via": word.via or "api"}))
    if outcome.verdict is Verdict.REFUSED:
        raise Problem(HTTPStatus.CONFLICT, outcome.text, outcome=outcome.model_dump(mode="json"))
    return outcome


@router.get("/workflow/{message_id:path}")
async def one(message_id: str, the: The, who: Who) -> WorkflowDetail:
    row = await the_mail(the, who, message_id)
    timeline = await the.views.timeline(row.owner, row.message_id)
    receipt = await the.views.receipt(row.sms_message_id) if row.sms_message_id else None
    return WorkflowDetail(
        **row.model_dump(),
        sms_status=receipt.status if receipt else None,
        sms_error_code=receipt.error_code if receipt else None,
        timeline=timeline,
    )


@router.post("/emails", status_code=HTTPStatus.ACCEPTED)
async def accept(
    request: Request,
    the: The,
    who: Who,
    sender: Annotated[str | None, Query(description="envelope sender, if known")] = None,
    recipient: Annotated[list[str] | None, Query(description="envelope recipients")] = None,
) -> AcceptedMail:
    """Takes one mail (`Content-Type: message/rfc822`) as if it had come by SMTP."""
    raw = await request.body()
    if not raw:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The mail is empty.")
    try:
        taken = await the.reception.mail(Arrival(raw, sender, recipient or ()))
    except NobodysMail as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    if isinstance(taken, Kept):
        return AcceptedMail(workflow_id=None, message_id=taken.message_id, new=None, spooled=True)
    return AcceptedMail(workflow_id=taken.workflow_id, message_id=taken.message_id, new=taken.new)


async def page_of(
    the: Context,
    who: Caller,
    states: Sequence[MailState],
    cursor: int | None,
    limit: int,
) -> WorkflowPage:
    rows = await the.views.page(who.owners, states, cursor, limit + 1)
    more = len(rows) > limit
    items = rows[:limit]
    return WorkflowPage(items=items, next_cursor=items[-1].id if more else None)


async def the_mail(the: Context, who: Caller, message_id: str) -> WorkflowState:
    """The caller's mail with this Message-ID, with or without angle brackets."""
    wrapped = message_id if message_id.startswith("<") else f"<{message_id}>"
    # No Message-ID has what no text of PostgreSQL can have.
    rows = await the.views.find(who.owners, wrapped) if "\0" not in wrapped else []
    if not rows:
        raise Problem(HTTPStatus.NOT_FOUND, f"There is no mail {wrapped}.")
    if len(rows) > 1:
        raise Problem(
            HTTPStatus.CONFLICT, f"Several of your owners got {wrapped}; ask as one of them."
        )
    return rows[0]


async def decision(the: Context, row: WorkflowState, word: OwnersWord) -> Outcome:
    """Asks the workflow; a closed one is answered for by its row."""
    try:
        return await the.flows.decide(row.workflow_id, word, DECIDE_WITHIN)
    except NotRunning:
        return closed(await _now(the, row))


async def _now(the: Context, row: WorkflowState) -> WorkflowState:
    """The row as a workflow that has ended left it; it was open when `row` was read."""
    return await the.views.by_workflow(row.workflow_id) or row


def closed(row: WorkflowState) -> Outcome:
    why = f" ({row.reason})" if row.reason else ""
    said = f"This mail is closed already: {row.current_state.replace('_', ' ')}{why}."
    return Outcome(
        verdict=Verdict.REFUSED, state=row.current_state, revision=row.revision or 0, text=said
    )


async def _running(the: Context, signalled: Awaitable[None], row: WorkflowState) -> None:
    try:
        await signalled
    except NotRunning as error:
        raise Problem(HTTPStatus.CONFLICT, closed(await _now(the, row)).text) from error
