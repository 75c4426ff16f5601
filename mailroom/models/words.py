"""What the owner said: 1 sends, 2 with instructions edits, 3 ignores, a time alone asks again
then; anything else is unclear.

Free text is never an approval, and the carriers' reserved words are never commands of ours.
"""

import re
import unicodedata
from datetime import time, timedelta
from typing import Annotated, Literal

from pydantic import Field

from mailroom.models.base import Frozen
from mailroom.models.codes import SHAPE
from mailroom.models.text import visible
from mailroom.models.when import AFTER, SEND_WHEN, duration_of, time_of_day

MAX_LENGTH = 2_000

# Answered by the carrier or by Twilio before or besides us (mail-rules, SMS; Twilio error 21610).
_RESERVED = re.compile("(?ai:STOP|STOPALL|UNSUBSCRIBE|CANCEL|END|QUIT|START|YES|UNSTOP|HELP|INFO)")


class Approve(Frozen):
    """Send it: now, after a while, or at a time of day in the owner's zone; `attach` are names of
    attachments of the mail, and stand here only by the owner's word."""

    kind: Literal["approve"] = "approve"
    after: timedelta | None = None
    at: time | None = None
    attach: tuple[str, ...] = ()

    @property
    def later(self) -> bool:
        return self.after is not None or self.at is not None


class Snooze(Frozen):
    __match_args__ = ("length",)
    kind: Literal["snooze"] = "snooze"
    length: timedelta


class Edit(Frozen):
    __match_args__ = ("instructions",)
    kind: Literal["edit"] = "edit"
    instructions: str


class Ignore(Frozen):
    kind: Literal["ignore"] = "ignore"


class Reserved(Frozen):
    __match_args__ = ("keyword",)
    kind: Literal["reserved"] = "reserved"
    keyword: str


class Unclear(Frozen):
    __match_args__ = ("why",)
    kind: Literal["unclear"] = "unclear"
    why: str


Decision = Approve | Edit | Ignore | Snooze
Command = Annotated[Decision | Reserved | Unclear, Field(discriminator="kind")]


class Said(Frozen):
    """A command, and the code of the draft it is about (None: the one that waits). `files` is what
    the owner calls the attachments that an approval is to carry."""

    command: Command
    code: str | None = None
    files: str | None = None


# A question mark is not among them ("send?" asks), nor a dash before the command: "-1" disagrees.
_MARKS = r"""\s.,:;!"'“”‘’«»()\[\]{}*_…"""
_START, _EDGE = f"[{_MARKS}]", f"[{_MARKS}–—-]"
_BEFORE = rf"{_START}*(?:#?(?P<before>{SHAPE}){_START}+)?"
_AFTER = rf"(?:{_EDGE}+#?(?P<after>{SHAPE})(?!\w))?"
# ASCII, or the long s and the dotless i would pass: "ſend", "skıp".
_EXACT = re.compile(
    rf"{_BEFORE}(?ai:(?P<approve>1|approve|send)|(?P<ignore>3|ignore|skip)){_AFTER}{_EDGE}*"
)
_LATER = re.compile(rf"{_BEFORE}(?ai:(?:1|approve|send)\s+{SEND_WHEN}){_AFTER}{_EDGE}*")
# "send with report.pdf at 9:00 K7M4": a time and a code may follow the names.
_WITH = re.compile(r"(?P<what>.{1,60}?)\s+(?ai:with)[\s:]+(?P<files>.*)", re.DOTALL)
_FILES = re.compile(rf"(?P<before>)(?P<files>.+?)(?:\s+{SEND_WHEN})?{_AFTER}{_EDGE}*", re.DOTALL)
_SNOOZE = re.compile(rf"{_BEFORE}(?ai:(?:snooze\s+)?{AFTER}){_AFTER}{_EDGE}*")
# "2.5", "2:30" and "2-3 days" begin with a number, not with the command.
_EDIT = re.compile(
    rf"{_BEFORE}(?ai:2(?![.,:/–-]?\d)|edit){_AFTER}(?:[\s:.,;)\]=>!…–—-]+(?P<how>.*))?", re.DOTALL
)
_EDIT_ALONE = re.compile(rf"{_EDGE}*(?ai:2|edit){_EDGE}*")
_CODE_ALONE = re.compile(rf"{_EDGE}*#?(?P<before>{SHAPE}){_EDGE}*")
_CODE_LAST = re.compile(rf"\s{_EDGE}*#?({SHAPE}){_EDGE}*\Z")
_ONLY_EDGE = re.compile(rf"{_EDGE}*")
_AROUND = re.compile(rf"\A{_EDGE}+|{_EDGE}+\Z")


def parse_word(text: str) -> Said:
    """Never raises; says in `Unclear.why` what was not understood."""
    if len(text) > MAX_LENGTH:
        return _unclear(f"longer than {MAX_LENGTH:,} characters")
    text = _folded(text)
    bare = _AROUND.sub("", text)
    if not bare:
        return _unclear("an empty text")
    if _RESERVED.fullmatch(bare):
        return Said(command=Reserved(keyword=bare.upper()))
    return _command(text)


def _command(text: str) -> Said:
    if (found := _WITH.fullmatch(text)) and (approval := _approval(found["what"])):
        return _with_files(approval, found["files"])
    if said := _approval(text) or _ignored(text):
        return said
    if found := _SNOOZE.fullmatch(text):
        length = duration_of(found)
        return _with_code(found, Snooze(length=length)) if length else _unclear(_NO_TIME)
    if found := _EDIT.fullmatch(text):
        return _edit(found)
    if found := _CODE_ALONE.fullmatch(text):
        return _unclear("a code without a command", found["before"].upper())
    return _unclear("not a command; free text is never an approval")


_NO_TIME = "a time that can't be; up to 30 days can"


def _approval(text: str) -> Said | None:
    if found := _EXACT.fullmatch(text):
        return _with_code(found, Approve()) if found["approve"] else None
    found = _LATER.fullmatch(text)
    return _later(found) if found else None


def _ignored(text: str) -> Said | None:
    found = _EXACT.fullmatch(text)
    return _with_code(found, Ignore()) if found and found["ignore"] else None


def _with_files(approval: Said, text: str) -> Said:
    """`approval`, with what stands after its "with": names, a time if it has none, a code."""
    found = _FILES.fullmatch(" ".join(text.split()))
    if not found:
        return _unclear("the names of attachments are missing")
    timed = bool(found["amount"] or found["hour"])
    rest = _later(found) if timed else _with_code(found, Approve())
    for unclear in (approval, rest):
        if not isinstance(unclear.command, Approve):
            return unclear
    if timed and approval.command != Approve():
        return _unclear("two times")
    if approval.code and rest.code and approval.code != rest.code:
        return _unclear("two codes")
    command = rest.command if timed else approval.command
    return Said(command=command, code=rest.code or approval.code, files=found["files"])


def _later(found: re.Match[str]) -> Said:
    after = duration_of(found) if found["amount"] else None
    at = time_of_day(found) if found["hour"] else None
    if after is None and at is None:
        return _unclear(_NO_TIME)
    return _with_code(found, Approve(after=after, at=at))


def _with_code(found: re.Match[str], command: Decision) -> Said:
    codes = {code.upper() for code in found.group("before", "after") if code}
    if len(codes) > 1:
        return _unclear("two codes")
    return Said(command=command, code=next(iter(codes), None))


def _edit(found: re.Match[str]) -> Said:
    said = _with_code(found, Edit(instructions=_lines(found["how"] or "")))
    if not isinstance(said.command, Edit):
        return said
    how, code = said.command.instructions, said.code
    if code is None and (last := _CODE_LAST.search(f" {how}")):
        how, code = how[: max(0, last.start() - 1)], last[1].upper()
    if _ONLY_EDGE.fullmatch(how):
        return _unclear("edit without instructions", code)
    if _EXACT.fullmatch(how) or _EDIT_ALONE.fullmatch(how):
        return _unclear("two commands", code)
    return Said(command=Edit(instructions=how), code=code)


def _unclear(why: str, code: str | None = None) -> Said:
    return Said(command=Unclear(why=why), code=code)


def _folded(text: str) -> str:
    # Full-width forms and no-break spaces only: the owner's own "m²" or "½" stays in instructions.
    wide = ("<wide>", "<noBreak>")
    return "".join(
        unicodedata.normalize("NFKC", c) if unicodedata.decomposition(c).startswith(wide) else c
        for c in visible(text)
    )


def _lines(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()
