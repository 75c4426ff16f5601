"""The owner's word, typed: decide, retry, end the wait."""

import asyncio
from typing import Any

from mailroom.cli.client import bridge, path_of, resolved
from mailroom.cli.output import Output, answer, print_json


def decide(named: str, word: str, revision: int | None, output: Output) -> None:
    outcome = asyncio.run(_decide(named, word, revision))
    _show(outcome, outcome["text"], output)


def retry(named: str, output: Output) -> None:
    done = asyncio.run(_post(named, "/workflow/{}/retry"))
    _show(done, done["detail"], output)


def time_out(named: str, output: Output) -> None:
    done = asyncio.run(_post(named, "/workflow/timeout/{}"))
    _show(done, done["detail"], output)


async def _decide(named: str, word: str, revision: int | None) -> dict[str, Any]:
    async with bridge() as to:
        message_id, resolved_to = await resolved(to, named)
        said = {"text": word, "revision": revision or resolved_to, "via": "cli"}
        outcome: dict[str, Any] = await to.post(
            f"/workflow/{path_of(message_id)}/decide", json=said
        )
        return outcome


async def _post(named: str, path: str) -> dict[str, Any]:
    async with bridge() as to:
        message_id, _ = await resolved(to, named)
        done: dict[str, Any] = await to.post(path.format(path_of(message_id)))
        return done


def _show(data: dict[str, Any], sentence: str, output: Output) -> None:
    if output is Output.JSON:
        print_json(data)
    else:
        answer(sentence)
