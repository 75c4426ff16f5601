"""`mailroom worker`, `bridge`, `migrate`, `search-attributes`: one process each, for servers."""

from typing import Annotated

import typer

Smtp = Annotated[bool, typer.Option(help="Also take mail by SMTP, on MAILROOM_SMTP_PORT.")]


def worker() -> None:
    """Runs workflows and activities.

    Needs DB_HOST, TEMPORAL_ADDRESS, MAILROOM_TOKEN, SMS_GATEWAY_URL and GMAIL_SMTP_SERVER.
    SIGTERM lets it finish what it is doing. Logs are JSON lines on stdout.
    """
    from mailroom.cli import processes  # noqa: PLC0415

    processes.run_worker()


def bridge(*, smtp: Smtp = True) -> None:
    """Serves HTTP: the API, the pages, the webhook; and takes mail by SMTP.

    Needs DB_HOST, TEMPORAL_ADDRESS, MAILROOM_TOKEN and, unless Twilio sends the texts,
    SMS_WEBHOOK_SECRET. SIGTERM lets open requests finish. Logs are JSON lines on stdout.
    """
    from mailroom.cli import processes  # noqa: PLC0415

    processes.run_bridge(smtp=smtp)


def migrate() -> None:
    """Brings the PostgreSQL schema up to date; run it before workers and bridges."""
    from mailroom.cli import processes  # noqa: PLC0415

    processes.migrate()


def search_attributes() -> None:
    """Registers Mailroom's search attributes with Temporal; safe to repeat."""
    from mailroom.cli import processes  # noqa: PLC0415

    processes.register_search_attributes()
