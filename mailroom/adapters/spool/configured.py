"""The spool of the settings."""

from mailroom.adapters.settings import Settings
from mailroom.adapters.spool.locks import Patience
from mailroom.adapters.spool.place import check_place
from mailroom.adapters.spool.spool import Spool


def spool_of(settings: Settings) -> Spool:
    """Made where there is none. Raises `SpoolUnusable`."""
    check_place(settings.spool_dir)
    return Spool(settings.spool_dir, patience_of(settings))


def patience_of(settings: Settings) -> Patience:
    return Patience(
        timeout=settings.mailroom_spool_lock_seconds,
        first_pause=settings.mailroom_spool_retry_ms / 1000,
        longest_pause=settings.mailroom_spool_longest_retry_ms / 1000,
        short_looks=settings.mailroom_spool_short_looks,
    )
