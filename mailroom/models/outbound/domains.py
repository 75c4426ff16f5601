"""Domains, as they are compared."""

from collections.abc import Iterator
from functools import lru_cache

import idna


@lru_cache(maxsize=4_096)
def ascii_domain(domain: str) -> str:
    """In ASCII and lower case (RFC 5890), without the root's dot. What is no domain stays as it
    is, in lower case."""
    try:
        return idna.encode(domain, uts46=True).decode().lower().rstrip(".")
    except (idna.IDNAError, UnicodeError):
        return domain.lower()


def with_parents(domain: str) -> Iterator[str]:
    """`a.example.com`, then `example.com`, then `com`."""
    while domain:
        yield domain
        domain = domain.partition(".")[2]
