"""`mailroom dev`: everything on this machine, in the foreground."""

from typing import Annotated

import typer

Samples = Annotated[
    bool,
    typer.Option(
        "--samples/--no-samples",
        help="Let a few mails arrive for a first look; none where texts or replies go outside.",
    ),
]


def dev(*, samples: Samples = True) -> None:
    """Runs everything on this machine: Temporal, PostgreSQL, worker, bridge, SMTP, a phone.

    Nothing is sent to the outside unless a route is configured: texts go to the phone in the
    browser, replies to the outbox. Ctrl-C stops; everything is kept in MAILROOM_DATA_DIR.
    """
    from mailroom.cli import foreground  # noqa: PLC0415

    foreground.run(samples=samples)
