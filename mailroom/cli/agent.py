"""`mailroom agent`: letters between agents, over HTTP; works from anywhere."""

from typing import Annotated

import typer

from mailroom.cli import agent_overseer, agent_sessions
from mailroom.cli.agent_options import (
    As,
    Body,
    Id,
    Limit,
    OfPriority,
    OfRecipient,
    OfSender,
    OfState,
    Subject,
    To,
    Urgency,
    Way,
)
from mailroom.cli.errors import EXIT_CODES
from mailroom.cli.output import Output, OutputOption
from mailroom.models.letter_words import Delivery, Priority

app = typer.Typer(no_args_is_help=True, help="Letters between agents.", epilog=EXIT_CODES)


@app.command(epilog=EXIT_CODES)
def send(
    to: To,
    body: Body = None,
    *,
    sender: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="The same as --as.")
    ] = None,
    subject: Subject = "",
    priority: Urgency = Priority.NORMAL,
    delivery: Way = Delivery.AUTO,
    ttl: Annotated[
        str | None, typer.Option(help="Forgotten if it waits for longer, for example 30m.")
    ] = None,
    reply_to: Annotated[
        str | None, typer.Option(metavar="ID", help="Of the letter that it answers.")
    ] = None,
    pin: Annotated[bool, typer.Option("--pin", help="Stays on top of the inbox.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until it is delivered or waits, 60 s at most.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say who would get it and how; send nothing.")
    ] = False,
    me: As = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Sends a letter. While Mailroom isn't running on this machine, its spool keeps it.

    For example `mailroom agent send --to rig/worker -p urgent -s Stop "The bridge is closed."`
    """
    from mailroom.cli import letter_sending  # noqa: PLC0415

    letter = letter_sending.draft_of(
        to=to,
        body=body or [],
        subject=subject,
        priority=priority,
        delivery=delivery,
        ttl=ttl,
        reply_to=reply_to,
        pinned=pin,
    )
    if dry_run:
        letter_sending.plan(letter, sender or me, output)
    else:
        letter_sending.send(letter, sender or me, output, wait=wait)


@app.command(epilog=EXIT_CODES)
def inbox(
    *,
    every: Annotated[bool, typer.Option("--all", help="Also what was read.")] = False,
    limit: Limit = 50,
    me: As = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows what is unread or pinned, in the order in which it is to be read."""
    from mailroom.cli import letter_lists  # noqa: PLC0415

    letter_lists.show_inbox(me, limit, output, every=every)


@app.command(epilog=EXIT_CODES)
def read(letter: Id, me: As = None, output: OutputOption = Output.TABLE) -> None:
    """Shows a letter of yours with what happened to it, and marks it as read."""
    from mailroom.cli import letter_pages  # noqa: PLC0415

    letter_pages.show_letter(letter, me, output, mark=True)


@app.command(epilog=EXIT_CODES)
def show(letter: Id, me: As = None, output: OutputOption = Output.TABLE) -> None:
    """The same without marking it; also of one that you sent."""
    from mailroom.cli import letter_pages  # noqa: PLC0415

    letter_pages.show_letter(letter, me, output, mark=False)


@app.command(epilog=EXIT_CODES)
def ack(letter: Id, me: As = None, output: OutputOption = Output.TABLE) -> None:
    """Says that you have seen to it; an urgent letter stops asking."""
    _step(letter, "ack", me, output)


@app.command(epilog=EXIT_CODES)
def pin(letter: Id, me: As = None, output: OutputOption = Output.TABLE) -> None:
    """Keeps a letter on top of the inbox."""
    _step(letter, "pin", me, output)


@app.command(epilog=EXIT_CODES)
def unpin(letter: Id, me: As = None, output: OutputOption = Output.TABLE) -> None:
    """Lets a pinned letter go to its place."""
    _step(letter, "unpin", me, output)


@app.command(epilog=EXIT_CODES)
def thread(letter: Id, me: As = None, output: OutputOption = Output.TABLE) -> None:
    """Shows the conversation that a letter is part of, oldest first."""
    from mailroom.cli import letter_pages  # noqa: PLC0415

    letter_pages.show_thread(letter, me, output)


@app.command(epilog=EXIT_CODES)
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="Or how they begin.")],
    *,
    sender: OfSender = None,
    to: OfRecipient = None,
    status: OfState = None,
    priority: OfPriority = None,
    limit: Limit = 50,
    me: As = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Finds letters by words, newest first: an agent's own, or all for the overseer."""
    from mailroom.cli import letter_lists  # noqa: PLC0415

    wanted = letter_lists.filter_of(to, sender, status, priority, " ".join(words))
    letter_lists.show_found(wanted, me, limit, output)


def _step(letter: str, step: str, me: str | None, output: Output) -> None:
    from mailroom.cli import letter_steps  # noqa: PLC0415

    letter_steps.step(letter, step, me, output)


app.add_typer(agent_sessions.app)
app.add_typer(agent_overseer.app)
