"""All checks of `mailroom doctor`, and how they are shown."""

import asyncio
from collections.abc import Sequence

from rich.text import Text

from mailroom.adapters.settings import (
    BadConfiguration,
    Settings,
    load_config_file,
    load_settings,
)
from mailroom.cli import (
    agents_check,
    dkim_check,
    drafter,
    imap,
    machine,
    monitor,
    rollout_check,
    route_check,
    services,
    smtp,
    spool_check,
    twilio,
)
from mailroom.cli.background import health_of
from mailroom.cli.findings import Finding, Level, failed, ok
from mailroom.cli.output import Output, plain_table, print_json, show
from mailroom.local import lifetime

COLORS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "bold red"}


def examine(output: Output) -> bool:
    """Prints what was found; True if nothing failed."""
    findings = lifetime.run(_findings())
    if output is Output.JSON:
        print_json([finding.model_dump(mode="json") for finding in findings])
    else:
        _show(findings)
    return all(finding.level is not Level.FAILED for finding in findings)


async def _findings() -> list[Finding]:
    try:
        settings = load_settings()
        load_config_file(settings.mailroom_config)
    except BadConfiguration as error:
        mend = "Correct it in the environment, .env or mailroom.toml."
        return [failed("configuration", str(error), mend)]
    return [ok("configuration", "can be read"), *await _all_checks(settings)]


async def _all_checks(settings: Settings) -> list[Finding]:
    health = await health_of(settings.bridge_url)
    running = machine.is_running(settings) or bool(settings.db_host and health)
    servers = await asyncio.gather(
        services.temporal(settings),
        services.postgres(settings),
        services.sms_gateway(settings),
        drafter.drafter(settings),
        monitor.email_monitor(settings),
    )
    return [
        machine.data_folder(settings),
        machine.disk(settings),
        spool_check.spool(settings),
        *machine.ports(settings, running=running),
        *servers,
        *await smtp.smtp_servers(settings),
        await route_check.outbound_route(settings),
        *await dkim_check.dkim(settings),
        *rollout_check.rollout(settings),
        *await twilio.twilio(settings),
        *await imap.mailboxes(settings),
        *await agents_check.agents(settings),
        services.bridge(settings, health, running=running),
        *machine.secrets(settings),
        machine.owner(settings),
        machine.links(settings),
    ]


def _show(findings: Sequence[Finding]) -> None:
    table = plain_table("Check", "", "Finding")
    for finding in findings:
        mend = f"\n{finding.mend}" if finding.mend else ""
        table.add_row(
            finding.check,
            Text(finding.level, style=COLORS[finding.level]),
            Text(finding.finding) + Text(mend, style="italic"),
        )
    show(table)
