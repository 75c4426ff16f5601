"""What a server's answer to an outbound message means."""

from datetime import UTC, datetime

from aiosmtplib.errors import SMTPResponseException

from mailroom.adapters.smtp.exchange import OK_CLASS, REFUSAL_CLASSES, readable
from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.outbound.replies import enhanced_in, is_transient
from mailroom.models.text import one_line
from mailroom.ports.outbound import Deferred, Refused

LONGEST_MESSAGE = 500


def response_of(code: int, message: str) -> SmtpResponse:
    said = one_line(readable(message), LONGEST_MESSAGE)
    return SmtpResponse(
        code=code, message=said, enhanced_code=_enhanced(code, said), timestamp=datetime.now(UTC)
    )


def answered(
    name: str, error: SMTPResponseException, *, passing: bool = False
) -> Refused | Deferred:
    """`passing`: it was said before any message was offered, and so is no word about this one."""
    sentence = f"{name} answered {error.code} {one_line(readable(error.message), LONGEST_MESSAGE)}"
    if error.code // 100 not in REFUSAL_CLASSES:
        # An answer that means nothing here, or nothing at all; nothing was sent.
        return Deferred(sentence)
    response = response_of(error.code, error.message)
    if passing or is_transient(response.code, response.enhanced_code):
        return Deferred(sentence, response)
    return Refused(sentence, response)


def _enhanced(code: int, said: str) -> str | None:
    """The one that the answer begins with (RFC 2034 §4); one that says success beside a refusal,
    or the other way round, says nothing."""
    first, _, _ = said.partition(" ")
    found = enhanced_in(first)
    if found is None or (found[0] == str(OK_CLASS)) != (code // 100 == OK_CLASS):
        return None
    return found
