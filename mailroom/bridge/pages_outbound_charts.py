"""What the charts of outbound mail are drawn from, and are read as. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from mailroom.models.base import Frozen
from mailroom.models.outbound.queue_figures import QueueSeries

DOMAINS_SHOWN = 12
NARROWEST = 0.8
LINES = ("submitted", "delivered", "deferred", "bounced")


class Point(Frozen):
    """What happened each minute from `at` on."""

    at: datetime
    values: list[float]


class Chart(Frozen):
    """The points' newest first; `totals` are of the whole period."""

    names: Sequence[str]
    step_minutes: int
    totals: list[int]
    points: list[Point]


class Depth(Frozen):
    """`width` is of a hundred, where the deepest has all of it."""

    domain: str
    messages: int
    width: float


def chart_of(series: QueueSeries) -> Chart:
    """The last step is not over: it would look like a fall, and is left out where it is long."""
    lines = [getattr(series, name) for name in LINES]
    minutes = max(1, series.step_seconds // 60)
    shown = len(series.at) - (1 if minutes > 1 and len(series.at) > 1 else 0)
    points = [
        Point(
            at=datetime.fromtimestamp(series.at[n], UTC),
            values=[round(line[n] / minutes, 2) for line in lines],
        )
        for n in reversed(range(shown))
    ]
    totals = [sum(line) for line in lines]
    return Chart(names=LINES, step_minutes=minutes, totals=totals, points=points)


def depths_of(by_domain: Mapping[str, int]) -> list[Depth]:
    deepest = sorted(by_domain.items(), key=lambda one: (-one[1], one[0]))[:DOMAINS_SHOWN]
    most = max((number for _, number in deepest), default=1)
    return [
        Depth(domain=name, messages=number, width=round(max(NARROWEST, 100 * number / most), 2))
        for name, number in deepest
        if number > 0
    ]
