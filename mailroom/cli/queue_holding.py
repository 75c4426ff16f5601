"""Suspensions, as the bridge keeps them."""

import asyncio
from datetime import datetime
from typing import Any
from urllib.parse import quote

from rich.table import Table
from rich.text import Text

from mailroom.cli.client import bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.mails import local
from mailroom.cli.output import Output, answer, one_line, plain_table, print_json, say, show
from mailroom.cli.queue_overview import first
from mailroom.models.outbound.suspensions import Suspended, Suspension

SUSPENSIONS = "/queue/suspensions"

What = tuple[str, str]
"""Scope and name."""


def one_of(**given: str | None) -> What:
    found = [(scope, name) for scope, name in given.items() if name]
    if len(found) != 1:
        raise Failure(
            "Say what is meant with one of --domain, --campaign, --tenant and --pool.",
            ExitCode.USAGE,
        )
    return found[0]


def hold(what: What, reason: str, until: datetime | None, output: Output) -> None:
    wanted = {"reason": reason} | ({"until": until.isoformat()} if until else {})
    found = asyncio.run(_put(what, wanted))
    if output is Output.JSON:
        print_json(found)
    else:
        held = Suspended.model_validate(found)
        answer(_sentence(held))
        if held.relay:
            say(held.relay)


def release(what: What) -> None:
    asyncio.run(_delete(what))
    scope, name = what
    answer(f"The {scope} {name} is not held any more; what waited goes on.")


def show_holds(limit: int, output: Output) -> None:
    found = asyncio.run(first(SUSPENSIONS, limit))
    if output is Output.JSON:
        print_json(found)
    elif found:
        show(_table([Suspension.model_validate(one) for one in found]))
    else:
        say("Nothing is held: no domain, campaign, tenant or pool.")


def _sentence(held: Suspension) -> str:
    until = f"until {local(held.until)}" if held.until else "until somebody releases it"
    return f"The {held.scope} {held.name} is held {until}."


def _table(held: list[Suspension]) -> Table:
    table = plain_table("What", "Name", "Until", "Since", "Reason")
    for one in held:
        table.add_row(
            one.scope,
            Text(one_line(one.name)),
            local(one.until) if one.until else "-",
            local(one.created_at),
            Text(one_line(one.reason)),
        )
    return table


async def _put(what: What, wanted: dict[str, str]) -> dict[str, Any]:
    async with bridge() as to:
        found: dict[str, Any] = await to.put(_path(what), json=wanted)
        return found


async def _delete(what: What) -> None:
    async with bridge() as to:
        await to.delete(_path(what))


def _path(what: What) -> str:
    scope, name = what
    return f"{SUSPENSIONS}/{scope}/{quote(name, safe='')}"
