"""Figures, ages and exports as people ask for them: over HTTP, and on the command line."""

import asyncio
import csv
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from house import TOKEN, House
from rich.console import Console
from sqlalchemy import text
from typer.testing import CliRunner, Result

from mailroom.cli.main import app
from mailroom.cli.queue_metrics import length, metrics_page, short, size, top_page
from mailroom.models.outbound.metrics import QueueMetrics
from mailroom.models.outbound.queue_figures import QueueAges

Run = Callable[..., Awaitable[Result]]
COLUMNS = ["5", "10", "20", "40", "80", "160", "320", "640", "1280", "1280+"]

_MESSAGES = text("""
    INSERT INTO message_queue
        (id, message_id, queue_name, recipient, sender, domain, campaign_id, status, size_bytes,
         num_attempts, last_bounce_reason, last_attempt_at, created_at)
    VALUES (:one, 'a', :campaign, 'ann@figures.test', 'us@ours.test', 'figures.test', :campaign,
            'deferred', 3000, 2, '451 4.7.1 not now', now(), now() - interval '90 minutes'),
           (:two, 'b', :campaign, 'bob@figures.test', 'us@ours.test', 'figures.test', :campaign,
            'ready', 1000, 0, NULL, NULL, now())
""")
_REMOVE = text("DELETE FROM message_queue WHERE campaign_id = :campaign")


@pytest.fixture
async def api(bridge: httpx.AsyncClient) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=bridge.base_url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
    )


@pytest.fixture
async def campaign(house: House, marker: str) -> AsyncIterator[str]:
    """Of two messages: one is deferred, one ready."""
    async with house.adapters.engines.write.connect() as connection:
        values = {"one": uuid4(), "two": uuid4(), "campaign": marker}
        await connection.execute(_MESSAGES, values)
        yield marker
        await connection.execute(_REMOVE, {"campaign": marker})


@pytest.fixture
def run(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command runs beside the bridge, which has this thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAILROOM_URL", str(api.base_url))
    monkeypatch.setenv("MAILROOM_TOKEN", TOKEN)

    async def invoke(*words: object) -> Result:
        given = ["queue", *map(str, words)]
        return await asyncio.to_thread(CliRunner().invoke, app, given)

    return invoke


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def test_metrics_have_the_names_of_the_seed(api: httpx.AsyncClient, campaign: str) -> None:
    answer = await api.get("/queue/metrics", params={"campaign_id": campaign})
    found = answer.json()
    assert set(found) == set(QueueMetrics.model_fields)
    assert found["messages_by_status"]["deferred"] == found["messages_by_status"]["ready"] == 1
    assert found["queue_depth_by_domain"] == {"figures.test": 2}
    assert found["queue_depth_by_campaign"] == {campaign: 2}
    assert (found["retry_rate"], found["total_retries"]) == (100.0, 1)
    assert found["oldest_message_age"] == pytest.approx(5_400, abs=60)
    whole = (await api.get("/queue/metrics")).json()
    assert whole["total_messages"] >= 2


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("metrics?domain=%00", "domain"),
        (f"metrics?queue_name={'q' * 501}", "queue_name"),
        ("top?tenant_id=", "tenant_id"),
        ("metrics/series?minutes=0", "minutes"),
        ("metrics/series?hours=193", "hours"),
        ("metrics/series?hours=1&minutes=1", "hours"),
        ("metrics/series?domain=a.test&tenant_id=b", "tenant_id"),
        ("top?limit=0", "limit"),
    ],
)
async def test_what_makes_no_sense_is_named(api: httpx.AsyncClient, path: str, field: str) -> None:
    answer = await api.get(f"/queue/{path}")
    assert (answer.status_code, field in answer.json()["detail"]) == (422, True), answer.text


async def test_the_overview_and_prometheus_say_the_same(
    api: httpx.AsyncClient, campaign: str
) -> None:
    overview = (await api.get("/queue/overview", params={"campaign_id": campaign})).json()
    assert overview["messages_by_status"] == {"deferred": 1, "ready": 1}
    [queue] = overview["queues"]
    assert (queue["waiting"], queue["last_error"]) == (2, "451 4.7.1 not now")
    metrics = (await api.get("/metrics")).text
    whole = (await api.get("/queue/metrics")).json()
    deferred = whole["messages_by_status"]["deferred"]
    assert f'mailroom_outbound_messages{{status="deferred"}} {deferred}.0' in metrics
    assert f"mailroom_outbound_queue_depth {whole['queue_depth']}.0" in metrics
    assert 'mailroom_outbound_events_total{type="submitted"}' in metrics


async def test_metrics_on_the_command_line(run: Run, campaign: str) -> None:
    shown = await run("metrics", "--campaign", campaign)
    assert shown.exit_code == 0, shown.output
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "Waiting 2" in lines
    assert "their size 3.9 KiB" in lines
    assert "Tried again 100.0 %" in lines
    asked = await run("metrics", "--campaign", campaign, "-o", "json")
    assert json.loads(asked.stdout)["queue_depth"] == 2


async def test_top_on_the_command_line(run: Run, campaign: str) -> None:
    shown = await run("top", "--campaign", campaign)
    head, every, domain, *_ = [line.split() for line in shown.stdout.splitlines()]
    assert head == ["Domain", "Total", *COLUMNS]
    assert every[1:] == domain[1:] == ["2", "1", *"0000", "1", *"0000"]
    assert "451 4.7.1 not now" in shown.stdout
    nothing = await run("top", "--campaign", "no-such-campaign")
    assert nothing.stdout == "Nothing waits.\n"


async def test_watching_goes_on_until_it_is_interrupted(
    api: httpx.AsyncClient, campaign: str, tmp_path: Path
) -> None:
    words = ["queue", "top", "--watch", "-o", "json", "--campaign", campaign]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mailroom.cli.main", *words,
        env={**os.environ, "MAILROOM_URL": str(api.base_url), "MAILROOM_TOKEN": TOKEN},
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    first = json.loads(await process.stdout.readline())
    second = json.loads(await process.stdout.readline())
    assert first["total"] == second["total"] == 2
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0


async def test_an_export_becomes_a_file_when_it_is_whole(
    run: Run, campaign: str, tmp_path: Path
) -> None:
    done = await run("export", "late.jsonl", "--campaign", campaign, "--status", "deferred")
    assert done.exit_code == 0, done.output
    [line] = (tmp_path / "late.jsonl").read_text().splitlines()
    assert json.loads(line)["recipient"] == "ann@figures.test"
    again = await run("export", "late.jsonl", "--campaign", campaign)
    assert (again.exit_code, "--force" in again.stderr) == (4, True)
    forced = await run("export", "late.jsonl", "--campaign", campaign, "--force")
    assert forced.exit_code == 0
    assert len((tmp_path / "late.jsonl").read_text().splitlines()) == 2
    assert names(tmp_path) == ["late.jsonl"]


async def test_an_export_goes_to_a_pipe(run: Run, campaign: str) -> None:
    sorted_ = ("--sort", "recipient", "--order", "asc")
    done = await run("export", "-", "--format", "csv", "--campaign", campaign, *sorted_)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["recipient"] for row in rows] == ["ann@figures.test", "bob@figures.test"]


async def test_an_export_that_is_refused_leaves_no_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = await run("export", "all.csv", "--filter", "no-such-filter")
    assert (refused.exit_code, "no-such-filter" in refused.stderr) == (3, True)
    monkeypatch.setenv("MAILROOM_URL", "http://127.0.0.1:9")
    away = await run("export", "all.csv")
    assert away.exit_code == 3
    assert names(tmp_path) == []


def test_tables_fit_a_terminal_of_eighty_columns() -> None:
    name, number = f"{'a-rather-long-name.' * 4}example.com", 123_456
    ages = QueueAges.model_validate({
        "columns": [5, 10, 20, 40, 80, 160, 320, 640, 1280],
        "total": 10 * number,
        "domains": 5_000,
        "ages": [number] * 10,
        "deepest": [{"domain": name, "total": 10 * number, "ages": [number] * 10,
                     "last_error": "451 4.7.1 " + "try again later " * 20}],
    })  # fmt: skip
    metrics = QueueMetrics.model_validate({
        **dict.fromkeys(QueueMetrics.model_fields, number),
        "messages_by_status": {"ready": number, "delivered": number},
        "bounces_by_type": {"hard": number},
        "queue_depth_by_domain": {name: number},
        "queue_depth_by_campaign": {},
        "domain_health_scores": {},
    })  # fmt: skip
    console = Console(file=io.StringIO(), width=80)
    console.print(top_page(ages))
    console.print(metrics_page(metrics))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(len(line) for line in lines) <= 80
    assert "123k" in lines[1]
    assert [short(99_999), short(100_000), short(2_500_000)] == ["99999", "100k", "2.5M"]
    assert [length(0.25), length(75), length(7_260), length(180_000)] == [
        "0.2 s", "1 min 15 s", "2 h 1 min", "2 d 2 h"
    ]  # fmt: skip
    assert [size(999), size(2_048), size(3 * 2**30)] == ["999 B", "2.0 KiB", "3.0 GiB"]
