"""Mail out by the sender's own server (port `Mailer`)."""

from collections.abc import Awaitable, Callable, Mapping

from mailroom.adapters.smtp.submission import SmtpMailer


class RoutedMailer:
    """`own`: servers by the address they send from, in lower case; the others go by `usual`."""

    def __init__(self, usual: SmtpMailer, own: Mapping[str, SmtpMailer]) -> None:
        self._usual = usual
        self._own = own

    async def deliver(
        self,
        sender: str,
        recipients: list[str],
        data: bytes,
        before_dot: Callable[[], Awaitable[None]],
    ) -> str:
        mailer = self._own.get(sender.casefold(), self._usual)
        return await mailer.deliver(sender, recipients, data, before_dot)
