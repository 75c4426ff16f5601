"""`mailroom queue hold`, `release` and `holds`: what is held whatever queue it is in."""

from typing import Annotated

import typer

from mailroom.cli.output import Output, OutputOption
from mailroom.cli.queue_states import Limit

Domain = Annotated[str | None, typer.Option(help="All to this domain.")]
Campaign = Annotated[str | None, typer.Option(help="All of this campaign.")]
Tenant = Annotated[str | None, typer.Option(help="All of this tenant.")]
Pool = Annotated[str | None, typer.Option(help="All from this pool.")]


def hold(
    *,
    reason: Annotated[str, typer.Option(help="Why; whoever looks is told.")],
    domain: Domain = None,
    campaign: Campaign = None,
    tenant: Tenant = None,
    pool: Pool = None,
    until: Annotated[
        str | None, typer.Option(help="Its end, with its zone: 2026-03-02T18:00+01:00.")
    ] = None,
    for_: Annotated[
        str | None, typer.Option("--for", help="How long instead: 30m, 2h, 1d.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Holds a domain, a campaign, a tenant or a pool: what is there and what comes.

    For example `mailroom queue hold --domain example.com --for 1h --reason "they move"`.
    """
    from mailroom.cli import queue_holding, queue_overview  # noqa: PLC0415

    what = queue_holding.one_of(domain=domain, campaign=campaign, tenant=tenant, pool=pool)
    queue_holding.hold(what, reason, queue_overview.end_of(until, for_), output)


def release(
    *, domain: Domain = None, campaign: Campaign = None, tenant: Tenant = None, pool: Pool = None
) -> None:
    """Ends what `hold` began; what was held goes on."""
    from mailroom.cli import queue_holding  # noqa: PLC0415

    queue_holding.release(
        queue_holding.one_of(domain=domain, campaign=campaign, tenant=tenant, pool=pool)
    )


def holds(*, limit: Limit = 50, output: OutputOption = Output.TABLE) -> None:
    """Shows what is held: domains, campaigns, tenants and pools, until when and why."""
    from mailroom.cli import queue_holding  # noqa: PLC0415

    queue_holding.show_holds(limit, output)
