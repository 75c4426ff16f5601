"""What servers answer, read from text that they or their reports hold."""

import re

from pydantic import AwareDatetime

from mailroom.models.outbound.item import SmtpResponse
from mailroom.models.text import one_line

LONGEST_REPLY = 2_000
# A reply begins with its codes, after "smtp;" (RFC 3464 §2.3.6) or the host that said it.
LOOKED_THROUGH = 300

# "4.2.2.1" and "5.1.1-rc1" are addresses and versions; "550-5.1.1" is a line of several.
_ENHANCED = re.compile(r"(?<![\w.])([245])\.(\d{1,3})\.(\d{1,3})(?![.-]?\w)", re.ASCII)
_CODE = re.compile(r"(?<![\w.:#-])([2-5]\d\d)(?=[ -]|$)", re.ASCII)
_LINE = re.compile(r"[ ](?:[2-5]\d\d)-(?:[245]\.\d{1,3}\.\d{1,3}\s)?", re.ASCII)


def one_reply(text: str) -> str:
    """A reply of several lines as one, without the codes that each line repeats."""
    return _LINE.sub(" ", one_line(text[: 4 * LONGEST_REPLY], LONGEST_REPLY))


def enhanced_in(text: str) -> str | None:
    """The first enhanced status code (RFC 3463) near the text's beginning."""
    found = _ENHANCED.search(text[:LOOKED_THROUGH])
    return ".".join(str(int(number)) for number in found.groups()) if found else None


def reply_in(text: str, at: AwareDatetime, status: str | None = None) -> SmtpResponse | None:
    """The reply that a report quotes; None where it quotes none. `status` is what the report says
    itself, for a reply without an enhanced code."""
    said = one_reply(text).removeprefix("smtp;").strip()
    enhanced, reported = enhanced_in(said), enhanced_in(status or "")
    if enhanced is None or enhanced.endswith(".0.0"):
        # X.0.0 is what servers say that do not know (RFC 3463 §3.1).
        enhanced = reported or enhanced
    code = _CODE.search(said[:LOOKED_THROUGH])
    if code is None and enhanced is None:
        return None
    number = int(code[1]) if code else _usual(enhanced or "")
    return SmtpResponse(code=number, message=said, enhanced_code=enhanced, timestamp=at)


def _usual(enhanced: str) -> int:
    """The reply code that servers usually give a class: X.0.0 says nothing else."""
    return {"2": 250, "4": 450}.get(enhanced[:1], 550)


def is_transient(code: int, enhanced: str | None) -> bool:
    """Whether another try can help. RFC 3463 §2: the class of the enhanced code wins over the
    reply code, as some servers send transient conditions as 5xx; X.5.3, too many recipients,
    is transient whatever its class."""
    if enhanced is None:
        return code // 100 != 5
    kind, _, rest = enhanced.partition(".")
    return kind == "4" or rest == "5.3" or (code // 100 != 5 and kind != "5")
