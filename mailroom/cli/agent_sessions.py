"""Of `mailroom agent`: sessions, who is online, and routing by seed 002's names."""

from typing import Annotated

import typer

from mailroom.cli.agent_options import Address, As, Body, SessionId, Subject, To, Urgency
from mailroom.cli.errors import EXIT_CODES, ExitCode
from mailroom.cli.output import Output, OutputOption
from mailroom.models.letter_words import Delivery, Priority

PANEL = "Sessions"

app = typer.Typer()

OwnId = Annotated[
    str | None, typer.Option("--session", metavar="ID", help="Go on as an earlier one.")
]
Daemon = Annotated[str | None, typer.Option(metavar="NAME", help="Of the process behind it.")]
Channel = Annotated[str | None, typer.Option(metavar="NAME", help="Handed back with each event.")]


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def listen(
    address: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS]", help="Whose letters; else yours.")
    ] = None,
    *,
    session: OwnId = None,
    channel: Channel = None,
    me: As = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Is online, and prints letters as they come, until Ctrl-C.

    With `-o json` one object a line. Each letter is shown once: it is confirmed, then printed.
    """
    from mailroom.cli import listening  # noqa: PLC0415

    listening.listen(address or me, output, session_id=session, channel=channel)


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def register(
    address: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS]", help="Who is there; else you.")
    ] = None,
    *,
    session: OwnId = None,
    daemon: Daemon = None,
    channel: Channel = None,
    me: As = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Registers a session for a program of yours, and prints its ID and its token.

    It lasts for an hour after the last heartbeat. Letters wait for it at
    `/sessions/ID/events`; `mailroom agent listen` reads them here.
    """
    from mailroom.cli import agent_leases  # noqa: PLC0415

    agent_leases.register(address or me, session, daemon, channel, output)


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def unregister(session: SessionId, me: As = None) -> None:
    """Ends a session. No harm if it is gone."""
    from mailroom.cli import agent_leases  # noqa: PLC0415

    agent_leases.unregister(session, me)


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def heartbeat(session: SessionId, me: As = None, output: OutputOption = Output.TABLE) -> None:
    """Renews a session's lease; what waits is delivered if it had run out."""
    from mailroom.cli import agent_leases  # noqa: PLC0415

    agent_leases.heartbeat(session, me, output)


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def sessions(
    address: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS]", help="Only this one's.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows who is online, the latest first."""
    from mailroom.cli import agent_leases  # noqa: PLC0415

    agent_leases.list_sessions(address, output)


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def session(address: Address, output: OutputOption = Output.TABLE) -> None:
    """Shows the session that letters to an address go to. Exit code 3 without one."""
    from mailroom.cli import agent_leases  # noqa: PLC0415

    agent_leases.show_session(address, output)


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def online(address: Address, output: OutputOption = Output.TABLE) -> None:
    """Says whether an address is online. Exit code 3 when it isn't."""
    from mailroom.cli import agent_leases  # noqa: PLC0415

    if not agent_leases.show_presence(address, output):
        raise typer.Exit(ExitCode.NOT_THERE)


@app.command(epilog=EXIT_CODES, rich_help_panel=PANEL)
def route(
    to: To,
    body: Body = None,
    *,
    subject: Subject = "",
    priority: Urgency = Priority.NORMAL,
    me: As = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Sends a letter and says what became of it: delivered, offline (it waits) or failed."""
    from mailroom.cli import letter_sending  # noqa: PLC0415

    draft = letter_sending.draft_of(to=to, body=body or [], subject=subject, priority=priority)
    letter_sending.route(draft, me, output)


@app.command("queue-offline", epilog=EXIT_CODES, rich_help_panel=PANEL)
def queue_offline(
    to: To,
    body: Body = None,
    *,
    subject: Subject = "",
    priority: Urgency = Priority.NORMAL,
    me: As = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Puts a letter into the inbox, without an interruption."""
    from mailroom.cli import letter_sending  # noqa: PLC0415

    draft = letter_sending.draft_of(
        to=to, body=body or [], subject=subject, priority=priority, delivery=Delivery.QUEUE
    )
    letter_sending.send(draft, me, output, wait=False)
