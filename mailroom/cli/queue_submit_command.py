"""`mailroom queue submit`: what can be typed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mailroom.cli.output import Output, OutputOption

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...", help=".json (one message, a list, `items`), .jsonl, .csv, .eml, mbox."
    ),
]
Moment = "RFC 3339 with zone, or `in 2h`."


def submit(
    files: Files,
    *,
    template: Annotated[
        Path | None,
        typer.Option(help="Filled by rows of CSV: {{column}} in headers, text and html."),
    ] = None,
    sender: Annotated[
        str | None, typer.Option(help="Envelope sender, where a message names none.")
    ] = None,
    campaign: Annotated[str | None, typer.Option(help="campaign_id.")] = None,
    tenant: Annotated[str | None, typer.Option(help="tenant_id.")] = None,
    queue: Annotated[
        str | None, typer.Option(help="queue_name; else the recipient's domain.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, max=10, help="10 is the most urgent, 5 the usual.")
    ] = None,
    at: Annotated[str | None, typer.Option(help=f"scheduled_at: {Moment}")] = None,
    expires: Annotated[str | None, typer.Option(help=f"expires_at: {Moment}")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="Else it follows from files and options: the same twice sends once."),
    ] = None,
    atomic: Annotated[
        bool, typer.Option("--atomic", help="All of up to 1,000 messages, or none.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be refused; send nothing.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Submits messages to be delivered. Options fill what a message doesn't say itself.

    Exit code 1 if one was refused; each refusal is said with file and line. For example
    `mailroom queue submit people.csv --template hello.txt --sender news@example.org`.
    """
    from mailroom.cli import queue_submit  # noqa: PLC0415
    from mailroom.cli.queue_moments import moments_of  # noqa: PLC0415

    typed: dict[str, Any] = {
        "sender": sender,
        "campaign_id": campaign,
        "tenant_id": tenant,
        "queue_name": queue,
        "priority": priority,
        "scheduled_at": at,
        "expires_at": expires,
        "tags": tag or None,
    }
    given = {name: value for name, value in typed.items() if value is not None}
    order = queue_submit.Order(
        files=files,
        template=template,
        common=given | moments_of({"scheduled_at": at, "expires_at": expires}),
        key=idempotency_key or queue_submit.key_of([*files, *filter(None, [template])], given),
        atomic=atomic,
        dry_run=dry_run,
    )
    queue_submit.submit(order, output)
