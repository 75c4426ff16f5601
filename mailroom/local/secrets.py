"""Secrets of the local stack: made once, kept in the data folder, readable by its owner only."""

import base64
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def token(folder: Path) -> str:
    return _kept(folder / "token", lambda: secrets.token_urlsafe(24))


def webhook_secret(folder: Path) -> str:
    """In the form of Standard Webhooks."""
    return _kept(
        folder / "webhook-secret",
        lambda: "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode(),
    )


def derived(token_value: str, purpose: str) -> str:
    """A secret of its own for each purpose, so that one never signs for another."""
    return hmac.new(token_value.encode(), purpose.encode(), "sha256").hexdigest()


def _kept(path: Path, make: Callable[[], str]) -> str:
    if path.exists():
        return path.read_text().strip()
    value = make()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(value + "\n")
    return value
