"""Headers that are folded where a tab stands in them, and the policies that write them."""

from email.header import Header
from email.headerregistry import BaseHeader, HeaderRegistry
from email.policy import SMTP, Policy
from functools import cache
from typing import Any


def is_plain(words: str) -> bool:
    return words.isascii() and "=?" not in words


def encoded(words: str, header: str) -> str:
    """`words`, in encoded words (RFC 2047) where they are not plain, with a tab at each fold."""
    charset = "us-ascii" if is_plain(words) else "utf-8"
    return Header(words, charset, 76, header).encode(linesep="\t")


class _Folded(BaseHeader):
    """A header whose tabs say where it is folded.

    The standard library encodes long Message-IDs (RFC 2047 §5 forbids it), loses spaces between
    encoded words, and the quotes of long names, whose commas then make other mailboxes.
    """

    max_count = 1

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        kwds["parse_tree"], kwds["decoded"] = None, value

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self.replace(chr(9), policy.linesep)}{policy.linesep}"


class _Registry(HeaderRegistry):
    """For the few headers that we write: asked twice, the standard library's makes two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.kind = cache(super().__getitem__)
        for name in ("from", "to", "subject", "message-id", "in-reply-to", "references"):
            self.map_to_type(name, _Folded)

    def __getitem__(self, name: str) -> type[BaseHeader]:
        return self.kind(name)


class _Submitted(_Registry):
    """For headers of any name: those that others gave are folded where a tab stands, too."""

    _STANDARD = ("date", "mime-version", "content-type", "content-transfer-encoding")

    def __getitem__(self, name: str) -> type[BaseHeader]:
        return self.kind(name if name.lower() in self._STANDARD else "subject")


# RFC 6152: what is beyond ASCII would need a next hop with 8BITMIME.
ASCII = SMTP.clone(header_factory=_Registry(), cte_type="7bit")
UTF8 = ASCII.clone(utf8=True)
SUBMITTED = ASCII.clone(header_factory=_Submitted())
SUBMITTED_UTF8 = SUBMITTED.clone(utf8=True)
