"""The webhook of the SMS gateway: `POST /orchestrator/sms-response`.

JSON `{"message_id", "from", "body", "timestamp"}`, signed after Standard Webhooks. The checks
come before anything is read, believed or stored: signature and skew, then shape, then number,
then rate.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

import phonenumbers
from fastapi import APIRouter, Request
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from mailroom.adapters.postgres.texts import InboundText
from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.bridge.conversation import Answer, Conversation
from mailroom.bridge.problems import Problem

router = APIRouter(tags=["sms"])

MAX_BODY_BYTES = 64 * 1024


class GatewayMessage(BaseModel):
    """What a gateway delivers. Fields that we don't know are theirs and ignored."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    message_id: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\A[^\x00]*\z")]
    sender: Annotated[str, Field(alias="from", max_length=40)]
    body: Annotated[str, Field(max_length=10_000)]
    timestamp: AwareDatetime | None = None


class SmsAnswer(BaseModel):
    """`outcome`: accepted, refused, kept, ambiguous, nothing_waiting, unknown_code,
    not_understood, stopped or started."""

    outcome: str
    text: str
    message_id: str | None


@router.post("/orchestrator/sms-response")
async def sms_response(request: Request, the: The) -> SmsAnswer:
    """A text from the owner. 401 forged or older than 5 min, 403 a stranger's number."""
    raw = await _raw_body(request)
    _verify(the, raw, request.headers)
    message = _parse(raw)
    owner = _owner_with(the, message.sender)
    await _limit_rate(request, message.sender, the.limits.sms_per_minute)
    text = InboundText(
        owner=owner,
        number=_e164(message.sender) or message.sender,
        body=message.body.replace("\0", ""),
        provider_id=message.message_id,
    )
    return _shown(await Conversation(the).hear(text))


async def _raw_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"A webhook may have {MAX_BODY_BYTES:,} bytes at most.",
            )
    return bytes(body)


def _verify(the: Context, raw: bytes, headers: Mapping[str, str]) -> None:
    try:
        Webhook(the.secrets.webhook).verify(raw, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        # ValueError: a signature that is no base64, a body that is no UTF-8.
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "The signature is missing, wrong, or more than 5 minutes old "
            "(Standard Webhooks, SMS_WEBHOOK_SECRET).",
        ) from error


def _parse(raw: bytes) -> GatewayMessage:
    try:
        return GatewayMessage.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "body"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: {first['msg']}.") from error


def _owner_with(the: Context, number: str) -> str:
    normal = _e164(number)
    for owner in the.owners.values():
        if normal and owner.phone == normal:
            return owner.id
    raise Problem(HTTPStatus.FORBIDDEN, "This number belongs to no owner of this Mailroom.")


def _e164(number: str) -> str | None:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


async def _limit_rate(request: Request, number: str, per_minute: int) -> None:
    limiter: MovingWindowRateLimiter = request.app.state.sms_limiter
    if not await limiter.hit(RateLimitItemPerMinute(per_minute), number):
        problem = Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"More than {per_minute} texts a minute from one number; try again in a minute.",
        )
        problem.headers = {"Retry-After": "60"}
        raise problem


def new_limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())


def _shown(answer: Answer) -> SmsAnswer:
    return SmsAnswer(outcome=answer.outcome, text=answer.text, message_id=answer.message_id)
