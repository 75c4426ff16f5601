"""`mailroom doctor` asks the Email Monitor as a poll does."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from fake_bridge import Run


@pytest.fixture
def answering() -> Iterator[Callable[[int, str], str]]:
    """`answering(200, "[]")` is the address of a monitor that answers so."""
    servers = []

    def start(status: int, body: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/emails/pending" else 404)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None: ...

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def finding(run: Run, monkeypatch: pytest.MonkeyPatch, url: str | None) -> dict[str, Any]:
    if url:
        monkeypatch.setenv("EMAIL_MONITOR_URL", url)
    found = json.loads(run("doctor", "-o", "json").stdout)
    return next(one for one in found if one["check"] == "Email Monitor")


def test_none_is_well(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding(run, monkeypatch, None)["level"] == "ok"


def test_one_that_answers_is_well(
    run: Run, monkeypatch: pytest.MonkeyPatch, answering: Callable[[int, str], str]
) -> None:
    found = finding(run, monkeypatch, answering(200, '{"emails": [{"message_id": "1"}]}'))
    assert found["level"] == "ok"
    assert "1 mails are pending" in found["finding"]


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, "<html>", "no JSON"),
        (200, "{}", 'without "emails"'),
        (401, "", "answered 401"),
        (503, "", "answered 503"),
    ],
)
def test_what_is_wrong_is_said(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    answering: Callable[[int, str], str],
    status: int,
    body: str,
    problem: str,
) -> None:
    url = answering(status, body).replace("://", "://me:hidden-word@")
    found = finding(run, monkeypatch, url)
    assert found["level"] == "failed"
    assert problem in found["finding"]
    assert "hidden-word" not in json.dumps(found)
    assert "EMAIL_MONITOR_URL" in found["mend"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://[bad", "nonsense"])
def test_one_that_is_not_there_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    found = finding(run, monkeypatch, url)
    assert found["level"] == "failed"
    assert "EMAIL_MONITOR_URL" in found["mend"]
