"""Figures over some days: charts, and the same as tables."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailroom.bridge.auth import The, Who
from mailroom.bridge.pages_html import render
from mailroom.bridge.pages_route import PageRoute
from mailroom.bridge.stats import Days, figures_of
from mailroom.models.base import Frozen
from mailroom.models.figures import Amounts, Day, Figures

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PERIODS = (7, 30, 90, 366)

Value = int | float | None


class Line(Frozen):
    """The values of one day, newest first in a chart's table."""

    day: str
    values: list[Value]


class Chart(Frozen):
    """`summary` says what it comes to; `names` are those of its lines."""

    title: str
    summary: str
    names: Sequence[str]
    rows: list[Line]


@router.get("/stats")
async def stats_page(request: Request, the: The, who: Who, days: Days = 30) -> Response:
    figures = await figures_of(the, who, days)
    shown = {"days": days, "periods": PERIODS, "figures": figures, "charts": charts(figures)}
    return render(request, "stats.html", who, shown)


def charts(figures: Figures) -> list[Chart]:
    total = figures.total
    said, failed = total.answers, total.failures
    return [
        _chart(
            figures,
            "Mails and texts",
            f"{total.mails} mails, {total.texts} texts",
            {"mails": lambda one: one.mails, "texts": lambda one: one.texts},
        ),
        _chart(
            figures,
            "Your answers",
            f"{said.approve} sent, {said.edit} edits, {said.ignore} ignored, {said.none} none",
            {
                "sent": lambda one: one.answers.approve,
                "edits": lambda one: one.answers.edit,
                "ignored": lambda one: one.answers.ignore,
                "unanswered": lambda one: one.answers.none,
            },
        ),
        _chart(
            figures,
            "Time until you answer",
            f"{_known(_minutes(total))} minutes, the median",
            {"minutes": _minutes},
        ),
        _chart(
            figures,
            "Edits per draft",
            f"{_known(total.edits_per_draft)} on average",
            {"edits per draft": lambda one: one.edits_per_draft},
        ),
        _chart(
            figures,
            "Failures",
            f"{failed.draft} drafting, {failed.sms} texting, {failed.reply} sending",
            {
                "drafting": lambda one: one.failures.draft,
                "texting": lambda one: one.failures.sms,
                "sending": lambda one: one.failures.reply,
            },
        ),
        _chart(
            figures,
            "Tokens of the AI",
            f"{total.input_tokens:,} read, {total.output_tokens:,} written",
            {"read": lambda one: one.input_tokens, "written": lambda one: one.output_tokens},
        ),
    ]


def _chart(
    figures: Figures, title: str, summary: str, lines: dict[str, Callable[[Amounts], Value]]
) -> Chart:
    rows = [_line(day, list(lines.values())) for day in reversed(figures.days)]
    return Chart(title=title, summary=summary, names=list(lines), rows=rows)


def _line(day: Day, values: Sequence[Callable[[Amounts], Value]]) -> Line:
    return Line(day=day.day.isoformat(), values=[value(day) for value in values])


def _minutes(one: Amounts) -> float | None:
    return None if one.response_seconds is None else round(one.response_seconds / 60, 1)


def _known(value: Value) -> str:
    return "No" if value is None else f"{value:g}"
