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
from mailroom.cli import house, services
from mailroom.cli.background import health_of
from mailroom.cli.findings import Finding, Level, failed, ok
from mailroom.cli.output import Output, console, plain_table, print_json

COLORS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "bold red"}


def examine(output: Output) -> bool:
    """Prints what was found; True if nothing failed."""
    findings = asyncio.run(_findings())
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
    running = health is not None or house.is_running(settings)
    servers = await asyncio.gather(
        services.temporal(settings),
        services.postgres(settings),
        services.sms_gateway(settings),
        services.smtp_server(settings),
    )
    return [
        house.data_folder(settings),
        house.disk(settings),
        *house.ports(settings, running=running),
        *servers,
        services.bridge(settings, health),
        *house.secrets(settings),
        house.owner(settings),
        house.links(settings),
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
    console().print(table)
