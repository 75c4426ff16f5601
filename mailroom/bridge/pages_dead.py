"""Dead letters: why each is dead, and replaying or discarding some or all that match."""

import asyncio
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError

from mailroom.bridge import letter_bulk
from mailroom.bridge.agent_auth import AgentCaller
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.context import Context
from mailroom.bridge.letter_bulk import Chosen
from mailroom.bridge.letter_orders import Order, give_and_see
from mailroom.bridge.letter_reading import LONGEST_SEARCH
from mailroom.bridge.pages_html import back_to, render
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.problems import Problem
from mailroom.models.agent_addresses import FORM
from mailroom.models.agent_mail import MOST_ADDRESS, LetterState, Priority
from mailroom.models.base import Frozen
from mailroom.models.letter_rows import LARGEST_NUMBER, LetterFilter, LetterRow

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PAGE = 50
MOST_LISTED = 20
CHOOSE = "Choose a letter first."
NOTHING = "No dead letter is among them any more."

LetterId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Filter(BaseModel):
    """Which dead letters are shown; an empty field stands for all."""

    to: str = Field(default="", max_length=MOST_ADDRESS)
    priority: Priority | Literal[""] = ""
    search: str = Field(default="", max_length=LONGEST_SEARCH)

    @property
    def chosen(self) -> Chosen:
        """As the API gets it. Raises `Problem` for an address that is none."""
        try:
            return Chosen(
                to=self.to.strip() or None,
                priority=[self.priority] if self.priority else [],
                search=self.search.strip() or None,
            )
        except ValidationError as error:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"{self.to[:60]!r} is no address: {FORM}."
            ) from error

    @property
    def letters(self) -> LetterFilter:
        return self.chosen.filter()

    @property
    def query(self) -> str:
        given = {name: str(value) for name, value in self if name in Filter.model_fields and value}
        return urlencode(given)


class Listed(Filter):
    cursor: int | None = Field(default=None, ge=1, le=LARGEST_NUMBER)


class Scope(StrEnum):
    CHOSEN = "chosen"
    ALL = "all"


class Asked(Filter):
    """What is wanted, and of which letters."""

    order: Order
    scope: Scope
    letter: Annotated[list[LetterId], Field(max_length=PAGE)] = []


class Confirmed(Asked):
    """`count` is how many the person has agreed to."""

    count: int


class Meant(Frozen):
    """How many letters an order is about, and the newest of them."""

    count: int
    first: list[LetterRow]


@router.get("/agents/dead")
async def dead_page(
    request: Request, wanted: Annotated[Listed, Query()], the: The, who: Operator
) -> Response:
    shown: dict[str, object] = {"priorities": list(Priority), "refused": None}
    try:
        shown |= await _part(the, wanted)
    except Problem as problem:
        none: dict[str, object] = {"wanted": wanted, "letters": [], "count": 0, "older": None}
        shown |= none | {"refused": problem.detail}
        return render(request, "dead.html", who, shown, problem.status)
    return render(request, "dead.html", who, shown)


@router.get("/agents/dead/letters")
async def letters(
    request: Request, wanted: Annotated[Listed, Query()], the: The, who: Operator
) -> Response:
    """What changes on the page."""
    return render(request, "_dead.html", who, await _part(the, wanted))


@router.post("/agents/dead/ask")
async def ask(
    request: Request, asked: Annotated[Asked, Form()], the: The, who: Operator
) -> Response:
    """Says how many letters it is about. Nothing happens yet."""
    if asked.scope is Scope.CHOSEN and not asked.letter:
        return _back(request, asked, CHOOSE)
    meant = await _meant(the, asked)
    if not meant.count:
        return _back(request, asked, NOTHING)
    return _question(request, who, asked, meant)


@router.post("/agents/dead")
async def order(
    request: Request, confirmed: Annotated[Confirmed, Form()], the: The, who: Operator
) -> Response:
    meant = await _meant(the, confirmed)
    if not meant.count:
        return _back(request, confirmed, NOTHING)
    if meant.count > confirmed.count:
        return _question(request, who, confirmed, meant, HTTPStatus.CONFLICT)
    done = await _given(the, confirmed)
    letters = "1 letter is" if done == 1 else f"{done:,} letters are"
    what = "tried again" if confirmed.order is Order.REPLAY else "given up"
    return _back(request, confirmed, f"{letters} {what}.")


async def _part(the: Context, wanted: Listed) -> dict[str, object]:
    which = wanted.letters
    found = await the.letter_views.page(which, wanted.cursor, PAGE)
    count = await the.letter_views.count(which)
    return {"wanted": wanted, "letters": found.items, "count": count, "older": found.next_cursor}


async def _meant(the: Context, asked: Asked) -> Meant:
    if asked.scope is Scope.ALL:
        which = asked.letters
        first = await the.letter_views.page(which, None, MOST_LISTED)
        return Meant(count=await the.letter_views.count(which), first=first.items)
    rows = await _dead(the, asked)
    return Meant(count=len(rows), first=rows)


async def _dead(the: Context, asked: Asked) -> list[LetterRow]:
    """Those of the chosen ones that are dead still."""
    rows = await the.letter_views.rows(asked.letter)
    return [row for row in rows if row.status is LetterState.DEAD_LETTER]


async def _given(the: Context, asked: Asked) -> int:
    if asked.scope is Scope.ALL:
        bulk = letter_bulk.replay if asked.order is Order.REPLAY else letter_bulk.discard
        return (await bulk(the, AgentCaller(), asked.chosen)).count
    rows = await _dead(the, asked)
    await asyncio.gather(*(give_and_see(the, asked.order, row) for row in rows))
    return len(rows)


def _question(
    request: Request,
    who: Operator,
    asked: Asked,
    meant: Meant,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    shown = {"asked": asked, "meant": meant, "changed": status is HTTPStatus.CONFLICT}
    return render(request, "dead_ask.html", who, shown, status)


def _back(request: Request, asked: Filter, notice: str) -> Response:
    return back_to(request, f"/agents/dead?{asked.query}".rstrip("?"), notice)
