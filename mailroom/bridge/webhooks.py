"""What every webhook of a text provider asks of a request, once its signature was checked."""

from http import HTTPStatus

import phonenumbers
from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from pydantic import BaseModel, ValidationError

from mailroom.bridge import delivery
from mailroom.bridge.context import Context
from mailroom.bridge.conversation import Answer
from mailroom.bridge.problems import Problem
from mailroom.models.spool import SpooledText

MAX_BODY_BYTES = 64 * 1024


class TextFromSomebody(BaseModel):
    """A text as its provider delivers it; `keyword` is a carrier's word that the provider
    recognised in it."""

    message_id: str
    sender: str
    body: str
    keyword: str | None = None


async def hear(request: Request, the: Context, text: TextFromSomebody) -> Answer | None:
    """Number, then rate, then what it means; None where that will be texted. 403 a stranger's
    number, 429 too many."""
    number = _e164(text.sender)
    owner = the.by_phone.get(number or "")
    if number is None or owner is None:
        raise Problem(HTTPStatus.FORBIDDEN, "This number belongs to no owner of this Mailroom.")
    await _limit_rate(request, text.sender, the.limits.sms_per_minute)
    said = SpooledText(
        owner=owner,
        number=number,
        body=text.body.replace("\0", ""),
        provider_id=text.message_id,
        keyword=text.keyword,
    )
    return await delivery.text(the, said)


async def raw_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"A webhook may have {MAX_BODY_BYTES:,} bytes at most.",
            )
    return bytes(body)


def unprocessable(error: ValidationError) -> Problem:
    """What is wrong with the first field that is."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"])) or "body"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: {first['msg']}.")


def new_limiter() -> SlidingWindowCounterRateLimiter:
    return SlidingWindowCounterRateLimiter(MemoryStorage())


def _e164(number: str) -> str | None:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


async def _limit_rate(request: Request, number: str, per_minute: int) -> None:
    limiter: SlidingWindowCounterRateLimiter = request.app.state.sms_limiter
    if not await limiter.hit(RateLimitItemPerMinute(per_minute), number):
        problem = Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"More than {per_minute} texts a minute from one number; try again in a minute.",
        )
        problem.headers = {"Retry-After": "60"}
        raise problem
