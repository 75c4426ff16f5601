"""`mailroom queue migrate`: checked, backed up, imported, broken off, gone on with, given back."""

import asyncio
import csv
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from house import OWNER, TOKEN, House
from legacy_world import (
    MIGRATIONS,
    SENDER,
    Command,
    command_of,
    old_record,
    records,
    result_of,
    written,
)
from outbound_world import Outbound
from world import eventually

from mailroom.cli import queue_migrate
from mailroom.models.outbound.legacy_records import uuid_of

ROOT = Path(__file__).parents[2]
SHA256SUM = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]

pytestmark = pytest.mark.filterwarnings("ignore:The old queue's model goes:DeprecationWarning")


@pytest.fixture
async def api(bridge: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=bridge.base_url, headers=headers, timeout=60) as http:
        yield http


@pytest.fixture
def run(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    return command_of(api, monkeypatch, tmp_path)


@pytest.fixture
def messages(house: House, api: httpx.AsyncClient, marker: str) -> Outbound:
    return Outbound(house, api, marker)


async def status_of(api: httpx.AsyncClient, record: dict[str, Any]) -> str | None:
    answer = await api.get(f"/queue/messages/{uuid_of(record['id'])}")
    return str(answer.json()["item"]["status"]) if answer.status_code == 200 else None


@pytest.mark.parametrize("kind", [".json", ".jsonl", ".csv"])
async def test_there_and_back(
    run: Command, api: httpx.AsyncClient, tmp_path: Path, kind: str
) -> None:
    old = records(6)
    file = written(tmp_path / f"old{kind}", old)
    done = await run(file, "--sender", SENDER, "-o", "json")
    assert done.exit_code == 0, done.output
    report = result_of(done)
    assert report["counts"] == {
        "imported": 6, "unchanged": 0, "replaced": 0, "kept": 0, "refused": 0
    }  # fmt: skip
    found = [await status_of(api, record) for record in old]
    assert found == ["suspended", "suspended", "delivered", "cancelled", "suspended", "suspended"]

    backup = Path(report["backup"])
    assert backup.parent == tmp_path / "data" / "migrations"
    assert (backup / file.name).read_bytes() == file.read_bytes()
    await asyncio.to_thread(subprocess.run, SHA256SUM, cwd=backup, check=True)

    out = tmp_path / f"back{kind}"
    back = await run("--rollback", report["migration"], "--out", out)
    assert back.exit_code == 0, back.output
    assert "6 removed, 0 restored, 0 kept; 6 records given back" in back.stdout
    assert [await status_of(api, record) for record in old] == [None] * 6
    if kind == ".json":
        assert [json.dumps(one) for one in json.loads(out.read_text())] == [
            json.dumps(one) for one in old
        ]
    elif kind == ".jsonl":
        assert [json.loads(line) for line in out.read_text().splitlines()] == old
    else:
        assert list(csv.reader(out.open())) == list(csv.reader(file.open()))


async def test_what_an_imported_message_says(
    run: Command, api: httpx.AsyncClient, messages: Outbound, tmp_path: Path
) -> None:
    record = old_record()
    await run(written(tmp_path / "old.json", [record]))
    item = await messages.item(uuid_of(record["id"]))
    assert (item.sender, item.recipient) == (OWNER, "john@example.com")
    assert item.next_attempt_at is None
    assert item.last_bounce_reason
    assert item.last_bounce_reason.startswith("no content")
    assert item.metadata
    assert item.metadata["mapped"] == {
        "status": "ready", "next_attempt_at": "2025-11-01T10:20:00+00:00"
    }  # fmt: skip
    assert item.metadata["legacy"] == record
    [line] = await messages.timeline(item.id)
    assert line["type"] == "message.submitted"
    assert "imported by the migration" in line["detail"]["reason"]


async def test_a_dry_run_says_what_is_wrong_and_changes_nothing(
    run: Command, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    good, twice = old_record(), old_record()
    file = written(tmp_path / "old.jsonl", [good, old_record(priority=11), twice, twice])
    with file.open("a") as target:
        target.write("{broken\n\n[1]\n")
    done = await run(file, "--dry-run", "-o", "json")
    assert done.exit_code == 1
    report = result_of(done)
    assert report["counts"]["imported"] == 2
    assert report["counts"]["refused"] == 4
    said = [(one["source"], one["field"], one["message"]) for one in report["problems"]]
    assert sorted(said) == [
        ("line 2", "priority", "input should be less than or equal to 10"),
        ("line 4", "id", "record 3 of the input has the same"),
        ("line 5", "", "it is no JSON"),
        ("line 7", "", "it is no JSON object"),
    ]
    assert await status_of(api, good) is None
    assert not (tmp_path / "data").exists()

    refused = await run(file)
    assert refused.exit_code == 1
    assert "nothing was imported; correct the file, or add --skip-invalid" in refused.stdout
    assert "line 2" in refused.stderr
    assert await status_of(api, good) is None

    skipped = await run(file, "--skip-invalid", "-o", "json")
    assert skipped.exit_code == 0, skipped.output
    assert result_of(skipped)["counts"]["imported"] == 2
    assert await status_of(api, good) == "suspended"


async def test_an_id_is_known_from_an_earlier_batch(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_migrate, "BATCH", 2)
    first = old_record()
    file = written(tmp_path / "old.json", [first, old_record(), old_record(), first])
    dry = result_of(await run(file, "--dry-run", "-o", "json"))
    [problem] = dry["problems"]
    assert (problem["source"], problem["field"]) == ("record 4", "id")
    done = result_of(await run(file, "--skip-invalid", "-o", "json"))
    assert (done["counts"]["imported"], done["counts"]["refused"]) == (3, 1)


async def test_the_same_file_again_changes_nothing(
    run: Command, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    old = records(3)
    file = written(tmp_path / "old.json", old)
    first = result_of(await run(file, "-o", "json"))
    again = result_of(await run(file, "-o", "json"))
    assert again["counts"]["unchanged"] == 3
    assert again["migration"] != first["migration"]
    back = result_of(await run("--rollback", again["migration"], "-o", "json"))
    assert (back["removed"], back["records"]) == (0, old)
    assert await status_of(api, old[0]) == "suspended"


async def test_a_record_that_changed_replaces_its_message_and_that_comes_back(
    run: Command, messages: Outbound, tmp_path: Path
) -> None:
    record = old_record()
    id = uuid_of(record["id"])
    first = result_of(await run(written(tmp_path / "one.json", [record]), "-o", "json"))
    before = await messages.item(id)
    changed = record | {"priority": 2, "notes": "Calm now"}
    second = result_of(await run(written(tmp_path / "two.json", [changed]), "-o", "json"))
    assert second["counts"]["replaced"] == 1
    assert (await messages.item(id)).priority == 2
    [kept] = (Path(second["backup"]) / "replaced.jsonl").read_text().splitlines()
    assert json.loads(kept)["priority"] == 8

    early = result_of(await run("--rollback", first["migration"], "-o", "json"))
    assert (early["removed"], early["kept_count"]) == (0, 1)
    assert early["kept"][0]["reason"] == "a later migration brought it anew"
    back = result_of(await run("--rollback", second["migration"], "-o", "json"))
    assert (back["restored"], back["removed"]) == (1, 0)
    assert await messages.item(id) == before


async def test_a_killed_import_goes_on_where_it_was(
    run: Command, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    old = records(2_500)
    file = written(tmp_path / "killed.json", old)
    line = [sys.executable, "-m", "mailroom.cli.main", "queue", "migrate", str(file)]
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    process = await asyncio.create_subprocess_exec(
        *line, env={**os.environ, **path}, stdout=asyncio.subprocess.DEVNULL
    )
    migration: dict[str, Any] = {}

    async def has_begun() -> bool:
        nonlocal migration
        latest = (await api.get(MIGRATIONS, params={"limit": 1})).json()["items"]
        migration = latest[0] if latest else {}
        return migration.get("source") == file.name and migration["done"] > 0

    try:
        await eventually(has_begun)
    finally:
        process.kill()
        await process.wait()
    broken = (await api.get(f"{MIGRATIONS}/{migration['id']}")).json()
    assert broken["status"] == "running"
    assert 0 < broken["done"] == broken["counts"]["imported"] < len(old)

    other = await run(file, "--sender", "other@company.com")
    assert other.exit_code == 4
    assert f"begun with the sender {OWNER}" in other.stderr

    done = result_of(await run(file, "-o", "json"))
    assert done["migration"] == migration["id"]
    assert done["counts"]["imported"] == len(old)
    shown = await run("--status")
    [row] = [row for row in shown.stdout.splitlines() if row.startswith(migration["id"])]
    assert "complete" in row
    assert "2,500" in row

    back = result_of(await run("--rollback", migration["id"], "-o", "json"))
    assert back["removed"] == len(old)
    assert back["records"] == old


# --- Over HTTP, which needs no command


async def test_batches_over_http_are_taken_once_and_in_order(api: httpx.AsyncClient) -> None:
    old = records(4)
    begun = await api.post(MIGRATIONS, json={"records": old[:2], "last": False})
    assert begun.status_code == 201, begun.text
    id = begun.json()["migration"]["id"]
    path = f"{MIGRATIONS}/{id}/records"
    early = await api.post(path, json={"records": old[3:], "offset": 3, "last": True})
    assert early.status_code == 409
    assert early.json()["detail"] == "Record 3 of the input is the next one."
    last = {"records": old[1:], "offset": 1, "last": True}
    answers = await asyncio.gather(*(api.post(path, json=last) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    report = (await api.get(f"{MIGRATIONS}/{id}")).json()
    assert (report["status"], report["done"]) == ("complete", 4)
    assert report["counts"]["imported"] == 4
    pages = [
        (await api.get(path, params={"limit": 3, "cursor": cursor})).json() for cursor in (-1, 2)
    ]
    assert [page["next_cursor"] for page in pages] == [2, None]
    assert [one["record"] for page in pages for one in page["items"]] == old
    backs = [(await api.post(f"{MIGRATIONS}/{id}/rollback")).json() for _ in range(2)]
    assert [back["removed"] for back in backs] == [4, 0]
    late = await api.post(path, json={"records": [old_record()], "offset": 4, "last": True})
    assert late.status_code == 409
    assert "rolled back" in late.json()["detail"]


async def test_one_wrong_record_over_http_keeps_all_out(api: httpx.AsyncClient) -> None:
    good, wrong = old_record(), old_record(status="lost")
    answer = await api.post(MIGRATIONS, json={"records": [good, wrong]})
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["position"], error["field"], error["id"]) == (1, "status", wrong["id"])
    assert await status_of(api, good) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/records"), ("POST", "/rollback"), ("DELETE", "")],
)
async def test_a_migration_that_is_none(api: httpx.AsyncClient, method: str, path: str) -> None:
    unknown = f"{MIGRATIONS}/7e2a44d4-8df5-4b45-9d52-6c1c5a3a0001{path}"
    answer = await api.request(method, unknown)
    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no such migration."


async def test_migrations_are_the_operators(api: httpx.AsyncClient) -> None:
    nobody = {"Authorization": "Bearer nobody"}
    assert (await api.get(MIGRATIONS, headers=nobody)).status_code == 401


async def test_old_records_are_forgotten_and_messages_stay(
    run: Command, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    record = old_record()
    begun = await api.post(MIGRATIONS, json={"records": [record], "last": False})
    id = begun.json()["migration"]["id"]
    early = await run("--forget", id)
    assert early.exit_code == 4
    assert "running" in early.stderr
    end = {"records": [], "offset": 1, "last": True}
    await api.post(f"{MIGRATIONS}/{id}/records", json=end)
    done = await run("--forget", id)
    assert done.exit_code == 0, done.output
    assert (await run("--rollback", id)).exit_code == 3
    assert (await api.get(f"{MIGRATIONS}/{id}/records")).status_code == 404
    assert await status_of(api, record) == "suspended"


NAUGHTY = [
    "", " ", "\\u0000", "\u202eeman", "e\u0301", "😀" * 50, "\uffff", "<script>",
    "'; DROP TABLE x;--",
    "line\r\nbreak\ttab", "\x7f\x1b[31m", "%s %(x)s :name", '"quoted" \\ and \\"',
]  # fmt: skip


@pytest.mark.parametrize("kind", [".json", ".jsonl", ".csv"])
async def test_naughty_words_come_back_letter_by_letter(
    run: Command, tmp_path: Path, kind: str
) -> None:
    numbers: list[Any] = [0, -0.0, 15.0, 1e22, 0.1, 2**62, 1e-7, None, True, {"": []}]
    old = [
        old_record(
            id=f"{word}{tmp_path.name}", notes=word, customerName=word, notificationsSent=numbers
        )
        for word in NAUGHTY
    ]
    file = written(tmp_path / f"old{kind}", old)
    done = await run(file, "-o", "json")
    assert done.exit_code == 0, done.output
    back = result_of(await run("--rollback", result_of(done)["migration"], "-o", "json"))
    assert back["removed"] == len(old)
    assert [json.dumps(one) for one in back["records"]] == [json.dumps(one) for one in old]


async def test_what_no_json_can_say_is_reported_with_its_line(run: Command, tmp_path: Path) -> None:
    file = written(tmp_path / "old.jsonl", [old_record()])
    with file.open("a") as target:
        target.write('{"id": "\\ud800"}\n{"id": NaN}\n')
        target.write(f"{'[' * 5_000}{']' * 5_000}\n")
    report = result_of(await run(file, "--dry-run", "-o", "json"))
    assert report["counts"]["imported"] == 1
    assert {(one["source"], one["message"][:7]) for one in report["problems"]} == {
        ("line 2", "it has "), ("line 3", "it has "), ("line 4", "it is n"),
    }  # fmt: skip


async def test_a_request_that_no_json_can_say_is_refused(api: httpx.AsyncClient) -> None:
    for record in (b'{"id": "\\ud800", "\\udfff": 1}', b'{"priority": NaN}', b"[" * 3_000):
        content = b'{"records": [' + record + b"]}"
        answer = await api.post(
            f"{MIGRATIONS}/check", content=content, headers={"content-type": "application/json"}
        )
        assert answer.status_code in (200, 400, 422), answer.text
        assert answer.status_code != 200 or answer.json()["counts"]["refused"] == 1


async def test_one_way_at_a_time(run: Command, tmp_path: Path) -> None:
    assert (await run()).exit_code == 2
    assert (await run(tmp_path / "old.json", "--status")).exit_code == 2
    missing = await run(tmp_path / "old.json")
    assert missing.exit_code == 1
