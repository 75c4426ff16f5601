"""`mailroom queue metrics`, `top` and `export`: outbound messages in figures, and as a file."""

from typing import Annotated

import typer

from mailroom.cli.output import Output, OutputOption
from mailroom.cli.queue_selecting import Selected, selecting
from mailroom.models.outbound.formats import ExportFormat

Queue = Annotated[str | None, typer.Option("--queue", help="Only of this queue.")]
Domain = Annotated[str | None, typer.Option(help="Only to this domain.")]
Campaign = Annotated[str | None, typer.Option(help="Only of this campaign.")]
Tenant = Annotated[str | None, typer.Option(help="Only of this tenant.")]
Watch = Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")]


def metrics(
    *,
    queue: Queue = None,
    domain: Domain = None,
    campaign: Campaign = None,
    tenant: Tenant = None,
    watch: Watch = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows how many messages there are, how long they wait, and how it goes.

    For example `mailroom queue metrics --campaign autumn --watch`.
    """
    from mailroom.cli import queue_metrics  # noqa: PLC0415

    scope = _scope(queue, domain, campaign, tenant)
    queue_metrics.show_metrics(scope, output, watch=watch)


def top(
    *,
    queue: Queue = None,
    domain: Domain = None,
    campaign: Campaign = None,
    tenant: Tenant = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=1_000, help="The deepest so many domains.")
    ] = 20,
    watch: Watch = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows what waits by domain and age in minutes, as Postfix's qshape does, with the last error.

    For example `mailroom queue top --watch`.
    """
    from mailroom.cli import queue_metrics  # noqa: PLC0415

    scope = _scope(queue, domain, campaign, tenant)
    queue_metrics.show_top(scope, limit, output, watch=watch)


@selecting()
def export(
    file: Annotated[str, typer.Argument(help="Is written when all is there; - is stdout.")],
    *,
    selected: Selected,
    format: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="As the file's name ends, unless said; else csv."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="In place of a file of this name.")
    ] = False,
) -> None:
    """Writes messages to a file: CSV, JSON Lines or Parquet.

    For example `mailroom queue export late.csv --status deferred --domain example.com`.
    """
    from mailroom.cli import queue_export  # noqa: PLC0415

    queue_export.export(file, selected, format, force=force)


def _scope(
    queue: str | None, domain: str | None, campaign: str | None, tenant: str | None
) -> dict[str, str]:
    asked = {"queue_name": queue, "domain": domain, "campaign_id": campaign, "tenant_id": tenant}
    return {name: value for name, value in asked.items() if value}
