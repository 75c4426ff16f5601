"""`POST /api/inject/v1`: what is asked, and what its answers mean.

https://docs.kumomta.com/reference/http/kumod/api_inject_v1_post/
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from mailroom.adapters.kumomta.server import KumoServer
from mailroom.adapters.retry_after import retry_after
from mailroom.models.attached import size_words
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.parcel import Parcel, Taken
from mailroom.models.outbound.replies import is_transient, reply_in
from mailroom.models.outbound.words import DeliveryProtocol
from mailroom.models.text import one_line
from mailroom.ports import SendUnknown
from mailroom.ports.outbound import Deferred, Refused

LONGEST_QUOTE = 300
# RFC 9110 §15.6.3 and §15.6.5: a proxy says these, which may have handed the message on before.
GATEWAY_ANSWERS = frozenset({502, 504})
# The first with `metadata` of recipients.
OLDEST = "2026.05.12"
# An older one refuses every message: that is to be mended, and no bounce.
_STRANGE_FIELD = re.compile("unknown (field|variant) `")
# What KumoMTA puts before an address that it can't parse.
NO_ADDRESS = "recipient email "


class Injected(BaseModel):
    """Its answer; how many messages there are now, and why others are not."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    success_count: int
    fail_count: int
    failed_recipients: list[str] = []
    errors: list[str] = []


def injection(parcel: Parcel, data: bytes, server: KumoServer) -> bytes:
    """The request's body. Raises `Refused` for what can't be handed over undamaged."""
    body = json.dumps(
        {
            "envelope_sender": parcel.sender,
            "recipients": [{"email": parcel.recipient, "metadata": metadata(parcel)}],
            "content": _text(data),
            # Jinja is the default: a brace in somebody's mail is no template.
            "template_dialect": "Static",
            # Bytes that are signed stay as they are.
            "trace_headers": {"received_header": False, "supplemental_header": False},
        },
        ensure_ascii=False,
    ).encode()
    if len(body) > server.body_limit:
        raise Refused(
            f"KumoMTA takes {size_words(server.body_limit)} at most, and the message has "
            f"{size_words(len(body))} as JSON. Raise request_body_limit of its HTTP listener, "
            "and KUMOMTA_BODY_LIMIT with it."
        )
    return body


def metadata(parcel: Parcel) -> dict[str, str]:
    """What KumoMTA keeps with the message as its meta item `extra`, and gives back in its log."""
    known = {
        "mailroom_id": str(parcel.id),
        "campaign": parcel.campaign_id,
        "tenant": parcel.tenant_id,
        "pool": parcel.pool_name,
        "routing_domain": parcel.routing_domain,
    }
    return {name: value for name, value in known.items() if value}


def _text(data: bytes) -> str:
    """JSON holds text, so the bytes have to be UTF-8: those come out of it as they went in.
    Others would need another transfer encoding, and then DKIM's hash of the body (RFC 6376 §3.7)
    is no longer right: they are not touched."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused(
            "The message has 8-bit bytes that are no UTF-8, which KumoMTA's interface can't "
            "carry; submit it with its parts as quoted-printable or base64."
        ) from None


def outcome(answer: httpx.Response, *, whole: bool) -> Taken:
    """What became of the message. Raises `Refused` and `Deferred` where KumoMTA does not have it,
    `SendUnknown` where it may; what it was not sent as a `whole` it can't have."""
    status = answer.status_code
    if not whole and (answer.is_success or status in GATEWAY_ANSWERS):
        raise Deferred(f"KumoMTA answered {status} before it had the message.")
    if answer.is_success:
        return _counted(answer)
    if status in GATEWAY_ANSWERS:
        raise SendUnknown(f"A proxy before KumoMTA answered {status}.")
    raise _ERRORS.get(status, _error)(answer)


def _counted(answer: httpx.Response) -> Taken:
    try:
        counts = Injected.model_validate_json(answer.content)
    except ValidationError:
        raise SendUnknown(
            "KumoMTA answered something else than it documents; is KUMOMTA_URL its address?"
        ) from None
    match (counts.success_count, counts.fail_count):
        case (1, 0):
            return Taken(
                response=SmtpResponse(
                    code=250, message="KumoMTA took the message.", timestamp=datetime.now(UTC)
                ),
                protocol=DeliveryProtocol.HTTP,
                relayed=True,
            )
        case (0, failed) if failed > 0:
            raise _failed(counts)
    raise SendUnknown("KumoMTA did not say whether it took the message.")


def _failed(counts: Injected) -> Refused | Deferred:
    """One recipient was asked for, and none was taken. The words are those of its policy (such as
    `kumo.reject(550, ...)` of http_message_generated), or of an error of its own, which passes."""
    error = "".join(counts.errors[:1])
    said = _quoted(error.removeprefix(f"{''.join(counts.failed_recipients[:1])}: "))
    sentence = f"KumoMTA did not take the message: {said}"
    response = reply_in(said, datetime.now(UTC))
    if response:
        transient = is_transient(response.code, response.enhanced_code)
        return Deferred(sentence, response) if transient else Refused(sentence, response)
    return Refused(sentence) if said.startswith(NO_ADDRESS) else Deferred(sentence)


def _refused(answer: httpx.Response) -> Refused | Deferred:
    if _STRANGE_FIELD.search(answer.text):
        return Deferred(
            f"This KumoMTA does not know what we ask of it: {_quoted(answer.text)} It has to be "
            f"{OLDEST} or newer."
        )
    return Refused(f"KumoMTA refused the message ({answer.status_code}): {_quoted(answer.text)}")


def _too_large(answer: httpx.Response) -> Refused:
    return Refused(
        "The message is larger than KumoMTA takes (413). Raise request_body_limit of its HTTP "
        "listener, or lower KUMOMTA_BODY_LIMIT to what it is."
    )


def _no_entry(answer: httpx.Response) -> Deferred:
    return Deferred(
        f"KumoMTA does not let us in ({answer.status_code}). Add this machine to trusted_hosts of "
        "its HTTP listener, or correct KUMOMTA_USER and KUMOMTA_PASSWORD."
    )


def _elsewhere(answer: httpx.Response) -> Deferred:
    return Deferred(
        f"There is no KumoMTA at KUMOMTA_URL ({answer.status_code}); correct it. Redirects are "
        "not followed."
    )


def _error(answer: httpx.Response) -> Deferred:
    return Deferred(
        f"KumoMTA answered {answer.status_code}: {_quoted(answer.text)}",
        retry_after=retry_after(answer),
    )


_ERRORS: dict[int, Callable[[httpx.Response], Refused | Deferred]] = {
    **dict.fromkeys((400, 415, 422), _refused),
    **dict.fromkeys((401, 403, 407), _no_entry),
    **dict.fromkeys((301, 302, 303, 307, 308, 404, 405), _elsewhere),
    413: _too_large,
}


def _quoted(text: str) -> str:
    """An error's cause is in its first lines; a stack trace of Lua follows."""
    first = re.split(r"\n\s*stack traceback:", text)[0]
    return one_line(first, LONGEST_QUOTE) or "nothing more"
