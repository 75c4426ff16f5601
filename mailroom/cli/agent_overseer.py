"""Of `mailroom agent`: what is for who watches over the agents."""

from typing import Annotated

import typer

from mailroom.cli.agent_options import (
    Address,
    As,
    Body,
    Limit,
    OfPriority,
    OfRecipient,
    OfSender,
    OfWords,
    Subject,
    Urgency,
    Way,
)
from mailroom.cli.errors import EXIT_CODES
from mailroom.cli.output import Output, OutputOption
from mailroom.models.letter_words import Delivery, LetterState, Priority

PANEL = "For the overseer"
STATES = (LetterState.DEAD_LETTER,)

app = typer.Typer()

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Of letters, or their beginnings."),
]
Every = Annotated[bool, typer.Option("--all", help="All dead letters.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say how many; change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def token(address: Address) -> None:
    """Prints the token with which an agent writes as itself and reads its own inbox."""
    from mailroom.cli import agent_leases  # noqa: PLC0415

    agent_leases.show_token(address)


@app.command("dead-letters", epilog=EXIT_CODES, rich_help_panel=PANEL)
def dead_letters(
    *,
    sender: OfSender = None,
    to: OfRecipient = None,
    priority: OfPriority = None,
    search: OfWords = None,
    limit: Limit = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows letters that could not be delivered, with the reason, newest first."""
    from mailroom.cli import letter_lists  # noqa: PLC0415

    wanted = letter_lists.filter_of(to, sender, STATES, priority, search)
    letter_lists.show_dead(wanted, limit, output)


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def replay(
    letters: Ids = None,
    *,
    every: Every = False,
    sender: OfSender = None,
    to: OfRecipient = None,
    priority: OfPriority = None,
    search: OfWords = None,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Has dead letters delivered again: some by ID, those that match, or all.

    For example `mailroom agent replay --to rig/worker`, once the reason is mended.
    """
    _order("replay", letters, (sender, to, priority, search), output, every=every, dry_run=dry_run)


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def discard(
    letters: Ids = None,
    *,
    every: Every = False,
    sender: OfSender = None,
    to: OfRecipient = None,
    priority: OfPriority = None,
    search: OfWords = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Gives letters up: some by ID (also such that still wait), dead ones that match, or all."""
    filters = (sender, to, priority, search)
    _order("discard", letters, filters, output, every=every, dry_run=dry_run, ask=not yes)


Filters = tuple[str | None, str | None, list[Priority] | None, str | None]


def _order(
    order: str,
    letters: list[str] | None,
    filters: Filters,
    output: Output,
    *,
    every: bool,
    dry_run: bool,
    ask: bool = False,
) -> None:
    from mailroom.cli import letter_lists, letter_orders  # noqa: PLC0415

    if sum((every, bool(letters), any(filters))) != 1:
        raise typer.BadParameter(
            "Name letters by their IDs, or by --to and the like, or say --all."
        )
    if letters and dry_run:
        raise typer.BadParameter("--dry-run is for --all, --to and the like.")
    if letters:
        letter_orders.order_each(order, letters, output)
        return
    sender, to, priority, search = filters
    wanted = letter_lists.filter_of(to, sender, STATES, priority, search)
    letter_orders.order_all(order, wanted, output, dry_run=dry_run, ask=ask)


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def stats(
    *,
    hours: Annotated[int, typer.Option(min=1, help="Back from now.")] = 24,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows how many letters arrived, how long that took, and what waits."""
    from mailroom.cli import agent_figures  # noqa: PLC0415

    agent_figures.show_stats(hours, output)


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def rules(
    body: Body = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try them on the letter that the options describe.")
    ] = False,
    to: OfRecipient = None,
    subject: Subject = "",
    priority: Urgency = Priority.NORMAL,
    delivery: Way = Delivery.AUTO,
    me: As = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows the routing rules of mailroom.toml, or what they make of a letter.

    For example `mailroom agent rules --dry-run --to rig/worker -s Invoice --as shop/`
    """
    from mailroom.cli import agent_figures, letter_sending  # noqa: PLC0415

    if not dry_run:
        agent_figures.show_rules(output)
        return
    if not to:
        raise typer.BadParameter("--dry-run needs a letter: say --to, and what else it has.")
    draft = letter_sending.draft_of(
        to=to, body=body or [], subject=subject, priority=priority, delivery=delivery
    )
    letter_sending.plan(draft, me, output)
