"""Rows of a CSV file as messages: columns are fields of a message, or fill a template."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailroom.cli.errors import Failure
from mailroom.models.outbound.mail_template import BadTemplate, MailTemplate, read_template

RECIPIENT = "recipient"
FIELDS = frozenset({
    RECIPIENT, "sender", "message_id", "queue_name", "routing_domain", "campaign_id", "tenant_id",
    "pool_name", "priority", "max_attempts", "scheduled_at", "expires_at",
})  # fmt: skip
# Where no template says what the mail is.
CONTENT = frozenset({"subject", "text", "html"})
LARGEST_TEMPLATE = 5_000_000


def template_of(file: Path) -> MailTemplate:
    try:
        if file.stat().st_size > LARGEST_TEMPLATE:
            raise Failure(f"{file}: A template may have {LARGEST_TEMPLATE:,} bytes.")
        written = file.read_text("utf-8-sig")
        return read_template(written, is_json=file.suffix.lower() == ".json")
    except UnicodeDecodeError as error:
        raise Failure(f"{file} is no UTF-8; convert it first.") from error
    except BadTemplate as error:
        raise Failure(f"{file}: {error}") from error


def used_columns(file: Path, template: MailTemplate | None) -> None:
    """Raises `Failure` where a row of the file can't become a message."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            columns = next(csv.reader(source, strict=True), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise Failure(f"{file}: It is no CSV in UTF-8.") from error
    if len(set(columns)) < len(columns):
        raise Failure(f"{file}: Two columns have the same name.")
    if RECIPIENT not in columns:
        raise Failure(f"{file}: Its first line names no column `{RECIPIENT}`.")
    if template:
        _refuse(file, sorted(template.places - set(columns)), "The template asks for")
    else:
        unknown = sorted(set(columns) - FIELDS - CONTENT)
        _refuse(file, unknown, "Without --template no message has")


def _refuse(file: Path, names: list[str], why: str) -> None:
    if names:
        listed = ", ".join(f"`{name[:60]}`" for name in names[:10])
        raise Failure(f"{file}: {why} {listed}; its first line has to name what is there.")


def message_of(row: Mapping[str, str], template: MailTemplate | None) -> dict[str, Any]:
    """An empty cell says nothing."""
    known: dict[str, Any] = {name: row[name] for name in FIELDS & row.keys() if row[name]}
    if template:
        return known | template.filled(row)
    given = {name: row[name] for name in CONTENT & row.keys() if row[name]}
    subject = given.pop("subject", None)
    return known | given | ({"headers": {"Subject": subject}} if subject else {})
