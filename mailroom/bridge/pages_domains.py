"""How well mail to domains goes, and one domain: history, errors, suspension."""

from typing import Annotated
from urllib.parse import quote
from uuid import uuid4

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field, ValidationError

from mailroom.bridge import queue_operations, queue_queues
from mailroom.bridge.audit import note_release
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import back_to, render
from mailroom.bridge.pages_outbound_filter import problems_of
from mailroom.bridge.pages_outbound_words import LASTINGS, shares
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.queue_queues import Cursor
from mailroom.models.outbound.domains import ascii_domain
from mailroom.models.outbound.operation_request import OperationRequest
from mailroom.models.outbound.queue_figures import QueueScope
from mailroom.models.outbound.scopes import SuspensionScope, compared
from mailroom.models.outbound.words import QueueOperationType

router = APIRouter(route_class=PageRoute, include_in_schema=False)

DOMAINS = "/outbound/domains"
PAGE = 50
WAIT = 20.0

Text = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]


class Suspend(BaseModel):
    lasting: Text = ""
    reason: Text = ""


@router.get(DOMAINS)
async def domains_page(
    request: Request, the: The, who: Operator, cursor: Cursor = None
) -> Response:
    page = await queue_queues.domains(the, who, cursor, PAGE)
    return render(request, "domains.html", who, {"page": page, "cursor": cursor})


@router.get(f"{DOMAINS}/find")
async def find(who: Operator, domain: Annotated[Text, Query()] = "") -> Response:
    """For the form, whose address has no path."""
    name = domain.strip()
    return RedirectResponse(f"{DOMAINS}/{quote(name, safe='')}" if name else DOMAINS, 303)


@router.get(f"{DOMAINS}/{{domain}}")
async def domain_page(request: Request, domain: Text, the: The, who: Operator) -> Response:
    return render(request, "domain.html", who, await _shown(the, domain))


@router.get(f"{DOMAINS}/{{domain}}/state")
async def state(request: Request, domain: Text, the: The, who: Operator) -> Response:
    """What changes on the page of a domain."""
    return render(request, "_domain.html", who, await _shown(the, domain))


@router.post(f"{DOMAINS}/{{domain}}/suspend")
async def suspend(
    request: Request, domain: Text, wanted: Annotated[Suspend, Form()], the: The, who: Operator
) -> Response:
    """As an operation, so that the audit trail has it."""
    try:
        name = compared(SuspensionScope.DOMAIN, domain)
        asked = OperationRequest(
            operation=QueueOperationType.SUSPEND,
            filter={"domain": name},
            metadata={"for": wanted.lasting},
            reason=wanted.reason.strip() or None,
        )
    except ValidationError as error:
        return _back(request, domain, " ".join(problems_of(error)))
    except ValueError as error:
        return _back(request, domain, f"{error}.")
    how = queue_operations.How(uuid4(), WAIT)
    begun = await queue_operations.begin(asked, the, who, Response(), how)
    result = begun.operation.result if begun.operation else None
    if result is None or not result.success:
        return RedirectResponse(f"/outbound/operations/{begun.operation_id}", 303)
    return _back(request, name, f"Mail to {name} is suspended.")


@router.post(f"{DOMAINS}/{{domain}}/release")
async def release(request: Request, domain: Text, the: The, who: Operator) -> Response:
    try:
        gone = await the.suspending.release(SuspensionScope.DOMAIN, domain)
    except ValueError as error:
        return _back(request, domain, f"{error}.")
    if gone:
        await note_release(
            the, who, SuspensionScope.DOMAIN, compared(SuspensionScope.DOMAIN, domain)
        )
    said = f"Mail to {domain} goes on." if gone else f"Nothing suspends mail to {domain}."
    return _back(request, domain, said)


def _back(request: Request, domain: str, notice: str) -> Response:
    return back_to(request, f"{DOMAINS}/{quote(domain, safe='')}", notice)


async def _shown(the: Context, domain: str) -> dict[str, object]:
    name = ascii_domain(domain.strip())
    health = await the.domain_views.domain(name)
    counts = await the.queue_figures.statuses(QueueScope(domain=name))
    suspended = await the.suspensions.one(SuspensionScope.DOMAIN, name)
    return {
        "domain": name,
        "health": health,
        "history": await the.domain_views.history(name) if health else [],
        "errors": await the.domain_views.errors(name),
        "total": sum(counts.values()),
        "shares": shares(counts),
        "suspension": suspended,
        "lastings": LASTINGS,
    }
