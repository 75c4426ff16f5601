"""Checks of what is on this machine and in its settings."""

import shutil
import socket
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import urlsplit

from mailroom.adapters.settings import (
    BadConfiguration,
    Settings,
    load_config_file,
    owners_of,
)
from mailroom.cli import background
from mailroom.cli.findings import Finding, failed, ok, warning
from mailroom.local.production import check_webhook_secret

GIB = 1024**3
LEAST_FREE, WISHED_FREE = GIB // 4, 2 * GIB
# Standard Webhooks: between 24 and 64 bytes.
LEAST_KEY_BYTES = 24
LEAST_TOKEN = 16
PRIVILEGED = 1024


def is_running(settings: Settings) -> bool:
    """Whether a local stack runs on the data folder."""
    try:
        return background.runs(settings.mailroom_data_dir)
    except OSError:
        return False


def data_folder(settings: Settings) -> Finding:
    folder = settings.mailroom_data_dir.resolve()
    try:
        with TemporaryFile(dir=_existing(folder)):
            return ok("data folder", f"{folder} can be written")
    except OSError as error:
        mend = "Set MAILROOM_DATA_DIR to a folder that can, or give it to this user."
        return failed("data folder", f"{folder} can't be written ({error.strerror})", mend)


def disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(_existing(settings.mailroom_data_dir.resolve())).free
    found = f"{free / GIB:.1f} GiB free"
    mend = "Make room, or set MAILROOM_DATA_DIR to a folder on a larger disk."
    if free < LEAST_FREE:
        return failed("disk", found, mend)
    return ok("disk", found) if free >= WISHED_FREE else warning("disk", found, mend)


def ports(settings: Settings, *, running: bool) -> list[Finding]:
    """Those that we listen on; Temporal's only where it is not a server of its own."""
    local = "127.0.0.1"
    wanted = [
        ("MAILROOM_PORT", settings.mailroom_host, settings.mailroom_port),
        ("MAILROOM_SMTP_PORT", settings.mailroom_smtp_host, settings.mailroom_smtp_port),
    ]
    if not settings.db_host:
        wanted += [
            ("MAILROOM_TEMPORAL_PORT", local, settings.mailroom_temporal_port),
            ("MAILROOM_TEMPORAL_UI_PORT", local, settings.mailroom_temporal_ui_port),
        ]
    return [_port(name, host, port, running=running) for name, host, port in wanted]


def _port(name: str, host: str, port: int, *, running: bool) -> Finding:
    check = f"port {port}"
    problem = _why_not(host, port)
    if problem is None:
        return ok(check, f"free on {host}")
    if running:
        return ok(check, "used by Mailroom, which is running")
    return failed(check, f"can't be used on {host} ({problem})", f"Free it, or set {name}.")


def _why_not(host: str, port: int) -> str | None:
    """Why nothing can listen there; None if it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror
    return None


def secrets(settings: Settings) -> list[Finding]:
    return [_token(settings), _webhook_secret(settings)]


def _token(settings: Settings) -> Finding:
    token = settings.mailroom_token
    if token is None:
        kept = settings.mailroom_data_dir / "token"
        return ok("token", f"made at the first start and kept in {kept}")
    if len(token.get_secret_value()) < LEAST_TOKEN:
        return warning(
            "token",
            f"MAILROOM_TOKEN has fewer than {LEAST_TOKEN} characters",
            "Set it to a long random value: $(openssl rand -hex 24)",
        )
    return ok("token", "set")


def _webhook_secret(settings: Settings) -> Finding:
    secret, check = settings.sms_webhook_secret, "webhook secret"
    mend = "Set SMS_WEBHOOK_SECRET to what your gateway signs its webhooks with (whsec_...)."
    if secret is None and settings.sms_gateway_url:
        return failed(check, "SMS_GATEWAY_URL is set, SMS_WEBHOOK_SECRET is not", mend)
    if secret is None:
        return ok(check, "made at the first start, for the phone in the browser")
    try:
        length = check_webhook_secret(secret.get_secret_value())
    except BadConfiguration as error:
        return failed(check, "not in the form of Standard Webhooks", str(error))
    if length < LEAST_KEY_BYTES:
        return warning(
            check,
            f"{length} bytes; Standard Webhooks wants {LEAST_KEY_BYTES} at least",
            'Make a new one, and give it to the gateway: "whsec_$(openssl rand -base64 24)"',
        )
    return ok(check, "set")


def owner(settings: Settings) -> Finding:
    """Whose mail and phone it is, once something leaves this machine."""
    found = owners_of(settings, load_config_file(settings.mailroom_config)).values()
    known = ", ".join(address for one in found for address in one.addresses[:1])
    if _texts_leave(settings) and (without := [one.id for one in found if not one.phone]):
        mend = "Set YOUR_PHONE_NUMBER, or each owner's phone in mailroom.toml."
        return failed("owner", f"texts go out, but not to {', '.join(without)}: no phone", mend)
    if settings.gmail_smtp_server and not known:
        return failed("owner", "EMAIL_ADDRESS is not set, though mail goes out", "Set it.")
    return ok("owner", known or "you@mailroom.test, for a first look")


def _texts_leave(settings: Settings) -> bool:
    return bool(settings.sms_gateway_url or settings.twilio_account_sid)


def links(settings: Settings) -> Finding:
    """Texts carry links: they must lead somewhere from the phone that reads them."""
    check, url = "public URL", settings.public_url
    parts = urlsplit(url)
    if not _texts_leave(settings):
        return ok(check, f"{url}; texts stay on this machine")
    if not settings.mailroom_public_url:
        mend = "Set MAILROOM_PUBLIC_URL to the outside address of the bridge."
        return warning(check, f"links in texts lead to {url}, on this machine only", mend)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return failed(check, f"{url} is no address", "Write it as https://mail.example.com.")
    if parts.scheme != "https":
        return warning(check, f"{url} is not encrypted", "Serve it by https, behind a proxy.")
    return ok(check, url)


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
