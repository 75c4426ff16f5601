"""KumoMTA's queues over HTTP and with the command line; what it says where it is away."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from house import TOKEN, House, bridge_on
from kumo_world import Injection, Kumo, kumo_running
from sqlalchemy import text
from test_queue_queues import command
from web import web_server

from mailroom.adapters.kumomta.relay import KumoRelay
from mailroom.adapters.kumomta.server import KumoServer


@pytest.fixture(scope="module")
async def kumo() -> AsyncIterator[Kumo]:
    async with kumo_running() as running:
        yield running


@asynccontextmanager
async def bridge_beside(house: House, url: str | None) -> AsyncIterator[httpx.AsyncClient]:
    """A bridge whose KumoMTA is there."""
    relay = KumoRelay(house.adapters.http, KumoServer(url)) if url else None
    async with bridge_on(replace(house.context, relay=relay)) as http:
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        yield http


@pytest.fixture
async def http(outbound_house: House, kumo: Kumo) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_beside(outbound_house, kumo.url) as http:
        yield http


async def test_its_queues_are_shown(
    http: httpx.AsyncClient, kumo: Kumo, monkeypatch: pytest.MonkeyPatch
) -> None:
    kumo.scheduled = {"autumn:acme@example.com": 1200.0, "b.test": 1.0}
    held = await http.put("/queue/suspensions/tenant/acme", json={"reason": "they pay nothing"})
    assert (held.status_code, held.json()["relay"]) == (200, None)
    found = (await http.get("/queue/kumomta/queues", params={"limit": 1})).json()
    assert found == {
        "queues": [{"name": "autumn:acme@example.com", "message_count": 1200, "state": "suspended"}]
    }
    shown = await command(http, monkeypatch, "kumomta")
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["autumn:acme@example.com", "1,200", "suspended"] in lines
    assert (await http.delete("/queue/suspensions/tenant/acme")).status_code == 204
    assert kumo.suspensions == {}
    listed = await command(http, monkeypatch, "kumomta", "--queue", "b.test", "-o", "json")
    [one] = json.loads(listed.stdout)["queues"]
    assert one == {"name": "b.test", "message_count": 0, "state": "active"}


async def test_a_message_of_ours_is_shown_with_what_its_log_has_told(
    outbound_house: House, http: httpx.AsyncClient, kumo: Kumo, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = "3f0e6d0c-9a52-4a35-8a5e-0a4a53a1f0c5"
    async with outbound_house.adapters.engines.write.connect() as connection:
        await connection.execute(_TRIED, {"id": ours})
    recipient = {"email": "ann@example.com", "metadata": {"mailroom_id": ours}}
    asked = {"envelope_sender": "a@mailroom.test", "recipients": [recipient], "content": "Hi"}
    kumo.injected.append(Injection.model_validate(asked))
    id = str(len(kumo.injected) - 1)
    found = (await http.get(f"/queue/kumomta/messages/{id}")).json()
    assert found["last_response"] == {"code": 451, "message": "greylisted"}
    assert (found["message_id"], found["size"]) == (ours, 2)
    shown = await command(http, monkeypatch, "kumomta", "--message", id)
    assert "451 greylisted" in shown.stdout


_TRIED = text("""
    INSERT INTO message_queue
        (id, message_id, queue_name, recipient, sender, domain, status, size_bytes, smtp_response)
    VALUES (:id, '', 'example.com', 'ann@example.com', 'a@mailroom.test', 'example.com',
            'in_delivery', 2, '{"code": 451, "message": "greylisted",
                                "timestamp": "2026-11-22T00:00:00Z"}')
""")


async def test_where_no_kumomta_delivers_there_is_none_to_ask(outbound_house: House) -> None:
    async with bridge_beside(outbound_house, None) as http:
        answer = await http.get("/queue/kumomta/queues")
    assert answer.status_code == 404
    assert "MAILROOM_OUTBOUND_ROUTE" in answer.json()["detail"]


async def test_one_that_is_away_holds_nothing_and_says_so(
    outbound_house: House, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is suspended here all the same."""
    async with bridge_beside(outbound_house, "http://127.0.0.1:1") as http:
        answer = await http.get("/queue/kumomta/queues")
        assert answer.status_code == 503
        assert "can't be reached" in answer.json()["detail"]
        words = ["hold", "--campaign", marker, "--reason", "x"]
        done = await command(http, monkeypatch, *words)
        assert done.exit_code == 0, done.output
        assert f"campaign {marker} is held" in done.stdout
        assert "KumoMTA can't be reached (ConnectError). It is told again" in done.stderr
        assert (await http.delete(f"/queue/suspensions/campaign/{marker}")).status_code == 204


async def test_what_it_says_wrong_is_passed_on(outbound_house: House, kumo: Kumo) -> None:
    async with bridge_beside(outbound_house, kumo.url) as http:
        nothing = await http.get("/queue/kumomta/messages/777")
        assert nothing.status_code == 502
        assert "no such message" in nothing.json()["detail"]
        assert (await http.get("/queue/kumomta/messages/..%2Fetc")).status_code in (404, 422)
    async with web_server(_teapot()) as url, bridge_beside(outbound_house, url) as http:
        strange = await http.get("/queue/kumomta/queues")
        assert (strange.status_code, strange.json()["title"]) == (502, "Bad Gateway")


def _teapot() -> FastAPI:
    """It answers, but not as KumoMTA does."""
    app = FastAPI()

    @app.get("/api/machine-info")
    async def machine() -> list[str]:
        return ["tea"]

    return app


async def test_only_the_operator_asks_it(http: httpx.AsyncClient) -> None:
    nobody = {"Authorization": "Bearer nobody's"}
    for path in ("queues", "messages/1"):
        assert (await http.get(f"/queue/kumomta/{path}", headers=nobody)).status_code == 401
