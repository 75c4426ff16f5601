"""A smarthost, as MAILROOM_OUTBOUND_ROUTE names it: smtp://user@relay.example.org:587."""

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import SecretStr

from mailroom.adapters.settings import BadConfiguration
from mailroom.adapters.smtp.opening import Login
from mailroom.models.outbound.hosts import address_of, host_name
from mailroom.models.outbound.routing import TlsPolicy

DEFAULT_PORTS = {"smtp": 25, "smtps": 465}
LOOPBACK = frozenset({"127.0.0.1", "::1"})
FORM = (
    "MAILROOM_OUTBOUND_ROUTE can't be read as the address of a mail server; it has to be "
    "smtp://host:port or smtps://host:port, with user@ before the host where it wants a login "
    "(a user that has an @ of its own is written with %40)."
)


@dataclass(frozen=True)
class Smarthost:
    """`implicit`: TLS from the first byte (RFC 8314 §3)."""

    host: str
    port: int
    implicit: bool
    login: Login | None = None

    def policy(self, asked: TlsPolicy | None) -> TlsPolicy:
        """`asked` by mailroom.toml. A password goes to the right server, and to nobody between."""
        if self.login:
            return asked if asked and asked.insists else TlsPolicy.VERIFIED
        if self.host in LOOPBACK and not self.implicit:
            return TlsPolicy.NONE  # nobody is between, as with the catcher of `mailroom dev`
        return asked or (TlsPolicy.VERIFIED if self.implicit else TlsPolicy.OPPORTUNISTIC)


def smarthost_of(route: str, password: SecretStr | None) -> Smarthost:
    """`password` outweighs the one in the URL. Raises `BadConfiguration`, in which neither is."""
    try:
        url = urlsplit(route)
        host, port = _host(url), url.port or DEFAULT_PORTS[url.scheme]
    except (ValueError, KeyError):
        # The cause has the URL, and the URL has the password.
        raise BadConfiguration(FORM) from None
    if url.path.strip("/") or url.query or url.fragment:
        raise BadConfiguration(FORM)
    return Smarthost(host, port, url.scheme == "smtps", _login(url, password))


def _host(url: SplitResult) -> str:
    given = url.hostname or ""
    return host_name(given) or str(address_of(given))


def _login(url: SplitResult, password: SecretStr | None) -> Login | None:
    secret = password.get_secret_value() if password else unquote(url.password or "")
    if not url.username:
        if secret:
            raise BadConfiguration(
                "MAILROOM_OUTBOUND_ROUTE has a password but no user; write smtp://user@host."
            )
        return None
    if not secret:
        raise BadConfiguration(
            "MAILROOM_OUTBOUND_ROUTE has a user but no password; set MAILROOM_OUTBOUND_PASSWORD."
        )
    return Login(unquote(url.username), secret)
