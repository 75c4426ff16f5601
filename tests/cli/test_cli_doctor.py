"""`mailroom doctor`: what is wrong is named, with a sentence that says how to mend it."""

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import aiosmtplib
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from fake_bridge import FakeBridge, Run

from mailroom.cli import services, smtp

GATEWAY = {"SMS_GATEWAY_URL": "http://127.0.0.1:9"}


@pytest.fixture(autouse=True)
def free_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "SMTP_", "TEMPORAL_", "TEMPORAL_UI_"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            monkeypatch.setenv(f"MAILROOM_{name}PORT", str(probe.getsockname()[1]))


@pytest.fixture
def smtp_server() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(Sink(), hostname="127.0.0.1", port=port)
    controller.start()
    yield port
    controller.stop()


class Doctor:
    """Findings by check."""

    def __init__(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        self._run = run
        self._monkeypatch = monkeypatch

    def __call__(self, **settings: str) -> tuple[int, dict[str, dict[str, str]]]:
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)
        ended = self._run("doctor", "-o", "json")
        return ended.exit_code, {found["check"]: found for found in json.loads(ended.stdout)}


@pytest.fixture
def doctor(run: Run, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    return Doctor(run, monkeypatch)


def test_a_fresh_machine_is_well(doctor: Doctor, run: Run, tmp_path: Path) -> None:
    code, findings = doctor()
    assert code == 0
    assert findings["bridge"]["level"] == "warning"
    assert findings["data folder"]["level"] == "ok"
    assert not (tmp_path / "data").exists()  # an examination changes nothing
    assert "is not running" not in run("doctor").stderr


def test_a_bad_setting_is_named(doctor: Doctor) -> None:
    code, findings = doctor(YOUR_PHONE_NUMBER="nobody")
    assert code == 1
    assert "YOUR_PHONE_NUMBER" in findings["configuration"]["finding"]


def test_a_broken_mailroom_toml_is_named(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "mailroom.toml").write_text("[owner")
    code, findings = doctor()
    assert code == 1
    assert "mailroom.toml" in findings["configuration"]["finding"]


def test_a_taken_port_is_named_with_its_setting(doctor: Doctor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, findings = doctor(MAILROOM_SMTP_PORT=str(port))
    assert code == 1
    assert findings[f"port {port}"]["mend"] == "Free it, or set MAILROOM_SMTP_PORT."


def test_a_folder_that_cannot_be_written_is_named(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, findings = doctor(MAILROOM_DATA_DIR=str(tmp_path / "file" / "data"))
    assert code == 1
    assert "MAILROOM_DATA_DIR" in findings["data folder"]["mend"]


def test_a_gateway_needs_a_secret_a_number_and_an_address(doctor: Doctor) -> None:
    code, findings = doctor(**GATEWAY)
    assert code == 1
    for check in ("SMS gateway", "webhook secret", "owner"):
        assert findings[check]["level"] == "failed", check
    assert findings["public URL"]["level"] == "warning"


@pytest.mark.parametrize(
    ("secret", "level"),
    [("whsec_%%", "failed"), ("whsec_YWJj", "warning"), ("whsec_" + "YWJj" * 8, "ok")],
)
def test_a_webhook_secret_has_a_form_and_a_length(doctor: Doctor, secret: str, level: str) -> None:
    _, findings = doctor(SMS_WEBHOOK_SECRET=secret)
    assert findings["webhook secret"]["level"] == level


@pytest.mark.parametrize(
    ("url", "level"),
    [("https://mail.example.com", "ok"), ("http://mail.example.com", "warning"), ("x", "failed")],
)
def test_links_in_texts_lead_outside(doctor: Doctor, url: str, level: str) -> None:
    _, findings = doctor(**GATEWAY, MAILROOM_PUBLIC_URL=url)
    assert findings["public URL"]["level"] == level


def test_a_gateway_that_answers_is_well(doctor: Doctor, bridge: FakeBridge) -> None:
    _, findings = doctor(SMS_GATEWAY_URL=bridge.url)
    assert findings["SMS gateway"]["level"] == "ok"  # whatever it answers to a stranger


def test_a_mail_server_that_answers_is_well(doctor: Doctor, smtp_server: int) -> None:
    settings = {"GMAIL_SMTP_SERVER": "127.0.0.1", "GMAIL_SMTP_PORT": str(smtp_server)}
    _, findings = doctor(**settings, EMAIL_ADDRESS="owner@mailroom.test")
    assert findings["SMTP server"]["level"] == "ok"
    assert findings["owner"]["level"] == "ok"


def test_a_mail_server_without_tls_gets_no_password(doctor: Doctor, smtp_server: int) -> None:
    settings = {"GMAIL_SMTP_SERVER": "127.0.0.1", "GMAIL_SMTP_PORT": str(smtp_server)}
    _, findings = doctor(**settings, EMAIL_ADDRESS="a@b.test", EMAIL_PASSWORD="word")
    assert findings["SMTP server"]["level"] == "failed"


def test_a_certificate_that_is_not_trusted_is_told_apart() -> None:
    cause = ssl.SSLCertVerificationError(1, "verify failed")
    cause.verify_message = "self-signed certificate"
    error = aiosmtplib.SMTPConnectError("no")
    error.__cause__ = cause
    found = smtp.smtp_problem("mail.example.com:465", error)
    assert "self-signed certificate" in found.finding
    assert "certificate" in (found.mend or "")


def test_a_database_that_is_away_is_named(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "SECONDS", 1.0)
    settings = {"DB_HOST": "127.0.0.1", "DB_PORT": "9", "TEMPORAL_ADDRESS": "127.0.0.1:9"}
    code, findings = doctor(**settings)
    assert code == 1
    assert "DB_HOST" in findings["PostgreSQL"]["mend"]
    assert "TEMPORAL_ADDRESS" in findings["Temporal"]["mend"]
