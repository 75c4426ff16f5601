"""Old records, and the command that migrates them."""

import asyncio
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from house import TOKEN
from typer.testing import CliRunner, Result

from mailroom.adapters.settings import Settings
from mailroom.cli.main import app
from mailroom.models.outbound.legacy import QueueItem

MIGRATIONS = "/queue/legacy/migrations"
SENDER = "news@company.com"

Command = Callable[..., "asyncio.Future[Result]"]

# Seed 004, Appendix A. The two are no conversion of each other.

APPENDIX_OLD: dict[str, Any] = {
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "customerId": "CUST-123",
    "customerName": "John Doe",
    "customerEmail": "john@example.com",
    "customerPhone": "+1-555-0100",
    "serviceType": "technical-support",
    "priority": 8,
    "status": "waiting",
    "notes": "Needs urgent help",
    "estimatedWaitTime": 15,
    "createdAt": "2025-11-01T10:00:00Z",
    "updatedAt": "2025-11-01T10:05:00Z",
    "notificationsSent": [],
}

APPENDIX_NEW: dict[str, Any] = {
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "message_id": "<20251101100000.abc123@mail.example.com>",
    "queue_name": "example.com",
    "recipient": "john@example.com",
    "sender": "newsletter@company.com",
    "domain": "example.com",
    "routing_domain": "mx.example.com",
    "campaign_id": "campaign-2025-11",
    "tenant_id": "TENANT-123",
    "pool_name": "marketing-pool",
    "status": "ready",
    "queue_state": "active",
    "priority": 8,
    "size_bytes": 45678,
    "num_attempts": 0,
    "max_attempts": 20,
    "created_at": "2025-11-01T10:00:00Z",
    "scheduled_at": "2025-11-01T10:15:00Z",
    "headers": {
        "Subject": "Weekly Newsletter",
        "From": "newsletter@company.com",
        "To": "john@example.com",
    },
    "tags": ["newsletter", "marketing"],
    "metadata": {"notes": "High-value customer", "customer_segment": "premium"},
}


def old_record(**more: Any) -> dict[str, Any]:
    """A record of its own."""
    return APPENDIX_OLD | {"id": str(uuid4())} | more


def written(file: Path, records: list[Any]) -> Path:
    match file.suffix:
        case ".json":
            file.write_text(json.dumps(records))
        case ".jsonl":
            file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        case ".csv":
            with file.open("w", newline="") as target:
                rows = csv.DictWriter(target, list(QueueItem.model_fields))
                rows.writeheader()
                for one in records:
                    rows.writerow(one | {"notificationsSent": json.dumps(one["notificationsSent"])})
    return file


def records(count: int) -> list[dict[str, Any]]:
    words = ["waiting", "in-progress", "completed", "cancelled"]
    return [
        old_record(
            customerName=f"Zoë {number} 😀",
            status=words[number % 4],
            estimatedWaitTime=number + 0.5 if number % 2 else number,
            notificationsSent=[{"kind": "sms", "at": number}],
        )
        for number in range(count)
    ]


def result_of(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def command_of(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Command:
    """`run(FILE, "--dry-run")` against this bridge, in an environment of its own; `data` in the
    folder is its data folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MAILROOM_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("MAILROOM_URL", str(api.base_url).rstrip("/"))
    monkeypatch.setenv("MAILROOM_TOKEN", TOKEN)

    def invoke(*words: object) -> "asyncio.Future[Result]":
        # It has a loop of its own.
        line = ["queue", "migrate", *map(str, words)]
        return asyncio.ensure_future(asyncio.to_thread(CliRunner().invoke, app, line))

    return invoke
