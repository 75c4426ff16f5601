"""Mailboxes (RFC 5322 §3.4), read from headers that strangers wrote."""

import re
from collections.abc import Iterator
from email.headerregistry import Address as HeaderAddress
from email.headerregistry import HeaderRegistry

from mailroom.models.base import Frozen
from mailroom.models.decoding import guarded
from mailroom.models.text import one_line

ADDRESS_LENGTH, ADDRESSES_LENGTH = 320, 16 << 10
ADDRESSES, RUN_LENGTH = 500, 1_000

# Asked for once: the registry makes a new class each time.
_HEADER = HeaderRegistry()["to"]
# An address for a name, which the parser would take for the mailbox.
_BARE_NAME = re.compile(r'(^|,)\s*([^"@,<>():;\\]*@[^",<>():;\\]*)<')


class Address(Frozen):
    """A mailbox (RFC 5322 §3.4)."""

    name: str = ""
    address: str

    def __str__(self) -> str:
        if not self.name:
            return self.address
        special = re.search(r'[()<>\[\]:;@\\,."]', self.name)
        name = '"' + re.sub(r'(["\\])', r"\\\1", self.name) + '"' if special else self.name
        return f"{name} <{self.address}>"


def read_addresses(value: str) -> list[Address]:
    """The mailboxes that can be answered; what is none is left out."""
    if len(value) > ADDRESSES_LENGTH:
        value = value[:ADDRESSES_LENGTH].rpartition(",")[0]
    return [address for run in _runs(value) for address in _parsed(run)]


def _runs(value: str) -> Iterator[str]:
    """`value` in runs of about a thousand characters, because it is parsed in quadratic time."""
    run = ""
    for piece in value.split(",")[:ADDRESSES]:
        if len(run) + len(piece) > RUN_LENGTH and run.count('"') % 2 == 0:
            yield run
            run = ""
        run = f"{run},{piece}" if run else piece
    yield run


def _parsed(run: str) -> list[Address]:
    if not run.strip() or len(run) > 2 * RUN_LENGTH:
        return []
    clear = run if '"' in run else _BARE_NAME.sub(r'\1"\2"<', run)
    header = guarded(None, _HEADER, "to", clear)
    if header is None:
        # One that breaks the parser must not hide the others.
        pieces = run.split(",") if "," in run else []
        return [address for piece in pieces for address in _parsed(piece)]
    found = [guarded(None, _address, one) for one in getattr(header, "addresses", ())]
    return [address for address in found if address]


def _address(parsed: HeaderAddress) -> Address | None:
    spec = parsed.addr_spec
    # What would have to be cleaned is not this mailbox any more.
    if "@" not in spec or one_line(spec, ADDRESS_LENGTH) != spec:
        return None
    return Address(name=one_line(parsed.display_name, 200), address=spec)
