"""The webhooks of the SMS gateway: texts from the owner, and what became of ours.

Both are JSON, signed after Standard Webhooks. The checks come before anything is read, believed
or stored: signature and skew, then shape, then number, then rate.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from mailroom.bridge import delivery
from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.bridge.conversation import KEPT
from mailroom.bridge.problems import Problem
from mailroom.bridge.webhooks import TextFromSomebody, hear, raw_body, unprocessable
from mailroom.models.receipts import Receipt, TextStatus
from mailroom.models.spool import SpooledReceipt

router = APIRouter(tags=["sms"])

ProviderId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\A[^\x00]*\z")]
ErrorCode = Annotated[str, Field(max_length=100, pattern=r"\A[^\x00]*\z")]


class _FromGateway(BaseModel):
    """Fields that we don't know are theirs and ignored."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class GatewayMessage(_FromGateway):
    """`POST /orchestrator/sms-response`."""

    message_id: ProviderId
    sender: Annotated[str, Field(alias="from", max_length=40)]
    body: Annotated[str, Field(max_length=10_000)]
    timestamp: AwareDatetime | None = None


class GatewayReceipt(_FromGateway):
    """`POST /orchestrator/sms-status`; `message_id` is what `/sms/send` answered."""

    message_id: ProviderId
    status: TextStatus
    timestamp: AwareDatetime | None = None
    error_code: ErrorCode | None = None


Body = TypeVar("Body", bound=_FromGateway)


class SmsAnswer(BaseModel):
    """`outcome`: accepted, refused, kept, ambiguous, nothing_waiting, unknown_code,
    not_understood, stopped or started."""

    outcome: str
    text: str
    message_id: str | None


@router.post("/orchestrator/sms-response")
async def sms_response(request: Request, response: Response, the: The) -> SmsAnswer:
    """A text from the owner. 202 where its outcome will be texted; 401 forged or older than 5 min,
    403 a stranger's number."""
    message = await _believed(request, the, GatewayMessage)
    text = TextFromSomebody(message_id=message.message_id, sender=message.sender, body=message.body)
    answer = await hear(request, the, text) or KEPT
    if answer.outcome == KEPT.outcome:
        response.status_code = HTTPStatus.ACCEPTED
    return SmsAnswer(outcome=answer.outcome, text=answer.text, message_id=answer.message_id)


@router.post("/orchestrator/sms-status", status_code=HTTPStatus.NO_CONTENT)
async def sms_status(request: Request, the: The) -> Response:
    """What became of a text that the gateway took. 401 forged or older than 5 min."""
    receipt = await _believed(request, the, GatewayReceipt)
    said = Receipt(
        provider_id=receipt.message_id,
        status=receipt.status,
        status_at=receipt.timestamp or datetime.now(UTC),
        error_code=receipt.error_code,
    )
    await delivery.receipt(the, SpooledReceipt(receipt=said))
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _believed(request: Request, the: Context, kind: type[Body]) -> Body:
    raw = await raw_body(request)
    _verify(the, raw, request.headers)
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        raise unprocessable(error) from error


def _verify(the: Context, raw: bytes, headers: Mapping[str, str]) -> None:
    if the.secrets.webhook is None:
        raise Problem(
            HTTPStatus.NOT_FOUND, "There is no SMS gateway here; SMS_WEBHOOK_SECRET is not set."
        )
    try:
        Webhook(the.secrets.webhook).verify(raw, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        # ValueError: a signature that is no base64, a body that is no UTF-8.
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "The signature is missing, wrong, or more than 5 minutes old "
            "(Standard Webhooks, SMS_WEBHOOK_SECRET).",
        ) from error
