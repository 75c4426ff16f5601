"""Check of the mailboxes that are watched: connects and logs in, reads and changes nothing."""

import asyncio

from mailroom.adapters.imap import ImapSource
from mailroom.adapters.mailboxes import mailboxes_of
from mailroom.adapters.settings import BadConfiguration, Settings, load_config_file, owners_of
from mailroom.adapters.token_command import NoToken
from mailroom.cli.findings import Finding, failed, ok, warning
from mailroom.models.mailbox import Mailbox
from mailroom.ports import LoginRefused, NoFolder, Transient

SECONDS = 10.0
LOG_IN = (
    "Correct IMAP_USER and IMAP_PASSWORD, or the owner's imap in mailroom.toml; Gmail wants an "
    "app password, and IMAP switched on (docs/mailbox.md)."
)
LOG_IN_BY_COMMAND = (
    "Run EMAIL_TOKEN_COMMAND (the imap's token_command in mailroom.toml) yourself: it has to print "
    "a token for this account (docs/mailbox.md)."
)
SENT_FOLDER = (
    "Set IMAP_SENT_FOLDER (sent_folder in mailroom.toml) to the folder's name, so that a draft is "
    "dropped when you answer with another program."
)


async def mailboxes(settings: Settings) -> list[Finding]:
    try:
        owners = owners_of(settings, load_config_file(settings.mailroom_config))
        found = mailboxes_of(settings, owners.values())
    except BadConfiguration as error:
        return [failed("mailbox", str(error), "Correct it in the environment or mailroom.toml.")]
    if not found:
        return [ok("mailbox", "none: mail comes by SMTP, import or the Email Monitor")]
    return list(await asyncio.gather(*(mailbox(one) for one in found)))


async def mailbox(one: Mailbox) -> Finding:
    where = f"{one.host}:{one.port}"
    log_in = LOG_IN_BY_COMMAND if one.token_command else LOG_IN
    mend = "Correct IMAP_HOST and IMAP_PORT (993 TLS, 143 STARTTLS)."
    try:
        async with asyncio.timeout(SECONDS), ImapSource(one).open() as session:
            folder = await session.sent_folder()
            return _answers(where, has_idle=session.has_idle, sent=folder.name if folder else None)
    except NoFolder as error:
        return warning("mailbox", f"{where} lets us in. {error}", SENT_FOLDER)
    except (LoginRefused, NoToken) as error:
        return failed("mailbox", str(error), log_in)
    except Transient as error:
        return failed("mailbox", str(error), mend)
    except TimeoutError:
        return failed("mailbox", f"{where} does not answer", mend)


def _answers(where: str, *, has_idle: bool, sent: str | None) -> Finding:
    if sent is None:
        said = f"{where} lets us in; it does not say where the mail that you sent is"
        return warning("mailbox", said, SENT_FOLDER)
    if has_idle:
        said = f"{where} lets us in, and tells of new mail at once (IDLE)"
        return ok("mailbox", f"{said}; what you answered elsewhere is seen in {sent!r}")
    return warning(
        "mailbox",
        f"{where} lets us in; it has no IDLE, so new mail is noticed within a minute",
        "Nothing to do, unless your provider offers IDLE.",
    )
