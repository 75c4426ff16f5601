"""Addresses that get no more mail, and why."""

import unicodedata
from string import ascii_lowercase, ascii_uppercase
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.outbound.domains import ascii_domain
from mailroom.models.outbound.suppression_reason import (
    SuppressionReason as SuppressionReason,  # noqa: PLC0414
)

_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
LONGEST_ADDRESS, LONGEST_TENANT, LONGEST_SOURCE = 320, 200, 200


def suppressed_form(address: str) -> str:
    """An address as suppressions are compared: in lower case, its domain in ASCII.

    RFC 5321 §2.4 lets a server tell local parts apart by case, and none in use does: who
    unsubscribed as Ann@ has unsubscribed as ann@. Only of ASCII: any database agrees with that
    (`lower(recipient COLLATE "C")`, where the claim compares).
    """
    local, at, domain = address.strip().rpartition("@")
    lower = unicodedata.normalize("NFC", local).translate(_ASCII_LOWER)
    return f"{lower}{at}{ascii_domain(domain)}"


def _address(given: str) -> str:
    address = suppressed_form(given)
    local, _, domain = address.rpartition("@")
    if len(address) > LONGEST_ADDRESS:
        raise ValueError(f"an address has {LONGEST_ADDRESS} characters at most")
    if not local or not domain or not address.isprintable() or set(address) & set(' <>,;"'):
        raise ValueError("this is no address such as ann@example.com")
    return address


def _plain(given: str) -> str:
    if not given.isprintable():
        raise ValueError("it has characters that can't be printed")
    return given.strip()


SuppressedAddress = Annotated[str, AfterValidator(_address)]
TenantId = Annotated[str, Field(max_length=LONGEST_TENANT), AfterValidator(_plain)]
Source = Annotated[str, Field(max_length=LONGEST_SOURCE), AfterValidator(_plain)]


class NewSuppression(Frozen):
    """Without `tenant_id` it is for messages without a tenant."""

    address: SuppressedAddress
    reason: SuppressionReason = SuppressionReason.MANUAL
    tenant_id: Annotated[TenantId | None, AfterValidator(lambda given: given or None)] = None
    source: Source | None = Field(default=None, description="where it comes from")


class Suppression(Frozen):
    """A line of the list."""

    address: str
    reason: str
    tenant_id: str | None = None
    source: str | None = None
    created_at: AwareDatetime


class SuppressionPage(Frozen):
    """`next_cursor` leads to the next page; None on the last."""

    items: list[Suppression]
    next_cursor: str | None = None


class Listed(Frozen):
    """What became of addresses: new on the list, or there before."""

    added: int
    known: int
