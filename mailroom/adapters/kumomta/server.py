"""Where KumoMTA's HTTP listener is, and who we are there."""

from dataclasses import dataclass, field

import httpx

from mailroom.adapters.settings import Settings


@dataclass(frozen=True)
class KumoServer:
    """Without a user it has to trust our address (`trusted_hosts` of its HTTP listener);
    `body_limit` is the `request_body_limit` of that listener, in bytes."""

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    body_limit: int = 2 * 1024 * 1024

    @property
    def auth(self) -> httpx.BasicAuth | None:
        return httpx.BasicAuth(self.user, self.password or "") if self.user else None


def kumo_server_of(settings: Settings) -> KumoServer | None:
    """None where there is no KumoMTA."""
    if not settings.kumomta_url:
        return None
    secret = settings.kumomta_password
    return KumoServer(
        url=settings.kumomta_url,
        user=settings.kumomta_user,
        password=secret.get_secret_value() if secret else None,
        body_limit=settings.kumomta_body_limit,
    )
