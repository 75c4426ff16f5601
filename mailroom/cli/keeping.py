"""What the bridge can't be asked to take now goes into its spool."""

from collections.abc import Callable
from functools import cache, partial
from ipaddress import ip_address
from urllib.parse import urlsplit

from mailroom.adapters.settings import Settings
from mailroom.cli.spool_folder import exists, opened_to_write
from mailroom.models.arrival import Arrival
from mailroom.models.spool import NORMAL, Entry, Queue, SpooledMail

Keep = Callable[[bytes], None]


def keep_of(settings: Settings) -> Keep | None:
    """Puts a mail into the spool durably; None where it isn't on this machine."""
    keep_entry = keep_entry_of(settings)
    if keep_entry is None:
        return None

    def keep(raw: bytes) -> None:
        message = SpooledMail.of(Arrival(raw, None, ()))
        keep_entry(Entry(queue=Queue.INBOUND, priority=NORMAL, message=message))

    return keep


def keep_entry_of(settings: Settings) -> Callable[[Entry], None] | None:
    """Puts an entry into the spool durably; None where it isn't on this machine."""
    if not (exists(settings) and is_here(settings)):
        return None
    # Opened when it is needed: what is wrong with it concerns nobody whose bridge runs.
    spool = cache(partial(opened_to_write, settings))
    return lambda entry: spool().append(entry)


def is_here(settings: Settings) -> bool:
    """Whether the spool is the bridge's. A spool that is there may be that of another Mailroom,
    tried once, while MAILROOM_URL names one far away; where its folder is set, it is meant."""
    if settings.mailroom_spool_dir or not settings.mailroom_url:
        return True
    try:
        host = urlsplit(settings.mailroom_url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
