"""What is asked of the figures of queues, and how they are shown."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.outbound.filters import MessageSelection

MOST_POINTS = 500
LONGEST_SERIES = timedelta(days=8)
STEPS = (60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600)
"""Seconds between two points; a day is made of whole ones."""
COLUMN_MINUTES = (5, 10, 20, 40, 80, 160, 320, 640, 1_280)
"""Ages of what waits, as Postfix's qshape has them; the last column is all that is older."""


class QueueScope(Frozen):
    """Of which messages figures are; what is not given does not matter."""

    queue_name: str | None = None
    domain: str | None = None
    campaign_id: str | None = None
    tenant_id: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)

    @property
    def selection(self) -> MessageSelection:
        # A name that no message may have is no mistake here: none has it.
        return MessageSelection.model_construct(**self.given)


class Span(Frozen):
    """The points of a chart: from `begin` on, one each `step`."""

    begin: AwareDatetime
    step: timedelta
    points: int


def span(now: datetime, length: timedelta, least_step: int = STEPS[0]) -> Span:
    """The last point is that of now; its step is not over yet."""
    steps = [each for each in STEPS if each >= least_step]
    seconds = length.total_seconds()
    step = next(each for each in steps if seconds / each < MOST_POINTS)
    end = int(now.timestamp()) // step * step
    points = max(1, int(seconds // step))
    begin = datetime.fromtimestamp(end - (points - 1) * step, now.tzinfo)
    return Span(begin=begin, step=timedelta(seconds=step), points=points)


class QueueSeries(Frozen):
    """What happened step by step; `at` is when each begins, in seconds since 1970."""

    step_seconds: int
    at: list[int]
    submitted: list[int]
    delivered: list[int]
    bounced: list[int]
    deferred: list[int]
    expired: list[int]
    cancelled: list[int]


class DomainAges(Frozen):
    """How many messages of a domain wait, by age; `last_error` is what the latest attempt met."""

    domain: str
    total: int
    ages: list[int]
    last_error: str | None = None


class QueueAges(Frozen):
    """`columns` are ages in minutes: a message is in the first that it is younger than, else in
    the last, which has none."""

    columns: list[int]
    total: int
    domains: int = Field(description="how many have messages that wait")
    ages: list[int]
    deepest: list[DomainAges]
