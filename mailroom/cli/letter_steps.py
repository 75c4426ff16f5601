"""What is done to one letter by who got it."""

import asyncio
from typing import Any

from mailroom.cli.agent_identity import Me, asked_as, whoami
from mailroom.cli.letter_pages import segment
from mailroom.cli.output import Output, answer, one_line, print_json
from mailroom.cli.spool_folder import SHORT
from mailroom.client import Letter

DONE = {
    "ack": "acknowledged",
    "pin": "pinned",
    "unpin": "no longer pinned",
    "replay": "on its way again",
    "discard": "discarded",
}


def step(letter: str, name: str, said: str | None, output: Output) -> None:
    found = asyncio.run(_post(letter, name, whoami(said)))
    if output is Output.JSON:
        print_json(found)
    else:
        answer(sentence(Letter.model_validate(found), name))


def sentence(letter: Letter, name: str) -> str:
    about = f" ({one_line(letter.subject)})" if letter.subject else ""
    return f"{letter.id[:SHORT]}{about} is {DONE[name]}."


async def _post(letter: str, name: str, me: Me) -> dict[str, Any]:
    async with asked_as(me) as to:
        found: dict[str, Any] = await to.post(f"/mail/{segment(letter)}/{name}")
        return found
