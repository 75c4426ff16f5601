"""A look that is taken once, or again and again until Ctrl-C."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from mailroom.cli.client import Bridge, bridge
from mailroom.cli.output import Output, print_json, show

SECONDS = 2.0

Look = Callable[[Bridge], Awaitable[Any]]


def look(at: Look, shown: Callable[[Any], RenderableType], output: Output, *, watch: bool) -> None:
    """`at` asks the bridge; `shown` is what people see. Programs get a line of JSON for each look
    that is taken while they watch."""
    asyncio.run(_watch(at, shown, output) if watch else _once(at, shown, output))


async def _once(at: Look, shown: Callable[[Any], RenderableType], output: Output) -> None:
    async with bridge() as to:
        found = await at(to)
    if output is Output.JSON:
        print_json(found)
    else:
        show(shown(found))


async def _watch(at: Look, shown: Callable[[Any], RenderableType], output: Output) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        with suppress(RuntimeError):  # in a thread nobody presses Ctrl-C
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    console = Console(highlight=False)
    async with bridge() as to:
        if output is Output.TABLE and console.is_terminal:
            with Live(console=console, auto_refresh=False, screen=True) as screen:
                async for found in _looks(to, at, stop):
                    screen.update(shown(found), refresh=True)
        elif output is Output.TABLE:
            async for found in _looks(to, at, stop):
                show(shown(found))
        else:
            async for found in _looks(to, at, stop):
                typer.echo(json.dumps(found, ensure_ascii=False))


async def _looks(to: Bridge, at: Look, stop: asyncio.Event) -> Any:
    while not stop.is_set():
        yield await at(to)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), SECONDS)
