"""After which line of the list the next page begins."""

import base64
import binascii
import json
from typing import NamedTuple


class Place(NamedTuple):
    address: str = ""
    tenant_id: str = ""

    def text(self) -> str:
        raw = json.dumps(self).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    @classmethod
    def of(cls, text: str) -> "Place":
        """Raises ValueError where it is none of ours."""
        try:
            read = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            "".join(read).encode()
        except (binascii.Error, TypeError, ValueError, RecursionError):
            read = None
        match read:
            case [str(address), str(tenant_id)] if "\0" not in address + tenant_id:
                return cls(address, tenant_id)
        raise ValueError("This cursor is none of a page before; leave it out.")


FIRST = Place()
