"""Login by an OAuth 2 access token (XOAUTH2), which the server asks its issuer about."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from mailbox_world import Post, free_port
from web import web_server
from world import mail

from mailroom.adapters.imap import ImapSource
from mailroom.cli import imap
from mailroom.cli.findings import Level
from mailroom.local import dovecot as dovecots
from mailroom.local.dovecot import Dovecot
from mailroom.models.mailbox import Mailbox
from mailroom.ports import LoginRefused

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MOST = 25 * 1024 * 1024


@dataclass
class Issuer:
    """Says whose a token is, as Google's tokeninfo does."""

    whose: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/tokeninfo/{token}")
        async def tokeninfo(token: str) -> JSONResponse:
            self.asked.append(token)
            email = self.whose.get(token)
            if email is None:
                return JSONResponse({"error": "invalid_token"}, status_code=400)
            return JSONResponse({"email": email, "expires_in": 3600})

        return app


@pytest.fixture(scope="module")
async def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
async def by_token(dovecot_binary: Path, issuer: Issuer) -> AsyncIterator[Dovecot]:
    async with web_server(issuer.app()) as url:
        tokens = f"{url}/tokeninfo/"
        async with dovecots.running(dovecot_binary, free_port(), tokens=tokens) as server:
            yield server


@pytest.fixture
def theirs(by_token: Dovecot, issuer: Issuer, marker: str) -> Post:
    """A mailbox that a program of its owner's can use with a password, and we by token."""
    by_token.set_password(marker, "word")
    issuer.whose[f"token-{marker}"] = marker
    return Post(by_token, marker, "word")


def mailbox_of(post: Post, command: str) -> Mailbox:
    known = {"password": None, "token_command": command}
    return Mailbox.model_validate(post.mailbox.model_dump() | known)


async def opened(mailbox: Mailbox, post: Post) -> list[bytes | None]:
    async with ImapSource(mailbox, post.trusting).open() as session:
        return [found.raw async for found in session.mails(0, LONG_AGO, MOST)]


async def test_a_token_opens_the_mailbox(theirs: Post, issuer: Issuer, marker: str) -> None:
    raw = mail(subject=marker)
    await theirs.append(raw)
    assert await opened(mailbox_of(theirs, f"printf token-{marker}"), theirs) == [raw]
    assert f"token-{marker}" in issuer.asked


async def test_a_token_that_has_expired_is_refused_and_not_told(theirs: Post, marker: str) -> None:
    with pytest.raises(LoginRefused) as refused:
        await opened(mailbox_of(theirs, f"printf expired-{marker}"), theirs)
    assert "expired-" not in str(refused.value)


async def test_a_token_of_somebody_else_opens_nothing(
    theirs: Post, issuer: Issuer, marker: str
) -> None:
    issuer.whose[f"others-{marker}"] = "somebody-else"
    with pytest.raises(LoginRefused):
        await opened(mailbox_of(theirs, f"printf others-{marker}"), theirs)


async def test_each_session_asks_for_a_token_that_is_valid_then(
    theirs: Post, issuer: Issuer, tmp_path: Path, marker: str
) -> None:
    kept = tmp_path / "token"
    mailbox = mailbox_of(theirs, f"cat {kept}")
    kept.write_text(f"token-{marker}")
    assert await opened(mailbox, theirs) == []
    del issuer.whose[f"token-{marker}"]
    issuer.whose[f"renewed-{marker}"] = marker
    kept.write_text(f"renewed-{marker}")
    assert await opened(mailbox, theirs) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("printf {token}", "lets us in"),
        ("printf wrong", "refused the login"),
        ("false", "no token"),
    ],
)
async def test_doctor_says_what_of_it_is_wrong(
    theirs: Post, monkeypatch: pytest.MonkeyPatch, marker: str, command: str, said: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(theirs.dovecot.ca))
    found = await imap.mailbox(mailbox_of(theirs, command.format(token=f"token-{marker}")))
    assert said in found.finding
    well = said == "lets us in"
    assert found.level is (Level.OK if well else Level.FAILED)
    assert well or "token_command" in (found.mend or "")
