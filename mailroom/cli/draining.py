"""`mailroom spool drain`: the bridge sends on what waits, and says how far it came."""

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import typer
from pydantic import BaseModel, ValidationError

from mailroom.adapters.settings import Settings, load_settings
from mailroom.cli.client import ANSWER_SECONDS, Bridge, NotRunning, bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.output import Output, answer, messages, print_json, say
from mailroom.cli.way import Way, way_of

LOOK_SECONDS = 1.0


class Drained(BaseModel):
    """What `/spool/drain` answers."""

    forwarded: int
    left: int
    dead: int

    @property
    def sentence(self) -> str:
        return f"{self.forwarded} went on, {self.left} left, {self.dead} to the dead letters"


def drain(output: Output) -> None:
    drained, way = asyncio.run(_drain(load_settings()))
    if output is Output.JSON:
        print_json(drained.model_dump())
    else:
        answer(drained.sentence)
    if way and not way.open:
        say(way.sentence)
        raise typer.Exit(ExitCode.FAILED)


async def _drain(settings: Settings) -> tuple[Drained, Way | None]:
    async with bridge(settings) as to:
        drained = await drained_by(to)
        return drained, await way_of(to) if drained.left else None


def drained_soon(settings: Settings) -> Drained | None:
    """By the bridge, if it runs; what is in its queues goes on without it being asked, too."""
    try:
        return asyncio.run(_once(settings))
    except NotRunning:
        say("Mailroom isn't running; they go on when it does.")
    except Failure as failure:
        say(f"They go on with the bridge's next look. {failure}")
    return None


async def _once(settings: Settings) -> Drained:
    async with bridge(settings) as to:
        return await drained_by(to)


async def drained_by(to: Bridge) -> Drained:
    """However long that lasts."""
    begun = asyncio.create_task(_asked(to))
    with messages().status("Sending on ...") as status:
        while not (await asyncio.wait({begun}, timeout=LOOK_SECONDS))[0]:
            with suppress(Failure):  # the drain itself says what went wrong
                status.update(f"Sending on ... {(await way_of(to)).left:,} left")
    try:
        return Drained.model_validate(await begun)
    except ValidationError as error:
        raise Failure("What answers /spool/drain is no bridge of this Mailroom.") from error


async def _asked(to: Bridge) -> Any:
    return await to.post("/spool/drain", timeout=httpx.Timeout(ANSWER_SECONDS, read=None))
