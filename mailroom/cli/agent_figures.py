"""Figures of agent mail, and its routing rules."""

import asyncio
from collections.abc import Iterator
from typing import Any

from pydantic import AwareDatetime, BaseModel
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mailroom.cli.agent_identity import asked_as, whoami
from mailroom.cli.mails import local
from mailroom.cli.output import Output, one_line, plain_table, print_json, say, show

CHANGES = ("redirect", "copy", "priority", "delay", "delivery", "stop")


class Seconds(BaseModel):
    p50: float | None
    p95: float | None

    @property
    def cells(self) -> tuple[str, str]:
        return _seconds(self.p50), _seconds(self.p95)


class Depth(BaseModel):
    address: str
    queued: int
    oldest: AwareDatetime


class Strategy(BaseModel):
    strategy: str
    letters: int
    delivered: int
    delivery_seconds: Seconds
    acknowledge_seconds: Seconds


class Figures(BaseModel):
    """Of `/mail/stats`, what is shown."""

    success_rate: float | None
    delivered: int
    failed: int
    delivery_seconds: Seconds
    acknowledge_seconds: Seconds
    queue_depths: list[Depth]
    events: dict[str, int]
    strategies: list[Strategy]


def show_stats(hours: int, output: Output) -> None:
    found = asyncio.run(_fetch("/mail/stats", hours=hours))
    if output is Output.JSON:
        print_json(found)
    else:
        show(*_page(Figures.model_validate(found)))


def show_rules(output: Output) -> None:
    rules = asyncio.run(_fetch("/mail/rules"))["rules"]
    if output is Output.JSON:
        print_json(rules)
    elif rules:
        show(_rules(rules))
    else:
        say("There are no rules; [[agents.rules]] in mailroom.toml holds them.")


async def _fetch(path: str, **params: Any) -> Any:
    async with asked_as(whoami()) as to:
        return await to.get(path, **params)


def _page(figures: Figures) -> Iterator[RenderableType]:
    yield _totals(figures)
    if figures.queue_depths:
        yield Text()
        yield _depths(figures)
    if figures.strategies:
        yield Text()
        yield _strategies(figures)
    if figures.events:
        yield Text()
        yield _events(figures)


def _totals(figures: Figures) -> Table:
    rate = figures.success_rate
    table = _numbers("Delivered", "Failed", "Success", "p50", "p95", "Acknowledged p50", "p95")
    table.add_row(
        f"{figures.delivered:,}",
        f"{figures.failed:,}",
        "-" if rate is None else f"{rate:.1%}",
        *figures.delivery_seconds.cells,
        *figures.acknowledge_seconds.cells,
    )
    return table


def _depths(figures: Figures) -> Table:
    table = plain_table("Waiting for", "Letters", "Oldest")
    for one in figures.queue_depths:
        table.add_row(Text(one_line(one.address)), f"{one.queued:,}", local(one.oldest))
    return table


def _strategies(figures: Figures) -> Table:
    table = plain_table("Strategy", "Letters", "Delivered", "p50", "p95", "Acknowledged p50", "p95")
    for one in figures.strategies:
        counts = (f"{one.letters:,}", f"{one.delivered:,}")
        times = (*one.delivery_seconds.cells, *one.acknowledge_seconds.cells)
        table.add_row(Text(one_line(one.strategy)), *counts, *times)
    return table


def _events(figures: Figures) -> Table:
    table = plain_table("Event", "Since the beginning")
    for name, count in sorted(figures.events.items()):
        table.add_row(Text(one_line(name)), f"{count:,}")
    return table


def _numbers(*columns: str) -> Table:
    table = plain_table(*columns)
    for column in table.columns:
        column.justify = "right"
    return table


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _rules(rules: list[dict[str, Any]]) -> Table:
    table = plain_table("Rule", "Where", "What")
    for rule in rules:
        does = {name: rule[name] for name in CHANGES if name in rule}
        cells = (str(rule.get("name", "")), _words(rule.get("match", {})), _words(does))
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _words(given: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in given.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "" if value else "no"
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)
