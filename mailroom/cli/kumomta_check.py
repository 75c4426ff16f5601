"""Check of the KumoMTA that outbound messages are handed to. Nothing is sent."""

import re

from mailroom.adapters.http import http_client
from mailroom.adapters.kumomta.injection import OLDEST
from mailroom.adapters.kumomta.relay import KumoRelay
from mailroom.adapters.kumomta.server import kumo_server_of
from mailroom.adapters.settings import BadConfiguration, Settings
from mailroom.cli.findings import Finding, failed, ok, warning
from mailroom.models.outbound.relay import Interface
from mailroom.ports import Permanent, Transient

SECONDS = 10.0
SPOKEN = {
    Interface.CURRENT: "the current admin interface",
    Interface.SEED: "the admin interface of list-scheduled-queues",
}


async def kumomta(settings: Settings, check: str) -> Finding:
    server = kumo_server_of(settings)
    if server is None:
        raise BadConfiguration("KUMOMTA_URL is not set, and MAILROOM_OUTBOUND_ROUTE is kumomta.")
    try:
        async with http_client(SECONDS) as http:
            found = await KumoRelay(http, server).detect()
    except Transient as error:
        return failed(check, f"{error}", "Start it, or correct KUMOMTA_URL.")
    except Permanent as error:
        mend = "Correct KUMOMTA_URL, KUMOMTA_USER and KUMOMTA_PASSWORD (docs/outbound.md)."
        return failed(check, f"{error}", mend)
    named = f"KumoMTA {found.version or 'of no version'} at {found.hostname or 'KUMOMTA_URL'}"
    if found.version and _is_older(found.version):
        return failed(check, f"{named} can't take our messages", f"Install {OLDEST} or newer.")
    answers = f"{named} answers, with {SPOKEN[found.interface]}"
    if found.version is None:
        return warning(check, answers, f"Where it refuses messages, install {OLDEST} or newer.")
    return ok(check, answers)


def _is_older(version: str) -> bool:
    """Those that are no release have no date."""
    dated = re.match(r"\d{4}\.\d{2}\.\d{2}", version)
    return dated is not None and dated[0] < OLDEST
