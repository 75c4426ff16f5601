"""What several commands of `mailroom agent` take."""

from typing import Annotated

import typer

from mailroom.models.letter_words import Delivery, LetterState, Priority

As = Annotated[
    str | None,
    typer.Option("--as", metavar="ADDRESS", help="As whom; else MAILROOM_AGENT, else overseer."),
]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="Of a letter, or its beginning, for example 3f2a81c0.")
]
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="For example rig/worker.")]
SessionId = Annotated[
    str, typer.Argument(metavar="SESSION", help="Its ID, or the beginning of one of yours.")
]
To = Annotated[
    str,
    typer.Option("--to", metavar="ADDRESS", help="rig/worker, mayor/, a group @staff, or rig/*."),
]
Subject = Annotated[str, typer.Option("--subject", "-s", help="What it is about.")]
Body = Annotated[
    list[str] | None, typer.Argument(metavar="[BODY]...", help="What it says; - reads stdin.")
]
Urgency = Annotated[
    Priority, typer.Option("--priority", "-p", help="urgent and high ones interrupt, if auto.")
]
Way = Annotated[Delivery, typer.Option("--delivery", "-d", help="Into the terminal, or the inbox.")]
OfPriority = Annotated[
    list[Priority] | None, typer.Option("--priority", "-p", help="Only these; may be repeated.")
]
OfState = Annotated[
    list[LetterState] | None, typer.Option("--status", help="Only these; may be repeated.")
]
OfSender = Annotated[
    str | None, typer.Option("--from", metavar="ADDRESS", help="Only what this one sent.")
]
OfRecipient = Annotated[
    str | None, typer.Option("--to", metavar="ADDRESS", help="Only what this one got.")
]
OfWords = Annotated[str | None, typer.Option("--search", help="Only with these words.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="So many at most.")]
