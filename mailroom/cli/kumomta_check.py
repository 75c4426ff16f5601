"""Check of the KumoMTA that outbound messages are handed to. Nothing is sent."""

import re

from mailroom.adapters.http import http_client
from mailroom.adapters.kumomta.admin import KumoAdmin
from mailroom.adapters.kumomta.injection import OLDEST
from mailroom.adapters.kumomta.server import kumo_server_of
from mailroom.adapters.settings import BadConfiguration, Settings
from mailroom.cli.findings import Finding, failed, ok
from mailroom.ports import Permanent, Transient

SECONDS = 10.0


async def kumomta(settings: Settings, check: str) -> Finding:
    server = kumo_server_of(settings)
    if server is None:
        raise BadConfiguration("KUMOMTA_URL is not set, and MAILROOM_OUTBOUND_ROUTE is kumomta.")
    try:
        async with http_client(SECONDS) as http:
            machine = await KumoAdmin(http, server).machine()
    except Transient as error:
        return failed(check, f"{error}", "Start it, or correct KUMOMTA_URL.")
    except Permanent as error:
        mend = "Correct KUMOMTA_URL, KUMOMTA_USER and KUMOMTA_PASSWORD (docs/outbound.md)."
        return failed(check, f"{error}", mend)
    named = f"KumoMTA {machine.version} at {machine.hostname}"
    if _is_older(machine.version):
        return failed(check, f"{named} can't take our messages", f"Install {OLDEST} or newer.")
    return ok(check, f"{named} answers")


def _is_older(version: str) -> bool:
    """Those that are no release have no date."""
    dated = re.match(r"\d{4}\.\d{2}\.\d{2}", version)
    return dated is not None and dated[0] < OLDEST
