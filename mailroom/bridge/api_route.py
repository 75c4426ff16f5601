"""Routes for programs: the token is asked for before a body is read, and bodies have a limit."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

from mailroom.bridge.auth import caller
from mailroom.bridge.context import context_of

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ApiRoute(APIRoute):
    """FastAPI by itself reads and parses the whole body before it looks at who sent it."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            limit = context_of(request).limits.max_message_bytes
            limited = Request(request.scope, bounded(request.receive, limit))
            await caller(limited)
            return await handle(limited)

        return guarded


def bounded(receive: Receive, limit: int) -> Receive:
    left = limit

    async def limited() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request may have {limit:,} bytes at most."
            )
        return message

    return limited
