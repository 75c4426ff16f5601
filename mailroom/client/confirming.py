"""A letter's event is confirmed before the letter is shown. Only whose confirmation counted shows
it, so that it is shown once, whatever crashes and however often it comes.

A confirmation whose answer was lost is the one doubtful case: the next one says that the letter had
arrived before, and only the bridge knows where.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

from mailroom.client.errors import Refused, Unreachable
from mailroom.client.pauses import pauses
from mailroom.client.wire import Wire, segment_of

T = TypeVar("T")


async def confirmed(wire: Wire, session_id: str, event_id: int, letter_id: str) -> bool:
    """Whether the letter is this session's to show. Asks until it is answered."""
    path = f"/sessions/{segment_of(session_id)}/events/{event_id}/confirm"
    lost_an_answer = False

    async def confirm() -> bool | None:
        nonlocal lost_an_answer
        try:
            return bool((await wire.post(path))["delivered"])
        except Unreachable:
            lost_an_answer = True
            raise
        except Refused as refusal:
            _check_not_there(refusal)
            return None

    counted = await _answered(confirm)
    if counted:
        return True
    where = await _answered(lambda: _where_it_arrived(wire, letter_id))
    if where == session_id:
        return lost_an_answer
    # The event is still this session's: each session of the address gets the letter.
    return counted is False and where is not None


async def _where_it_arrived(wire: Wire, letter_id: str) -> str | None:
    """The session; None if it did not arrive at one, or too long ago: then it is in the inbox."""
    try:
        found = await wire.get(f"/mail/{segment_of(letter_id)}/delivery")
        where: str | None = found["session_id"]
        return where
    except Refused as refusal:
        _check_not_there(refusal)
        return None


def _check_not_there(refusal: Refused) -> None:
    if refusal.status != HTTPStatus.NOT_FOUND:
        raise refusal


async def _answered(ask: Callable[[], Awaitable[T]]) -> T:
    for pause in pauses():
        try:
            return await ask()
        except Unreachable:
            await asyncio.sleep(pause)
    raise AssertionError("unreachable")
