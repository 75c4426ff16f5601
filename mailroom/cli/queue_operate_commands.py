"""`mailroom queue suspend`, `resume` and the others: of messages by their IDs, or by what they have
in common."""

from collections.abc import Callable
from typing import Annotated, Any, cast
from uuid import UUID

import typer

from mailroom.cli.output import Output, OutputOption
from mailroom.cli.queue_selecting import Selected, selecting

Ids = Annotated[
    list[UUID] | None, typer.Argument(metavar="[ID]...", help="As `queue list` shows them.")
]
Reason = Annotated[str, typer.Option(help="Why; the audit trail and the timeline keep it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count, and show some of them.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="However many they are; don't ask.")]
Length = Annotated[
    str | None, typer.Option("--for", help="30m, 2h, 1d: hold it all, with what comes later.")
]
Until = Annotated[str | None, typer.Option(help="The same with its end: 2026-03-02T18:00+01:00.")]
_selecting = selecting(leave_out=("sort_by", "sort_order"))


def _one_word(name: str, help: str) -> Callable[..., None]:
    """A command that needs no more to be said than which messages."""

    def command(
        ids: Ids = None,
        *,
        selected: Selected,
        reason: Reason = "",
        dry_run: DryRun = False,
        yes: Yes = False,
        output: OutputOption = Output.TABLE,
    ) -> None:
        _operate(name, ids, selected, {}, reason=reason, ways=(dry_run, yes, output))

    command.__name__, command.__doc__ = name, help
    return cast("Callable[..., None]", _selecting(command))


resume = _one_word(
    "resume",
    "Lets suspended messages go on. What may have been sent goes on by `retry` alone.",
)
cancel = _one_word("cancel", "Gives messages up: they are cancelled.")
bounce = _one_word("bounce", "Gives messages up as bounced.")
purge = _one_word(
    "purge", "Removes messages with their bodies and timelines, for good; asks first."
)


@_selecting
def suspend(
    ids: Ids = None,
    *,
    selected: Selected,
    for_: Length = None,
    until: Until = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Keeps messages back until they are resumed.

    A --queue, and a --domain, --campaign, --tenant or --pool with --for or --until, is held as a
    whole, with what comes later.
    """
    words = {"for": for_, "until": until}
    _operate("suspend", ids, selected, words, reason=reason, ways=(dry_run, yes, output))


@_selecting
def retry(
    ids: Ids = None,
    *,
    selected: Selected,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tries messages now. By ID also what may have been sent already, and asks first."""
    from mailroom.cli import queue_orders  # noqa: PLC0415

    if ids and not (dry_run or yes):
        queue_orders.ask_about_doubtful(ids)
    _operate("retry", ids, selected, {}, reason=reason, ways=(dry_run, yes, output))


@_selecting
def rebind(
    ids: Ids = None,
    *,
    selected: Selected,
    to_queue: Annotated[str | None, typer.Option(help="The name of the other queue.")] = None,
    via: Annotated[
        str | None, typer.Option(help="The domain whose servers they go to from now on.")
    ] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Moves messages to another queue, to other servers, or both."""
    if not (to_queue or via):
        raise typer.BadParameter("Say where they go: --to-queue, --via, or both.")
    words = {"queue_name": to_queue, "routing_domain": via}
    _operate("rebind", ids, selected, words, reason=reason, ways=(dry_run, yes, output))


@_selecting
def set_priority(
    ids: Ids = None,
    *,
    selected: Selected,
    to_priority: Annotated[
        int, typer.Option("--priority", min=0, max=10, help="10 is the most urgent.")
    ],
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Sets how urgent messages are."""
    words = {"priority": to_priority}
    _operate("set_priority", ids, selected, words, reason=reason, ways=(dry_run, yes, output))


def operations(
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest so many.")] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows what was done to messages, by whom and why: the audit trail."""
    from mailroom.cli import queue_trail  # noqa: PLC0415

    queue_trail.show_operations(limit, output)


def operation(
    id: Annotated[UUID, typer.Argument(metavar="ID", help="As `queue operations` shows it.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows one operation: what was meant, how far it is, what did not follow."""
    from mailroom.cli import queue_trail  # noqa: PLC0415

    queue_trail.show_operation(id, output)


def abandon(
    id: Annotated[UUID, typer.Argument(metavar="ID", help="As `queue operations` shows it.")],
) -> None:
    """Stops an operation; what it has changed stays changed."""
    from mailroom.cli import queue_trail  # noqa: PLC0415

    queue_trail.abandon(id)


def _operate(
    name: str,
    ids: list[UUID] | None,
    selected: Selected,
    words: dict[str, Any],
    *,
    reason: str,
    ways: tuple[bool, bool, Output],
) -> None:
    from mailroom.cli import queue_operate  # noqa: PLC0415

    dry_run, yes, output = ways
    asked = queue_operate.asked(name, ids or [], selected, words, reason)
    queue_operate.operate(asked, queue_operate.Ways(dry_run=dry_run, yes=yes, output=output))
