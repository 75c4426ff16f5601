"""Operations over many messages: asked for, confirmed, followed to their end."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

import typer
from rich.text import Text

from mailroom.cli.bars import bar
from mailroom.cli.client import Bridge, bridge
from mailroom.cli.errors import ExitCode, Failure
from mailroom.cli.mails import local
from mailroom.cli.output import (
    Output,
    answer,
    narrowed,
    one_line,
    plain_table,
    print_json,
    say,
    show,
)
from mailroom.cli.queue_messages import status_text
from mailroom.cli.queue_moments import moment_of
from mailroom.cli.queue_selecting import Selected
from mailroom.models.outbound.bulk import OperationStatus, OperationView, Whole
from mailroom.models.outbound.words import QueueOperationType

OPERATIONS = "/queue/operations"
SECONDS, A_LOOK = 20, 1
DONE = {
    "suspend": "suspended",
    "resume": "resumed",
    "retry": "tried again",
    "cancel": "cancelled",
    "bounce": "given up as bounced",
    "rebind": "moved",
    "set_priority": "given priority",
    "purge": "removed for good",
}


@dataclass(frozen=True)
class Ways:
    dry_run: bool
    yes: bool
    output: Output


def asked(
    name: str, ids: Sequence[UUID], selected: Selected, words: Mapping[str, Any], reason: str
) -> dict[str, Any]:
    """The request, but for a saved filter. Raises `Failure` where it means no messages."""
    if bool(ids) == bool(selected.fields or selected.saved):
        raise Failure(
            "Say which messages: their IDs, or options such as --campaign; not both, not neither.",
            ExitCode.USAGE,
        )
    known = {key: value for key, value in words.items() if value is not None}
    if "until" in known:
        known["until"] = moment_of(known["until"]).isoformat()
    body: dict[str, Any] = {"operation": name, "metadata": known or None, "reason": reason or None}
    if ids:
        return body | {"message_ids": [str(id) for id in dict.fromkeys(ids)]}
    return body | {"filter": dict(selected.fields), "saved": selected.saved}


def operate(body: dict[str, Any], ways: Ways) -> None:
    view = asyncio.run(_begun(body, ways))
    if view.status is OperationStatus.AWAITING_CONFIRMATION or (not ways.dry_run and view.dry_run):
        view = _confirmed(body, view, ways)
    if ways.output is Output.JSON:
        print_json(view.model_dump(mode="json", exclude_none=True))
    else:
        _tell(view)
    if view.result and not view.result.success:
        raise typer.Exit(ExitCode.REFUSED)


async def _begun(body: dict[str, Any], ways: Ways) -> OperationView:
    """At its end, or at its question. What can't be undone is only counted at first."""
    async with bridge() as to:
        whole = await _with_saved(to, body)
        first = body["operation"] == QueueOperationType.PURGE and not ways.yes
        more = {"dry_run": ways.dry_run or first, "confirm": ways.yes}
        found = await to.post(OPERATIONS, json=whole | more, params={"wait": SECONDS})
        return await _followed(to, OperationView.model_validate(found["operation"]))


async def _with_saved(to: Bridge, body: dict[str, Any]) -> dict[str, Any]:
    body = dict(body)
    if saved := body.pop("saved", None):
        found = await to.get(f"/queue/filters/{quote(saved, safe='')}")
        body["filter"] = found["selection"] | body["filter"]
    return body


async def _followed(to: Bridge, view: OperationView) -> OperationView:
    """With a bar, until it has ended or asks."""
    with bar("messages") as progress:
        task = progress.add_task(view.operation, total=view.messages or None, count="0")
        while not (view.status.ended or view.status is OperationStatus.AWAITING_CONFIRMATION):
            found = await to.get(f"{OPERATIONS}/{view.id}", wait=A_LOOK)
            view = OperationView.model_validate(found)
            progress.update(task, total=view.messages, completed=view.done, count=f"{view.done:,}")
    return view


def _confirmed(body: dict[str, Any], view: OperationView, ways: Ways) -> OperationView:
    """Asks, and then means exactly the messages that were counted; a dry run is asked again."""
    if not view.messages:
        return view
    say(f"{_messages(view.messages)} meant: {one_line(_first(view))}.")
    if not sys.stdin.isatty():
        asyncio.run(_abandon(view))
        raise Failure("Nobody is here to confirm it; give --yes.", ExitCode.REFUSED)
    if not typer.confirm(f"Shall they be {DONE[view.operation]}?", err=True):
        asyncio.run(_abandon(view))
        raise typer.Abort
    if view.dry_run:
        return asyncio.run(_begun(body, Ways(dry_run=False, yes=True, output=ways.output)))
    return asyncio.run(_confirm(view))


async def _confirm(view: OperationView) -> OperationView:
    async with bridge() as to:
        found = await to.post(f"{OPERATIONS}/{view.id}/confirm", params={"wait": A_LOOK})
        return await _followed(to, OperationView.model_validate(found))


async def _abandon(view: OperationView) -> None:
    if view.status.ended:
        return
    async with bridge() as to:
        await to.post(f"{OPERATIONS}/{view.id}/abandon")


def _messages(number: int) -> str:
    return "1 message" if number == 1 else f"{number:,} messages"


def _first(view: OperationView) -> str:
    shown = ", ".join(one.recipient for one in view.sample[:3])
    return f"{shown} and others" if view.messages > 3 else shown


def _tell(view: OperationView) -> None:
    if view.dry_run:
        if view.whole:
            answer(f"{_whole(view.whole)} would be {_held(view)}.")
        answer(f"{_messages(view.messages)} would be {_done(view)}.")
        _show_sample(view)
        return
    if view.whole and view.result and view.result.success:
        answer(f"{_whole(view.whole)} is {_held(view)}.")
    answer(f"{_messages(view.affected)} {_done(view)}.")
    for error in (view.result and view.result.errors) or []:
        say(one_line(error))
    left = view.failed - len((view.result and view.result.errors) or [])
    if left > 0:
        say(f"And {left:,} others did not follow.")


def _done(view: OperationView) -> str:
    if view.operation is QueueOperationType.SET_PRIORITY:
        return f"{DONE[view.operation]} {(view.metadata or {}).get('priority')}"
    suspended = view.operation is QueueOperationType.SUSPEND
    return "held by that" if view.whole and suspended else DONE[view.operation]


def _whole(whole: Whole) -> str:
    return one_line(f"The {whole.scope} {whole.name}")


def _held(view: OperationView) -> str:
    """Messages that it holds stay scheduled, ready or deferred."""
    if view.operation is QueueOperationType.RESUME:
        return "held no longer"
    until = view.whole and view.whole.until
    return f"held until {local(until) if until else 'it is resumed'}, with what comes later"


def _show_sample(view: OperationView) -> None:
    if not view.sample:
        return
    table = plain_table("ID", "Status", "To", "Queue", "Subject")
    for one in view.sample:
        table.add_row(
            str(one.id),
            status_text(one.status),
            Text(one_line(one.recipient)),
            Text(one_line(one.queue_name)),
            Text(one_line(one.subject)[:40]),
        )
    show(narrowed(table, "ID", "Status", "To"))
