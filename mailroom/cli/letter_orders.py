"""Letters are replayed or discarded: some by ID, or all that match."""

import asyncio
from collections.abc import Sequence
from typing import Any

import typer
from pydantic import BaseModel

from mailroom.cli.agent_identity import asked_as, whoami
from mailroom.cli.client import Refused
from mailroom.cli.letter_pages import segment
from mailroom.cli.letter_steps import sentence
from mailroom.cli.output import Output, answer, print_json, say
from mailroom.client import Letter

DONE = {"replay": "on their way again", "discard": "discarded"}


class Ordered(BaseModel):
    """What `/mail/replay` and `/mail/discard` answer."""

    count: int
    ids: list[str]


def order_each(order: str, letters: Sequence[str], output: Output) -> None:
    """One that is refused doesn't keep the others; the last refusal ends the command."""
    done, refusals = asyncio.run(_each(order, letters))
    if output is Output.JSON:
        print_json(done)
    else:
        for one in done:
            answer(sentence(Letter.model_validate(one), order))
    for refusal in refusals[:-1]:
        say(str(refusal))
    if refusals:
        raise refusals[-1]


async def _each(order: str, letters: Sequence[str]) -> tuple[list[dict[str, Any]], list[Refused]]:
    done: list[dict[str, Any]] = []
    refusals: list[Refused] = []
    async with asked_as(whoami()) as to:
        for letter in dict.fromkeys(letters):
            try:
                done.append(await to.post(f"/mail/{segment(letter)}/{order}"))
            except Refused as refusal:
                refusals.append(refusal)
    return done, refusals


def order_all(
    order: str, wanted: dict[str, Any], output: Output, *, dry_run: bool, ask: bool
) -> None:
    if dry_run or ask:
        found = asyncio.run(_all(order, wanted, dry_run=True))
        if dry_run:
            _show(found, f"{found.count:,} dead letters match.", output)
            return
        if found.count:
            typer.confirm(f"Discard {found.count:,} dead letters, for good?", abort=True, err=True)
    done = asyncio.run(_all(order, wanted))
    _show(done, f"{done.count:,} dead letters are {DONE[order]}.", output)


async def _all(order: str, wanted: dict[str, Any], **more: Any) -> Ordered:
    async with asked_as(whoami()) as to:
        found = await to.post(f"/mail/{order}", params={**wanted, **more}, timeout=None)
        return Ordered.model_validate(found)


def _show(found: Ordered, said: str, output: Output) -> None:
    if output is Output.JSON:
        print_json(found.model_dump())
    else:
        answer(said)
