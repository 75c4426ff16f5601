"""What the bridge says of its way on."""

import asyncio
from datetime import datetime

from pydantic import BaseModel, ValidationError

from mailroom.adapters.settings import Settings
from mailroom.cli.client import Away, Bridge, bridge
from mailroom.cli.errors import Failure
from mailroom.cli.output import one_line

SECONDS = 5.0


class Way(BaseModel):
    """Of `/spool`: whether what comes in goes on at once. `left` is what waits there."""

    open: bool
    since: datetime | None = None
    why: str | None = None
    queues: dict[str, dict[str, int]] = {}

    @property
    def sentence(self) -> str:
        if self.open:
            return "The way on is open."
        since = f" since {self.since.astimezone():%Y-%m-%d %H:%M:%S}" if self.since else ""
        why = f": {one_line(self.why)}" if self.why else "."
        return f"The way on is closed{since}{why}"

    @property
    def left(self) -> int:
        waiting = (kinds for queue, kinds in self.queues.items() if queue != "dead-letter")
        return sum(count for kinds in waiting for count in kinds.values())


def ask(settings: Settings) -> Way | Failure:
    """The failure says, in one sentence, why the bridge can't be asked."""
    return asyncio.run(_ask(settings))


async def _ask(settings: Settings) -> Way | Failure:
    try:
        async with bridge(settings) as to:
            return await way_of(to)
    except Failure as failure:
        return failure


async def way_of(to: Bridge) -> Way:
    try:
        async with asyncio.timeout(SECONDS):
            return Way.model_validate(await to.get("/spool"))
    except TimeoutError as error:
        raise Away(f"The bridge did not answer within {SECONDS:.0f} s.") from error
    except ValidationError as error:
        raise Failure("What answers /spool is no bridge of this Mailroom.") from error
