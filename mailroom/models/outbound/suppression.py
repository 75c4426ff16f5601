"""Addresses that get no more mail, and why."""

import unicodedata

import idna


def suppressed_form(address: str) -> str:
    """An address as suppressions are compared: in lower case, its domain in ASCII (RFC 5890).

    RFC 5321 §2.4 lets a server tell local parts apart by case, and none in use does: who
    unsubscribed as Ann@ has unsubscribed as ann@.
    """
    local, at, domain = address.strip().rpartition("@")
    return f"{unicodedata.normalize('NFC', local.lower())}{at}{_ascii(domain)}"


def _ascii(domain: str) -> str:
    """What is no domain stays as it is, in lower case; no mail gets there anyway."""
    try:
        return idna.encode(domain, uts46=True).decode().lower().rstrip(".")
    except (idna.IDNAError, UnicodeError):
        return domain.lower()
