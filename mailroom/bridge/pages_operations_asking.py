"""What the form under a list, or beside a message, wants done: first it is only counted."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field, ValidationError

from mailroom.bridge import queue_operations
from mailroom.bridge.auth import Operator, The
from mailroom.bridge.pages_html import back_to
from mailroom.bridge.pages_outbound_filter import problems_of
from mailroom.bridge.pages_outbound_list import PAGE, Query, filter_from, list_of
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.problems import Problem
from mailroom.models.outbound.operation_request import OperationRequest
from mailroom.models.outbound.words import QueueOperationType as Op

router = APIRouter(route_class=PageRoute, include_in_schema=False)

OPERATIONS = "/outbound/operations"
LOOKS_FOR = 20.0
"""Seconds in which most have been counted; the page shows later ones as they are."""

Word = Annotated[str, Field(max_length=500)]
Ids = Annotated[list[UUID], Field(max_length=PAGE)]


class Wanted(BaseModel):
    """`message` are the chosen ones, `shown` all of the page, `query` is the list's filter. Of the
    words below each operation takes its own."""

    operation: Op | Literal[""] = ""
    scope: Literal["chosen", "page", "all"] = "chosen"
    message: Ids = []
    shown: Ids = []
    query: Query = ""
    back: Literal["list", "message"] = "list"
    reason: Word = ""
    lasting: Word = ""
    queue_name: Word = ""
    routing_domain: Word = ""
    priority: Word = ""

    @property
    def origin(self) -> str:
        alone = self.back == "message" and len(self.message) == 1
        return f"/outbound/{self.message[0]}" if alone else list_of(filter_from(self.query).query)

    @property
    def metadata(self) -> Mapping[str, Any] | None:
        words: dict[Op | str, tuple[str, ...]] = {
            Op.SUSPEND: ("lasting",),
            Op.REBIND: ("queue_name", "routing_domain"),
            Op.SET_PRIORITY: ("priority",),
        }
        given = {name: getattr(self, name).strip() for name in words.get(self.operation, ())}
        named = {"for" if name == "lasting" else name: said for name, said in given.items() if said}
        return named or None

    def request(self) -> OperationRequest:
        """Raises `Problem` with what is missing."""
        if not self.operation:
            raise _refused("Choose what is to be done.")
        try:
            return OperationRequest(
                operation=self.operation,
                **self._messages(),
                reason=self.reason.strip() or None,
                metadata=dict(self.metadata) if self.metadata else None,
                dry_run=True,
            )
        except ValidationError as error:
            raise _refused(" ".join(problems_of(error))) from error

    def _messages(self) -> dict[str, Any]:
        if self.scope == "all":
            wanted = filter_from(self.query)
            if not wanted.is_narrow:
                raise _refused("All messages are never meant: give the list a filter first.")
            return {"filter": wanted.criteria}
        ids = self.shown if self.scope == "page" else self.message
        if not ids:
            raise _refused("Choose a message first.")
        return {"message_ids": ids}


@router.post(f"{OPERATIONS}/ask")
async def ask(
    request: Request, wanted: Annotated[Wanted, Form()], the: The, who: Operator
) -> Response:
    """Counts; the operation's page shows what was found, and asks."""
    try:
        counted = wanted.request()
    except Problem as problem:
        return back_to(request, wanted.origin, problem.detail)
    how = queue_operations.How(uuid4(), LOOKS_FOR)
    begun = await queue_operations.begin(counted, the, who, Response(), how)
    return RedirectResponse(f"{OPERATIONS}/{begun.operation_id}", HTTPStatus.SEE_OTHER)


def _refused(sentence: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, sentence)
