"""Suspensions over HTTP, and with the command line."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from outbound_world import Outbound
from test_queue_queues import command, pages
from world import eventually

BAD: list[tuple[dict[str, object], str]] = [
    ({}, "reason"),
    ({"reason": "  "}, "reason"),
    ({"reason": "a\0b"}, "reason"),
    ({"reason": "x", "until": "2020-01-01T00:00:00Z"}, "has passed"),
    ({"reason": "x", "until": "2036-01-01T00:00:00"}, "until"),
    ({"reason": "x", "until": "9999-01-01T00:00:00Z"}, "too far away"),
    ({"reason": "x", "for": "1h"}, "for"),
]


async def put(http: httpx.AsyncClient, what: str, **wanted: object) -> dict[str, Any]:
    response = await http.put(f"/queue/suspensions/{what}", json=wanted)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_campaign_is_held_for_an_hour_and_released_earlier(
    outbound: Outbound, marker: str
) -> None:
    http, what = outbound.http, f"campaign/{marker}"
    until = datetime.now(UTC) + timedelta(hours=1)
    said = await put(http, what, reason="a wrong price", until=until.isoformat())
    assert datetime.fromisoformat(said["until"]) == until
    id = await outbound.submit(campaign_id=marker)
    other = await outbound.submit(campaign_id=f"{marker}-other")
    await outbound.reached(other, "delivered")

    async def held() -> list[dict[str, Any]]:
        lines = await outbound.timeline(id)
        return [each["detail"] for each in lines if each["type"] == "message.held"]

    async def is_held() -> bool:
        return await held() != []

    await eventually(is_held)
    assert await held() == [{"reason": "a wrong price", "scope": "campaign", "name": marker}]
    assert (await outbound.item(id)).status == "ready"
    [listed] = [one for one in await pages(http, "/queue/suspensions", 1) if one["name"] == marker]
    assert said.pop("relay") is None
    assert listed == said == (await http.get(f"/queue/suspensions/{what}")).json()

    assert (await http.delete(f"/queue/suspensions/{what}")).status_code == 204
    await outbound.reached(id, "delivered")
    again = await http.delete(f"/queue/suspensions/{what}")
    assert (again.status_code, again.json()["detail"]) == (
        404, f"No suspension holds the campaign {marker}."
    )  # fmt: skip
    assert (await http.get(f"/queue/suspensions/{what}")).status_code == 404


async def test_a_message_says_what_holds_it_while_it_waits(
    outbound: Outbound, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    http, later = outbound.http, (datetime.now(UTC) + timedelta(days=1)).isoformat()
    id = await outbound.submit(campaign_id=marker, tenant_id=marker, scheduled_at=later)
    assert (await http.get(f"/queue/messages/{id}")).json()["suspensions"] == []
    await put(http, f"campaign/{marker}-other", reason="another one")
    campaign = await put(http, f"campaign/{marker}", reason="a wrong price", until=later)
    tenant = await put(http, f"tenant/{marker}", reason="unpaid")
    found = (await http.get(f"/queue/messages/{id}")).json()["suspensions"]
    assert [(one["scope"], one["reason"]) for one in found] == [
        ("campaign", campaign["reason"]), ("tenant", tenant["reason"])
    ]  # fmt: skip
    shown = await command(http, monkeypatch, "show", str(id))
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "Held with its tenant: unpaid" in lines
    assert any(line.startswith("Held with its campaign until ") for line in lines)
    await outbound.tell(id, "cancel")
    await outbound.reached(id, "cancelled")
    assert (await http.get(f"/queue/messages/{id}")).json()["suspensions"] == []
    for what in (f"campaign/{marker}-other", f"campaign/{marker}", f"tenant/{marker}"):
        assert (await http.delete(f"/queue/suspensions/{what}")).status_code == 204


async def test_any_name_of_a_campaign_can_be_held(outbound: Outbound, marker: str) -> None:
    name = f"{marker}/spring & 'sale' 100 %?"
    what = f"campaign/{quote(name, safe='')}"
    assert (await put(outbound.http, what, reason="x"))["name"] == name
    assert (await outbound.http.delete(f"/queue/suspensions/{what}")).status_code == 204


@pytest.mark.parametrize(("wanted", "named"), BAD)
async def test_what_is_no_suspension_is_refused_by_name(
    outbound: Outbound, marker: str, wanted: dict[str, object], named: str
) -> None:
    response = await outbound.http.put(f"/queue/suspensions/tenant/{marker}", json=wanted)
    assert response.status_code == 422
    assert named in response.json()["detail"]


async def test_what_is_no_scope_and_no_domain_is_refused(outbound: Outbound) -> None:
    for what, named in (("queue/x", "scope"), ("domain/two%20words", "is no domain")):
        response = await outbound.http.put(f"/queue/suspensions/{what}", json={"reason": "x"})
        assert response.status_code == 422
        assert named in response.json()["detail"]
    for cursor in ("nonsense", "queue/x", "domain/", "domain/\0"):
        response = await outbound.http.get("/queue/suspensions", params={"cursor": cursor})
        assert response.status_code == 422, cursor
        assert "next_cursor" in response.json()["detail"]


async def test_only_the_operator_suspends(outbound: Outbound, marker: str) -> None:
    nobody = {"Authorization": "Bearer nobody's"}
    path = f"/queue/suspensions/tenant/{marker}"
    for method, where in (("GET", "/queue/suspensions"), ("PUT", path), ("DELETE", path)):
        response = await outbound.http.request(method, where, headers=nobody)
        assert response.status_code == 401


async def test_the_command_line_holds_shows_and_releases(
    outbound: Outbound, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    http, domain = outbound.http, f"{marker}.test"
    what = ["--domain", domain.upper()]
    done = await command(http, monkeypatch, "hold", *what, "--for", "1h", "--reason", "they move")
    assert done.exit_code == 0, done.output
    assert f"The domain {domain} is held until " in done.stdout
    shown = await command(http, monkeypatch, "holds", "--limit", "1000")
    [line] = [line for line in shown.stdout.splitlines() if domain in line]
    assert line.startswith("domain ")
    assert line.endswith("they move")
    listed = await command(http, monkeypatch, "holds", "--limit", "1000", "--output", "json")
    assert domain in {each["name"] for each in json.loads(listed.stdout)}
    released = await command(http, monkeypatch, "release", *what)
    assert released.exit_code == 0, released.output
    nothing = await command(http, monkeypatch, "release", *what)
    assert (nothing.exit_code, nothing.stderr) == (
        3, f"No suspension holds the domain {domain.upper()}.\n"
    )  # fmt: skip


@pytest.mark.parametrize("more", [[], ["--domain", "a.test", "--tenant", "t"], ["--campaign", ""]])
async def test_exactly_one_thing_is_held_at_a_time(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    refused = await command(outbound.http, monkeypatch, "hold", "--reason", "x", *more)
    assert refused.exit_code == 2
    assert "one of --domain, --campaign, --tenant and --pool" in refused.stderr
