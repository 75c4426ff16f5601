"""Forgets a person on request."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import StringConstraints

from mailroom.bridge.api_route import ApiRoute
from mailroom.bridge.auth import The, Who
from mailroom.bridge.forgetting import Forgotten
from mailroom.models.base import Frozen

router = APIRouter(tags=["privacy"], route_class=ApiRoute)


class Forget(Frozen):
    address: Annotated[
        str,
        StringConstraints(strip_whitespace=True, max_length=320, pattern=r"^[^@\s<>]+@[^\s<>]+$"),
    ]


@router.post("/emails/forget")
async def forget(asked: Forget, the: The, who: Who) -> Forgotten:
    """Removes the mail of one person: rows, bodies and executions. What waits is ended unsent."""
    return await the.forgetting.forget(who.owners, asked.address)
