"""Figures of outbound messages, and what waits by its age, as tables of 80 columns."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mailroom.cli.client import Bridge
from mailroom.cli.looking import look
from mailroom.cli.output import Output, one_line, plain_table
from mailroom.cli.queue_messages import status_text
from mailroom.models.outbound.metrics import QueueMetrics
from mailroom.models.outbound.queue_figures import QueueAges

METRICS, TOP = "/queue/metrics", "/queue/top"
DEEPEST_SHOWN = 10
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def show_metrics(scope: Mapping[str, str], output: Output, *, watch: bool) -> None:
    async def metrics(to: Bridge) -> Any:
        return await to.get(METRICS, **scope)

    look(
        metrics, lambda found: metrics_page(QueueMetrics.model_validate(found)), output, watch=watch
    )


def show_top(scope: Mapping[str, str], limit: int, output: Output, *, watch: bool) -> None:
    async def top(to: Bridge) -> Any:
        return await to.get(TOP, limit=limit, **scope)

    look(top, lambda found: top_page(QueueAges.model_validate(found)), output, watch=watch)


def metrics_page(found: QueueMetrics) -> RenderableType:
    parts: list[RenderableType] = [_figures(found), Text(), _statuses(found)]
    depths = list(found.queue_depth_by_domain.items())[:DEEPEST_SHOWN]
    if depths:
        parts += [Text(), _depths(depths, found)]
    return Group(*parts)


def _figures(found: QueueMetrics) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("Messages", f"{found.total_messages:,}"),
        ("that came in the last hour", f"{found.messages_last_hour:,}"),
        ("in the last 24 hours", f"{found.messages_last_24h:,}"),
        ("in the last 7 days", f"{found.messages_last_7d:,}"),
        ("Waiting", f"{found.queue_depth:,}"),
        ("their size", size(found.total_size_bytes)),
        ("the oldest", length(found.oldest_message_age)),
        ("the newest", length(found.newest_message_age)),
        ("on average", length(found.average_queue_time)),
        ("Delivery takes", length(found.average_delivery_time)),
        ("Delivered per hour", f"{found.delivery_rate:,.0f} / h"),
        ("Retries", f"{found.total_retries:,}"),
        ("Tried again", f"{found.retry_rate:.1f} %"),
        ("Bounced", f"{found.bounce_rate:.1f} %"),
    ):
        table.add_row(name if name[0].isupper() else f"  {name}", value)
    return table


def _statuses(found: QueueMetrics) -> Table:
    table = plain_table("Status", "Messages", "Bounces", "")
    for column in (1, 3):
        table.columns[column].justify = "right"
    statuses = list(found.messages_by_status.items())
    bounces = list(found.bounces_by_type.items())
    for place, (status, number) in enumerate(statuses):
        type_, count = bounces[place] if place < len(bounces) else (None, 0)
        known = (type_, f"{count:,}") if type_ else ("", "")
        table.add_row(status_text(status), f"{number:,}", *known)
    return table


def _depths(depths: list[tuple[str, int]], found: QueueMetrics) -> Table:
    table = plain_table("Domain", "Waiting", "Score", "Bounced", "Takes")
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for domain, number in depths:
        health = found.domain_health_scores.get(domain)
        known = (
            (
                f"{health.score:.0f}",
                f"{health.bounce_rate:.1f} %",
                length(health.average_delivery_time),
            )
            if health
            else ("-", "-", "-")
        )
        table.add_row(_name(domain), f"{number:,}", *known)
    return table


def top_page(found: QueueAges) -> RenderableType:
    if not found.total:
        return Text("Nothing waits.")
    columns = [str(each) for each in found.columns]
    table = plain_table("Domain", "Total", *columns, f"{columns[-1]}+")
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    table.add_row("All", short(found.total), *map(short, found.ages), style="bold")
    for one in found.deepest:
        table.add_row(_name(one.domain), short(one.total), *map(short, one.ages))
    parts: list[RenderableType] = [table]
    if found.domains > len(found.deepest):
        parts.append(Text(f"and {found.domains - len(found.deepest):,} domains more", style="dim"))
    failed = [(one.domain, one.last_error) for one in found.deepest if one.last_error]
    if failed:
        parts += [Text(), _errors(failed)]
    return Group(*parts)


def _errors(failed: list[tuple[str, str]]) -> Table:
    table = plain_table("Domain", "Last error")
    table.columns[0].max_width = 24
    for domain, error in failed:
        table.add_row(_name(domain), _cut(error))
    return table


def _name(domain: str) -> Text:
    return _cut(domain or "(none)")


def _cut(text: str) -> Text:
    """Its column may be narrower: the others have what they need first."""
    return Text(one_line(text), no_wrap=True, overflow="ellipsis")


def short(number: int) -> str:
    """In five characters."""
    if number < 100_000:
        return str(number)
    return f"{number // 1_000}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"


def length(seconds: float) -> str:
    """In its largest two units."""
    for place, (size_, name) in enumerate(UNITS):
        if seconds >= size_:
            rest = UNITS[place + 1 : place + 2]
            more = [f"{int(seconds % size_ // each)} {unit}" for each, unit in rest]
            return " ".join([f"{int(seconds // size_)} {name}", *more])
    return f"{seconds:.1f} s"


def size(number: int) -> str:
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1_024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1_024
    return f"{value:.1f} TiB"
