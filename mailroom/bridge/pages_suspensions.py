"""What is suspended whatever queue it is in: domains, campaigns, tenants and pools."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from mailroom.bridge import queue_suspensions
from mailroom.bridge.audit import note_hold, note_release
from mailroom.bridge.auth import Caller, Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.pages_html import back_to, render
from mailroom.bridge.pages_outbound_words import LASTINGS
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.queue_suspensions import Cursor
from mailroom.models.durations import Duration
from mailroom.models.outbound.scopes import SuspensionScope
from mailroom.models.outbound.submission import Name
from mailroom.models.outbound.suspensions import Suspend

router = APIRouter(route_class=PageRoute, include_in_schema=False)

SUSPENSIONS = "/outbound/suspensions"
PAGE = 100
_LENGTH: TypeAdapter[timedelta] = TypeAdapter(Duration)
_NAME: TypeAdapter[str] = TypeAdapter(Name)

Text = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]


class Held(BaseModel):
    scope: SuspensionScope
    name: Text = ""


class Wanted(Held):
    """An empty `lasting` is until somebody releases it."""

    reason: Text = ""
    lasting: Text = ""


@router.get(SUSPENSIONS)
async def suspensions_page(
    request: Request, the: The, who: Operator, cursor: Cursor = None
) -> Response:
    page = await queue_suspensions.suspensions(the, who, cursor, PAGE)
    shown = {"page": page, "scopes": list(SuspensionScope), "lastings": LASTINGS}
    return render(request, "suspensions.html", who, shown)


@router.post(SUSPENSIONS)
async def suspend(
    request: Request, wanted: Annotated[Wanted, Form()], the: The, who: Operator
) -> Response:
    return back_to(request, SUSPENSIONS, await _held(the, who, wanted))


@router.post(f"{SUSPENSIONS}/release")
async def release(
    request: Request, held: Annotated[Held, Form()], the: The, who: Operator
) -> Response:
    gone = await the.suspending.release(held.scope, held.name)
    if gone:
        await note_release(the, who, held.scope, held.name)
    what = f"{held.scope} {held.name}"
    notice = f"The {what} goes on." if gone else f"Nothing suspends the {what}."
    return back_to(request, SUSPENSIONS, notice)


async def _held(the: Context, who: Caller, wanted: Wanted) -> str:
    """What came of it, in a sentence."""
    if not wanted.reason.strip():
        return "Give a reason: others will ask why."
    try:
        name = _NAME.validate_python(wanted.name.strip())
        length = _LENGTH.validate_python(wanted.lasting) if wanted.lasting else None
        until = datetime.now(UTC) + length if length else None
        asked = Suspend(reason=wanted.reason, until=until)
        found = await the.suspending.hold(wanted.scope, name, asked.reason, asked.until)
        await note_hold(the, who, wanted.scope, found.name, asked)
    except ValidationError:
        return "Give a name of 255 characters at most, and a length such as 1h or 7d."
    except ValueError as error:
        return f"{error}."
    return f"The {found.scope} {found.name} is suspended."
