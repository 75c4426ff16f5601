"""The mailboxes that are configured, in the environment or in `mailroom.toml`."""

from collections.abc import Iterable

from mailroom.adapters.settings import BadConfiguration, MailServer, OwnerSection, Settings
from mailroom.models.mailbox import Mailbox
from mailroom.models.owner import Owner


def mailboxes_of(settings: Settings, owners: Iterable[OwnerSection]) -> list[Mailbox]:
    """Those of mailroom.toml; IMAP_HOST is the mailbox of the first owner."""
    first, *others = owners
    own = [_of_file(owner, owner.imap) for owner in (first, *others) if owner.imap]
    if not settings.imap_host:
        return own
    if first.imap:
        raise BadConfiguration(
            f"IMAP_HOST is set, and mailroom.toml names a mailbox of {first.id}; unset one."
        )
    return [_of_environment(settings, first), *own]


def _of_file(owner: OwnerSection, server: MailServer) -> Mailbox:
    if not (server.password or server.token_command):
        raise BadConfiguration(
            f"The mailbox of {owner.id} has no login; give it password_env or token_command."
        )
    return Mailbox(
        owner=owner.id,
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        token_command=server.token_command,
        address=owner.email or server.user,
        answer_since=server.answer_since,
        mark_seen=server.mark_seen,
        sent_folder=server.sent_folder,
    )


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
        sent_folder=settings.imap_sent_folder,
    )
