"""The mailboxes that are configured, in the environment or in `mailroom.toml`."""

from collections.abc import Iterable

from mailroom.adapters.settings import BadConfiguration, Settings
from mailroom.models.mailbox import Mailbox
from mailroom.models.owner import Owner


def mailboxes_of(settings: Settings, owners: Iterable[Owner]) -> list[Mailbox]:
    """IMAP_HOST is the mailbox of the first owner."""
    owner = next(iter(owners))
    return [_of_environment(settings, owner)] if settings.imap_host else []


def _of_environment(settings: Settings, owner: Owner) -> Mailbox:
    user = settings.imap_user or settings.email_address
    password = settings.imap_password or settings.email_password
    command = None if password else settings.email_token_command
    if not settings.imap_host or not user or not (password or command):
        raise BadConfiguration(
            "IMAP_HOST is set without a login; set IMAP_USER and IMAP_PASSWORD, or EMAIL_ADDRESS "
            "and EMAIL_PASSWORD."
        )
    return Mailbox(
        owner=owner.id,
        host=settings.imap_host,
        port=settings.imap_port,
        user=user,
        password=password,
        token_command=command,
        address=settings.email_address or user,
        answer_since=settings.imap_answer_since,
        mark_seen=settings.imap_mark_seen,
    )
