"""What mails, drafts and answers of some days come to."""

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime

from pydantic import BaseModel, Field


class Answers(BaseModel, frozen=True):
    """How many mails the owner approved, had changed (once for each instruction) or ignored, and
    how many ran out unanswered."""

    approve: int = 0
    edit: int = 0
    ignore: int = 0
    none: int = 0


class Failures(BaseModel, frozen=True):
    """How many mails failed at a stage."""

    draft: int = 0
    sms: int = 0
    reply: int = 0


class Amounts(BaseModel, frozen=True):
    """`response_seconds` and `edits_per_draft` are of the mails that came in this time; all else
    is of what happened in it."""

    mails: int = 0
    texts: int = Field(default=0, description="with drafts; a long draft takes several")
    answers: Answers = Answers()
    response_seconds: float | None = Field(default=None, description="median from text to answer")
    edits_per_draft: float | None = Field(default=None, description="mean")
    failures: Failures = Failures()
    input_tokens: int = 0
    output_tokens: int = 0


class Day(Amounts, frozen=True):
    """A day of UTC."""

    day: date


class Rates(BaseModel, frozen=True):
    """What became of the mails of one sender, or of the drafts of one source. A mail that was
    changed and then approved counts as edited."""

    name: str
    mails: int
    approved: int = Field(description="sent as it was first drafted")
    edited: int
    ignored: int


class KeptEdit(BaseModel, frozen=True):
    """What the owner asked for, and what it changed: a unified diff of the two drafts."""

    workflow_id: str
    sender: str
    subject: str
    at: datetime
    instructions: str
    diff: str


class Figures(BaseModel, frozen=True):
    """Of the last days, oldest first; the last one is today. `senders` and `sources` are those
    with the most mails, `edits` the latest."""

    total: Amounts
    days: list[Day]
    senders: list[Rates]
    sources: list[Rates] = Field(description="a template, or an AI's model")
    edits: list[KeptEdit]


COLUMNS = (
    "day", "mails", "texts", "approve", "edit", "ignore", "none", "response_seconds",
    "edits_per_draft", "failed_draft", "failed_sms", "failed_reply", "input_tokens",
    "output_tokens",
)  # fmt: skip


def csv_of(days: Sequence[Day]) -> str:
    """One line a day (RFC 4180). Dates and numbers only: nothing that a stranger wrote can
    become a formula in a spreadsheet."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    writer.writerows(_cells(day) for day in days)
    return written.getvalue()


def _cells(day: Day) -> list[object]:
    answers, failures = day.answers, day.failures
    return [
        day.day, day.mails, day.texts,
        answers.approve, answers.edit, answers.ignore, answers.none,
        day.response_seconds, day.edits_per_draft,
        failures.draft, failures.sms, failures.reply,
        day.input_tokens, day.output_tokens,
    ]  # fmt: skip
