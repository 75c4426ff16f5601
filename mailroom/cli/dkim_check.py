"""Check of DKIM: the keys can sign, and the DNS has their records."""

import asyncio

import dns.asyncresolver
import dns.exception
import dns.nameserver
from dns.resolver import NXDOMAIN, NoAnswer

from mailroom.adapters.dkim import DkimKey, read_key
from mailroom.adapters.settings import BadConfiguration, Settings, load_config_file
from mailroom.cli.findings import Finding, failed, ok, warning
from mailroom.models.outbound.dkim import DkimSection
from mailroom.models.outbound.routing import nameserver_place

SECONDS = 5.0


async def dkim(settings: Settings) -> list[Finding]:
    """A finding for each key; none where there is none."""
    outbound = load_config_file(settings.mailroom_config).outbound
    checks = [_finding(section, outbound.nameservers) for section in outbound.dkim]
    return list(await asyncio.gather(*checks))


async def _finding(section: DkimSection, nameservers: tuple[str, ...]) -> Finding:
    check = f"DKIM {section.domain}"
    try:
        key = read_key(section)
    except BadConfiguration as error:
        return failed(check, str(error), "Correct [[outbound.dkim]] of mailroom.toml.")
    mend = f"Publish the TXT record {key.record_name} with: {key.record}"
    try:
        published = await _records(key, nameservers)
    except (dns.exception.DNSException, OSError) as error:
        found = f"the DNS did not say whether {key.record_name} is there ({type(error).__name__})"
        return warning(check, found, "Ask again when the DNS can be reached.")
    if not published:
        return warning(check, f"the DNS has no {key.record_name}: signatures fail", mend)
    if not any(_public_of(record) == key.public for record in published):
        return failed(check, f"{key.record_name} in the DNS belongs to another key", mend)
    return ok(check, f"{key.record_name} signs, {key.algorithm}")


async def _records(key: DkimKey, nameservers: tuple[str, ...]) -> list[str]:
    resolver = dns.asyncresolver.Resolver(configure=not nameservers)
    if nameservers:
        resolver.nameservers = [
            dns.nameserver.Do53Nameserver(*nameserver_place(given)) for given in nameservers
        ]
    resolver.lifetime = SECONDS
    try:
        answer = await resolver.resolve(f"{key.record_name}.", "TXT", search=False)
    except (NXDOMAIN, NoAnswer):
        return []
    # RFC 6376 §3.6.2.2: the strings of a record are put together without spaces.
    return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]


def _public_of(record: str) -> str | None:
    tags = (tag.partition("=") for tag in record.split(";"))
    found = {name.strip(): "".join(value.split()) for name, _, value in tags}
    return found.get("p")
