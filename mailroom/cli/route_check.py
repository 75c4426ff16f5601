"""Check of the way that outbound messages go. Connects and logs in, sends nothing."""

import asyncio

from aiosmtplib import SMTPException

from mailroom.adapters.couriers import courier_of, own_name, route_of
from mailroom.adapters.http import http_client
from mailroom.adapters.settings import BadConfiguration, Settings, load_config_file
from mailroom.adapters.smtp.opening import NoLogin, NoTls, Opener, Terms
from mailroom.adapters.smtp.sites import Server
from mailroom.adapters.smtp.smarthost import Smarthost, smarthost_of
from mailroom.cli.findings import Finding, failed, ok, warning
from mailroom.cli.kumomta_check import kumomta
from mailroom.models.outbound.config import OutboundSection

CHECK = "outbound route"
SECONDS = 10.0


async def outbound_route(settings: Settings) -> Finding:
    outbound = load_config_file(settings.mailroom_config).outbound
    try:
        async with http_client(SECONDS) as http:
            courier_of(settings, outbound, http)
        return await _finding(settings, outbound)
    except BadConfiguration as error:
        mend = "Correct it in the environment, .env or mailroom.toml (docs/outbound.md)."
        return failed(CHECK, str(error), mend)


async def _finding(settings: Settings, outbound: OutboundSection) -> Finding:
    match route_of(settings):
        case "catcher":
            return _nowhere(settings)
        case "mx":
            return await _name(outbound)
        case "kumomta":
            return await kumomta(settings, CHECK)
        case url:
            return await _smarthost(
                smarthost_of(url, settings.mailroom_outbound_password), outbound
            )


def _nowhere(settings: Settings) -> Finding:
    if not settings.db_host:
        return ok(CHECK, "none: `mailroom dev` keeps messages in its outbox")
    mend = "Set MAILROOM_OUTBOUND_ROUTE to smtp://host:port, mx or kumomta (docs/outbound.md)."
    return warning(CHECK, "none: outbound messages wait", mend)


async def _name(outbound: OutboundSection) -> Finding:
    """RFC 5321 §4.1.1.1: mail servers look us up by the name that we say."""
    name = outbound.hostname or await own_name()
    if "." in name:
        return ok(CHECK, f"the mail servers of each domain, as {name}")
    mend = "Set hostname in [outbound] of mailroom.toml to the name that the DNS has for it."
    return warning(CHECK, f"this machine calls itself {name}, which mail servers refuse", mend)


async def _smarthost(host: Smarthost, outbound: OutboundSection) -> Finding:
    policy = host.policy(outbound.tls_of(host.host))
    server = Server(host.host, host.host, host.port)
    terms = Terms(
        outbound.hostname or await own_name(), policy, implicit=host.implicit, login=host.login
    )
    try:
        async with asyncio.timeout(SECONDS):
            link = await Opener().open(server, terms)
    except (NoTls, NoLogin) as error:
        mend = "Correct MAILROOM_OUTBOUND_ROUTE, MAILROOM_OUTBOUND_PASSWORD or [[outbound.tls]]."
        return failed(CHECK, f"{error}", mend)
    except (SMTPException, OSError, TimeoutError) as error:
        said = str(error) or type(error).__name__
        return failed(CHECK, f"{server.name}: {said}", "Start it, or correct the route.")
    link.smtp.close()
    return ok(CHECK, f"{server.name} answers")
