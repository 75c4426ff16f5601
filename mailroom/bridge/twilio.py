"""Twilio's webhooks: texts from the owner, and what became of ours.

A form, or JSON, with Twilio's signature over the outside address that Twilio called. It has no
time in it: what is replayed is known by its `MessageSid`, as a second delivery is, and decides
nothing anew.
"""

from collections import Counter
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal, TypeVar
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

from mailroom.adapters.twilio import SAID_STOP, STATUS_PATH, WEBHOOK_PATH
from mailroom.adapters.twilio_signature import is_signed, is_signed_json
from mailroom.bridge import delivery
from mailroom.bridge.auth import The
from mailroom.bridge.context import Context
from mailroom.bridge.problems import Problem
from mailroom.bridge.sms import ErrorCode, ProviderId
from mailroom.bridge.webhooks import TextFromSomebody, hear, raw_body, unprocessable
from mailroom.models.receipts import Receipt, TextStatus
from mailroom.models.spool import SpooledReceipt

router = APIRouter(tags=["sms"])

# Outcomes are texted by workflows, which survive what an answer here would not.
NOTHING_TO_SAY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
MOST_PARAMETERS = 200

# Twilio's words for ours; the rest are spelled the same.
# https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
STATUSES = {
    "accepted": TextStatus.QUEUED,
    "scheduled": TextStatus.QUEUED,
    "sending": TextStatus.QUEUED,
    "read": TextStatus.DELIVERED,
    "canceled": TextStatus.FAILED,
} | {str(status): status for status in TextStatus}


class _FromTwilio(BaseModel):
    """Parameters that we don't know are ignored: Twilio adds some without notice."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_pascal)


class TwilioMessage(_FromTwilio):
    """`OptOutType` is there where Twilio itself took the text for STOP, START or HELP, in
    whatever words (Advanced Opt-Out)."""

    message_sid: ProviderId
    sender: Annotated[str, Field(alias="From", max_length=40)]
    body: Annotated[str, Field(max_length=10_000)] = ""
    opt_out_type: Literal["STOP", "START", "HELP"] | None = None


class TwilioReceipt(_FromTwilio):
    message_sid: ProviderId
    message_status: Annotated[str, Field(max_length=40)]
    error_code: ErrorCode | None = None
    to: Annotated[str, Field(max_length=40, pattern=r"\A[^\x00]*\z")] = ""


Body = TypeVar("Body", bound=_FromTwilio)


@router.post(WEBHOOK_PATH)
async def twilio(request: Request, the: The) -> Response:
    """A text from the owner. 401 forged, 403 a stranger's number."""
    message = await _believed(request, the, TwilioMessage)
    text = TextFromSomebody(
        message_id=message.message_sid,
        sender=message.sender,
        body=message.body,
        keyword=message.opt_out_type,
    )
    answer = await hear(request, the, text)
    status = HTTPStatus.OK if answer else HTTPStatus.ACCEPTED
    return Response(NOTHING_TO_SAY, status, media_type="application/xml")


@router.post(STATUS_PATH, status_code=HTTPStatus.NO_CONTENT)
async def twilio_status(request: Request, the: The) -> Response:
    """What became of a text. 401 forged; a status that we don't know changes nothing."""
    receipt = await _believed(request, the, TwilioReceipt)
    stopped = receipt.to if receipt.error_code == str(SAID_STOP) else None
    said = _receipt(receipt)
    if stopped or said:
        await delivery.receipt(the, SpooledReceipt(receipt=said, stopped=stopped))
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _receipt(receipt: TwilioReceipt) -> Receipt | None:
    status = STATUSES.get(receipt.message_status)
    if status is None:
        return None
    return Receipt(
        provider_id=receipt.message_sid,
        status=status,
        status_at=datetime.now(UTC),
        error_code=receipt.error_code or None,
    )


async def _believed(request: Request, the: Context, kind: type[Body]) -> Body:
    """What it says, once the signature says that it is Twilio's."""
    if the.secrets.twilio is None:
        raise Problem(HTTPStatus.NOT_FOUND, "Twilio is not configured here (TWILIO_AUTH_TOKEN).")
    raw = await raw_body(request)
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            _believe(the, is_signed_json(*_signed(request, the), raw))
            return kind.model_validate_json(raw)
        parameters = _parameters(raw)
        _believe(the, is_signed(*_signed(request, the), parameters))
        return kind.model_validate(_by_name(parameters, kind))
    except ValidationError as error:
        raise unprocessable(error) from error


def _signed(request: Request, the: Context) -> tuple[str, str, str]:
    """Token, URL and signature. The URL is the outside one; what a proxy made of it is not what
    Twilio called."""
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{the.public_url}{request.url.path}{query}"
    return the.secrets.twilio or "", url, request.headers.get("x-twilio-signature", "")


def _believe(the: Context, signed: bool) -> None:
    if not signed:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "X-Twilio-Signature is missing or wrong; Twilio has to call exactly "
            f"{the.public_url}{WEBHOOK_PATH} (MAILROOM_PUBLIC_URL), with TWILIO_AUTH_TOKEN.",
        )


def _parameters(raw: bytes) -> list[tuple[str, str]]:
    """Name and value, empty ones too. Bytes that are no UTF-8 are replaced, and then the
    signature is wrong."""
    try:
        return parse_qsl(
            raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS
        )
    except ValueError as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"A form of Twilio's has {MOST_PARAMETERS} parameters at most.",
        ) from error


def _by_name(parameters: list[tuple[str, str]], kind: type[_FromTwilio]) -> dict[str, str]:
    """One value for each name that means something here: of two, none is to be trusted."""
    meant = {one.alias for one in kind.model_fields.values()}
    once = [one for one in dict.fromkeys(parameters) if one[0] in meant]
    for name, count in Counter(name for name, _ in once).items():
        if count > 1:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: given more than once.")
    return dict(once)
