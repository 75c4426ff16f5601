"""Check of the Email Monitor. It is asked as a poll asks it, and nothing is taken."""

import httpx

from mailroom.adapters.email_monitor import EmailMonitor
from mailroom.adapters.http import http_client
from mailroom.adapters.settings import Settings
from mailroom.cli.findings import Finding, failed, ok
from mailroom.ports import Permanent, Transient

CHECK = "Email Monitor"
SECONDS = 10.0


async def email_monitor(settings: Settings) -> Finding:
    if not settings.email_monitor_url:
        return ok(CHECK, "none: nothing is polled")
    mend = "Start it, or correct EMAIL_MONITOR_URL."
    try:
        # A password in the address is not for the screen.
        where = httpx.URL(settings.email_monitor_url).copy_with(userinfo=b"")
    except httpx.InvalidURL as error:
        return failed(CHECK, f"its address can't be read ({error})", mend)
    try:
        async with (
            http_client(SECONDS) as http,
            EmailMonitor(http, settings.email_monitor_url, SECONDS).pending() as items,
        ):
            count = sum(1 for _ in items)
    except (Permanent, Transient) as error:
        return failed(CHECK, f"{where}: {error}", mend)
    return ok(CHECK, f"{where} answers; {count} mails are pending")
