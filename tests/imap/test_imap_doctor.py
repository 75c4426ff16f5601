"""`mailroom doctor` on mailboxes: what is wrong is named, and how to mend it."""

from pathlib import Path

import pytest
from mailbox_world import Post, free_port

from mailroom.adapters.settings import Settings
from mailroom.cli import imap
from mailroom.cli.findings import Finding, Level
from mailroom.local import dovecot as dovecots
from mailroom.local.dovecot import Dovecot


@pytest.fixture(autouse=True)
def trusting(dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.ca))


async def finding(tmp_path: Path, **settings: object) -> Finding:
    known = {"email_address": "owner@mailroom.test", "mailroom_config": tmp_path / "none.toml"}
    [found] = await imap.mailboxes(Settings.model_validate(known | settings))
    return found


def of(post: Post, **other: object) -> dict[str, object]:
    known = {"imap_host": "localhost", "imap_port": post.dovecot.port}
    return {**known, "imap_user": post.user, "imap_password": post.password, **other}


async def test_a_mailbox_that_lets_us_in_is_well(post: Post, tmp_path: Path) -> None:
    found = await finding(tmp_path, **of(post))
    assert found.level is Level.OK
    assert "IDLE" in found.finding
    assert "'Sent'" in found.finding


async def test_a_sent_folder_that_is_not_there_is_a_warning(post: Post, tmp_path: Path) -> None:
    found = await finding(tmp_path, **of(post, imap_sent_folder="Snet"))
    assert found.level is Level.WARNING
    assert "'Snet'" in found.finding
    assert "IMAP_SENT_FOLDER" in (found.mend or "")


async def test_a_server_that_does_not_say_where_sent_mail_is_is_a_warning(
    dovecot_binary: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with dovecots.running(dovecot_binary, free_port(), dovecots.WITHOUT_SENT) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
        server.set_password("plain", "word")
        found = await finding(tmp_path, **of(Post(server, "plain", "word")))
    assert found.level is Level.WARNING
    assert "mail that you sent" in found.finding


async def test_no_mailbox_is_no_problem(tmp_path: Path) -> None:
    assert (await finding(tmp_path)).level is Level.OK


async def test_a_mailbox_without_a_login_is_named(tmp_path: Path) -> None:
    found = await finding(tmp_path, imap_host="localhost")
    assert found.level is Level.FAILED
    assert "IMAP_PASSWORD" in found.finding


async def test_a_refused_login_is_mended_by_an_app_password(post: Post, tmp_path: Path) -> None:
    found = await finding(tmp_path, **of(post, imap_password="wrong"))
    assert found.level is Level.FAILED
    assert "refused the login" in found.finding
    assert "app password" in (found.mend or "")


async def test_a_server_that_is_not_there_is_named(post: Post, tmp_path: Path) -> None:
    found = await finding(tmp_path, **of(post, imap_port=free_port()))
    assert found.level is Level.FAILED
    assert "IMAP_PORT" in (found.mend or "")


async def test_a_certificate_for_another_name_is_named(post: Post, tmp_path: Path) -> None:
    found = await finding(tmp_path, **of(post, imap_host="127.0.0.1"))
    assert found.level is Level.FAILED
    assert "certificate" in found.finding


async def test_a_server_without_idle_is_a_warning(
    dovecot_binary: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with dovecots.running(dovecot_binary, free_port(), dovecots.WITHOUT_IDLE) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
        server.set_password("poor", "word")
        found = await finding(tmp_path, **of(Post(server, "poor", "word")))
    assert found.level is Level.WARNING
    assert "within a minute" in found.finding
