"""Queues and domains over HTTP, and with the command line."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from house import TOKEN, House
from outbound_world import Outbound
from sqlalchemy import text
from typer.testing import CliRunner, Result

from mailroom.cli.main import app
from mailroom.models.names import MAIL_TASK_QUEUE, QUEUE_HEALTH
from mailroom.models.outbound.queues import HealthRun
from workflows.queue_health import QueueHealthWorkflow

BAD_STATES: list[tuple[dict[str, object], str]] = [
    ({"state": "asleep", "reason": "x"}, "state"),
    ({"state": "suspended"}, "reason"),
    ({"state": "suspended", "reason": "  "}, "reason"),
    ({"state": "suspended", "reason": "a\0b"}, "reason"),
    ({"state": "suspended", "reason": "x", "until": "2020-01-01T00:00:00Z"}, "has passed"),
    ({"state": "suspended", "reason": "x", "until": "2026-01-01T00:00:00"}, "until"),
    ({"state": "suspended", "reason": "x", "until": "9999-01-01T00:00:00Z"}, "too far away"),
    ({"state": "suspended", "reason": "x", "for": "1h"}, "for"),
]


async def put(http: httpx.AsyncClient, name: str, **wanted: object) -> dict[str, Any]:
    response = await http.put(f"/queue/queues/{quote(name, safe='')}", json=wanted)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def pages(http: httpx.AsyncClient, path: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": limit}
    while True:
        page = (await http.get(path, params=params)).raise_for_status().json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


async def results(house: House, domain: str, kind: str, count: int) -> None:
    async with house.adapters.engines.write.connect() as connection:
        await connection.execute(
            text("INSERT INTO delivery_outcomes (domain, kind, seconds) SELECT :domain, :kind, 2 "
                 "FROM generate_series(1, :count)"),
            {"domain": domain, "kind": kind, "count": count},
        )  # fmt: skip


async def look(house: House, marker: str) -> HealthRun:
    with house.env.auto_time_skipping_disabled():
        return await house.client.execute_workflow(
            QueueHealthWorkflow.run, id=f"{QUEUE_HEALTH}/{marker}", task_queue=MAIL_TASK_QUEUE
        )


async def command(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setenv("MAILROOM_URL", str(http.base_url))
    monkeypatch.setenv("MAILROOM_TOKEN", TOKEN)
    return await asyncio.to_thread(CliRunner().invoke, app, ["queue", *words])


async def test_a_suspended_queue_holds_what_comes_and_active_lets_it_go(
    outbound: Outbound, marker: str
) -> None:
    until = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    said = await put(outbound.http, marker, state="suspended", reason="they move", until=until)
    assert (said["state"], said["reason"], said["set_by"]) == (
        "suspended", "they move", "operator"
    )  # fmt: skip
    id = await outbound.submit()
    await outbound.reached(id, "ready", queue_state="suspended")
    found = (await outbound.http.get(f"/queue/queues/{marker}")).json()
    assert found["depth"] == {"ready": 1}
    assert datetime.fromisoformat(found["until"]) == datetime.fromisoformat(until)
    await put(outbound.http, marker, state="active", reason="they have moved")
    await outbound.reached(id, "delivered", queue_state="active")


@pytest.mark.parametrize("state", ["draining", "disabled"])
async def test_a_queue_that_drains_or_is_disabled_takes_nothing_new(
    outbound: Outbound, marker: str, state: str
) -> None:
    await put(outbound.http, marker, state=state, reason="it is given up")
    response = await outbound.http.post("/queue/messages", json=outbound.message())
    [rejected] = response.json()["rejected"]
    assert f"is {state}" in rejected["error"]
    assert "it is given up" in rejected["error"]


async def test_queues_are_listed_by_name_page_by_page(outbound: Outbound, marker: str) -> None:
    http = outbound.http
    names = [f"{marker}/{number}" for number in range(5)]
    for name in names[:3]:
        await put(http, name, state="suspended", reason="later")
    for name in names[2:]:
        await outbound.submit(queue_name=name)
    found = await pages(http, "/queue/queues", 2)
    assert [each["queue_name"] for each in found] == sorted({each["queue_name"] for each in found})
    ours = {each["queue_name"]: each for each in found if marker in each["queue_name"]}
    assert list(ours) == names
    assert ours[names[0]]["state"] == "suspended"
    assert sum(ours[names[2]]["depth"].values()) == 1
    assert ours[names[4]]["state"] == "active"


@pytest.mark.parametrize(("wanted", "named"), BAD_STATES)
async def test_what_is_no_state_is_refused_by_name(
    outbound: Outbound, marker: str, wanted: dict[str, object], named: str
) -> None:
    response = await outbound.http.put(f"/queue/queues/{marker}", json=wanted)
    assert response.status_code == 422
    assert named in response.json()["detail"]


async def test_only_the_operator_is_told(outbound: Outbound, marker: str) -> None:
    for path in ("queues", "domains", f"domains/{marker}"):
        response = await outbound.http.get(
            f"/queue/{path}", headers={"Authorization": "Bearer nobody's"}
        )
        assert response.status_code == 401


async def test_domains_are_shown_with_score_circuit_and_history(
    outbound_house: House, outbound: Outbound, marker: str
) -> None:
    http, sick, well = outbound.http, f"sick.{marker}.test", f"well.{marker}.test"
    await results(outbound_house, sick, "blocked", 80)
    await results(outbound_house, well, "delivered", 80)
    await look(outbound_house, marker)
    found = {each["domain"]: each for each in await pages(http, "/queue/domains", 1)}
    assert list(found).index(sick) < list(found).index(well)
    assert found[sick]["circuit"] == "open"
    assert found[sick]["circuit_reason"].endswith("100 % of 80 blocked")
    assert found[well]["score"] == pytest.approx(100, abs=0.1)
    assert found[well]["circuit"] is None
    one = (await http.get(f"/queue/domains/{sick}")).json()
    assert one["history"][0]["score"] == one["score"] == found[sick]["score"]
    queue = (await http.get(f"/queue/queues/{sick}")).json()
    assert (queue["set_by"], queue["circuit"]) == ("health", "open")


async def test_a_domain_that_nobody_wrote_to_and_a_wrong_cursor_are_refused(
    outbound: Outbound, marker: str
) -> None:
    nobody = await outbound.http.get(f"/queue/domains/{marker}.test")
    assert nobody.status_code == 404
    assert "Nothing is known" in nobody.json()["detail"]
    for cursor in ("nonsense", "nan/x", "1e400/x", "5/", "5/\0"):
        response = await outbound.http.get("/queue/domains", params={"cursor": cursor})
        assert response.status_code == 422, cursor
        assert "next_cursor" in response.json()["detail"]


async def test_the_command_line_suspends_and_shows(
    outbound_house: House, outbound: Outbound, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = outbound.http
    done = await command(
        http, monkeypatch, "set-state", marker, "suspended", "--reason", "they move", "--for", "2h"
    )
    assert done.exit_code == 0, done.output
    assert f"{marker} is suspended until" in done.stdout
    shown = await command(http, monkeypatch, "queues", "--limit", "1000")
    [line] = [line for line in shown.stdout.splitlines() if line.startswith(f"{marker} ")]
    assert "suspended" in line
    assert "they move" in line
    listed = await command(http, monkeypatch, "queues", "--limit", "1000", "--output", "json")
    assert marker in {each["queue_name"] for each in json.loads(listed.stdout)}

    await results(outbound_house, f"{marker}.test", "deferred", 10)
    await results(outbound_house, f"{marker}.test", "delivered", 30)
    await look(outbound_house, marker)
    domains = await command(http, monkeypatch, "domains", "--limit", "1000")
    [line] = [line for line in domains.stdout.splitlines() if f"{marker}.test" in line]
    assert "25 %" in line


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--for", "soon"], "is no length of time"),
        (["--until", "2026-03-02T18:00"], "is no moment with its zone"),
        (["--for", "1h", "--until", "2036-03-02T18:00Z"], "not both"),
        (["--until", "2020-03-02T18:00Z"], "has passed"),
    ],
)
async def test_an_end_that_is_none_is_refused_in_a_sentence(
    outbound: Outbound, marker: str, monkeypatch: pytest.MonkeyPatch, more: list[str], said: str
) -> None:
    words = ["set-state", marker, "suspended", "--reason", "they move", *more]
    refused = await command(outbound.http, monkeypatch, *words)
    assert refused.exit_code == 1
    assert said in refused.stderr
