"""One-click unsubscribing from a campaign (RFC 8058, RFC 2369)."""

from urllib.parse import quote
from uuid import UUID

from mailroom.models.base import Frozen

UNSUBSCRIBED = "message.unsubscribed"
"""The line of the message's timeline."""

FIELD, ONE_CLICK = "List-Unsubscribe", "One-Click"
POST_HEADER = f"{FIELD}-Post"


def unsubscribe_headers(link: str, mailto: str | None = None) -> dict[str, str]:
    """The two headers of a message of a campaign. RFC 8058 §3.1: the link is HTTPS, and both are
    signed with DKIM. `mailto`: an address that takes the wish by mail, after the link."""
    places = [link]
    if mailto:
        places.append(f"mailto:{quote(mailto, safe='@')}?subject=unsubscribe")
    return {
        FIELD: ", ".join(f"<{place}>" for place in places),
        POST_HEADER: f"{FIELD}={ONE_CLICK}",
    }


class Subscriber(Frozen):
    """To whom a message of a campaign went; `sender` as its From says it."""

    id: UUID
    recipient: str
    tenant_id: str | None = None
    sender: str
