"""Parsing within bounds, because the parser's time grows with what a stranger wrote."""

import re
from email import message_from_bytes, policy
from email.message import Message
from email.parser import BytesHeaderParser
from itertools import count, islice, pairwise
from typing import Any

from mailroom.models.decoding import decoded, guarded

# Figures: reading takes 65 ns a line and level of nesting.
HEAD_LENGTH, HEAD_LINES = 8 << 20, 20_000
HEADERS_LENGTH, HEADER_LENGTH = 128 << 10, 32 << 10
BODY_LENGTH, BODY_LINES = 2 << 20, 50_000
# 25 MiB in lines of 76 characters have 350,000; what has many more is none that a person wrote.
OPENED_LINES = 500_000
PIECES, PIECE_LENGTH, PIECE_LINES = 2_000, 2_048, 16
DEPTH, PARTS = 50, 1_000
# RFC 6533 §6: the same in UTF-8, which the parser of the standard library does not know.
_GLOBAL = {
    "message/global-delivery-status": "message/delivery-status",
    "message/global-headers": "text/rfc822-headers",
    "message/global": "message/rfc822",
}
_DASHES, _LINE_END = re.compile(rb"\n--"), re.compile(rb"\r\n?|\n")


def parsed(raw: bytes) -> Message:
    # What has fewer bytes than lines are allowed is within bounds.
    data = _within_bounds(raw) if len(raw) > BODY_LINES else raw
    mail = guarded(None, message_from_bytes, data, _Part)
    return BytesHeaderParser(_Part).parsebytes(data) if mail is None else mail


def opened(raw: bytes) -> Message | None:
    """With all of every part, which takes 0.5 s for 25 MiB; None if it has too many lines, or
    can't be parsed."""
    if max(raw.count(b"\n"), raw.count(b"\r")) > OPENED_LINES:
        return None
    return guarded(None, message_from_bytes, raw, _Part)


class _Part(Message):
    """A part that keeps its bounds: what is nested too deep, or one too many, is not opened."""

    def __init__(self, policy: Any = policy.compat32) -> None:
        super().__init__(policy)
        self.room = HEADERS_LENGTH
        self.depth = 0
        self.counter = count(1)
        self.closed = False

    def set_raw(self, name: str, value: str) -> None:
        if name[:8].lower() == "content-":
            # Parameters are parsed in quadratic time.
            value = ";".join(value[:4096].split(";")[:64])
        data = value[:HEADER_LENGTH].encode("ascii", "surrogateescape")
        self.room -= len(name) + len(data)
        if self.room >= 0:
            super().set_raw(name, decoded(data, None))

    def attach(self, payload: Any) -> None:
        payload.depth, payload.counter = self.depth + 1, self.counter
        payload.closed = payload.depth >= DEPTH or next(self.counter) >= PARTS
        super().attach(payload)

    def get_content_type(self) -> str:
        if self.closed:
            return "application/octet-stream"
        kind = super().get_content_type()
        return _GLOBAL.get(kind, kind)


def _within_bounds(raw: bytes) -> bytes:
    """`raw` without the later lines of its long parts.

    A boundary is a line that begins with "--" (RFC 2046 §5.1.1): what stands between two such
    lines can be cut without losing a part.
    """
    gaps = (b"\n\r\n", b"\n\n", b"\r\r")
    start = min((at + len(gap) for gap in gaps if (at := raw.find(gap)) >= 0), default=len(raw))
    head = _first_lines(raw, 0, min(start, HEAD_LENGTH), HEAD_LINES)
    kept = [head, b"\r\n\r\n" if len(head) < start else b""]
    ends = [dash.start() + 1 for dash in islice(_DASHES.finditer(raw, start - 1), PIECES)]
    ends += [len(raw)] if len(ends) < PIECES else []
    length, lines = BODY_LENGTH, BODY_LINES
    for begin, end in pairwise([start, *ends]):
        stop = min(end, begin + max(length, PIECE_LENGTH))
        piece = _first_lines(raw, begin, stop, max(lines, PIECE_LINES))
        kept += [piece, b"\r\n" if len(piece) < end - begin else b""]
        length, lines = length - len(piece), lines - max(piece.count(b"\n"), piece.count(b"\r"))
    return b"".join(kept)


def _first_lines(raw: bytes, start: int, end: int, lines: int) -> bytes:
    last = next(islice(_LINE_END.finditer(raw, start, end), lines - 1, None), None)
    return raw[start : last.end() if last else end]
