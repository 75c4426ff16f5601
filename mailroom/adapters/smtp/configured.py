"""The mail servers that are configured, in the environment or in `mailroom.toml`."""

from functools import partial

from pydantic import SecretStr

from mailroom.adapters.settings import BadConfiguration, MailServer, Settings
from mailroom.adapters.smtp.submission import Submission
from mailroom.adapters.token_command import token_from


def submission_of(settings: Settings) -> Submission:
    """The server that sends for whoever has none of their own."""
    if not settings.gmail_smtp_server:
        raise BadConfiguration(
            "GMAIL_SMTP_SERVER is not set; set it to the server that sends your mail."
        )
    return _submission(
        settings.gmail_smtp_server,
        settings.gmail_smtp_port,
        settings.email_address,
        settings.email_password,
        settings.email_token_command,
    )


def own_submission(server: MailServer) -> Submission:
    return _submission(server.host, server.port, server.user, server.password, server.token_command)


def _submission(
    host: str, port: int, user: str | None, password: SecretStr | None, command: str | None
) -> Submission:
    return Submission(
        host=host,
        port=port,
        username=user,
        password=password.get_secret_value() if password else None,
        token=partial(token_from, command) if command else None,
    )
