"""The bridge's REST API, over a real port."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from house import TOKEN, House, bridge_on
from prometheus_client.parser import text_string_to_metric_families
from world import eventually, mail

from mailroom.adapters.postgres import engine
from mailroom.adapters.postgres.statistics import PostgresStatistics
from mailroom.bridge.app import create_app
from mailroom.bridge.workflows import decision
from mailroom.models.arrival import Accepted
from mailroom.models.email_reply import OwnersWord
from mailroom.models.states import MailState

# The webhooks have signatures instead.
OPEN = {
    "/health",
    "/orchestrator/sms-response",
    "/orchestrator/sms-status",
    "/orchestrator/twilio",
    "/orchestrator/twilio/status",
}
EML = {"Content-Type": "message/rfc822"}


@pytest.fixture(scope="module")
async def api(bridge: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The bridge, asked with the token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=bridge.base_url, headers=headers, timeout=60) as http:
        yield http


async def drafted(house: House, marker: str, message_id: str | None = None) -> Accepted:
    """A mail that waits for its owner."""
    raw = mail(sender=f"{marker}@example.com", subject=f"Hi {marker}")
    if message_id:
        # As others write it: the standard library has its own idea of some.
        raw = f"Message-ID: {message_id}\r\n".encode() + raw
    accepted = await house.receive(raw)
    await house.gateway.wait_for(marker)
    await house.reached(accepted, MailState.AWAITING_USER)
    return accepted


async def unsent(house: House, marker: str) -> Accepted:
    """A mail whose draft the gateway refuses to text."""
    raw = mail(sender=f"{marker}@example.com", subject=f"gw-refuse {marker}")
    accepted = await house.receive(raw)
    await house.reached(accepted, MailState.FAILED)
    return accepted


def path_of(accepted: Accepted, action: str = "") -> str:
    return f"/workflow/{quote(accepted.message_id, safe='')}{action}"


def detail_of(response: httpx.Response, status: HTTPStatus) -> str:
    """The sentence of a refusal (RFC 9457)."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["title"]) == (status, status.phrase)
    return str(problem["detail"])


# Who may ask


def asked(house: House) -> list[tuple[str, str]]:
    """Every route of the bridge, as method and path."""
    described = create_app(house.context).openapi()["paths"]
    return [("GET", "/openapi.json")] + [
        (method.upper(), path.replace("{message_id}", "%3Cx%40y%3E"))
        for path, methods in described.items()
        for method in methods
        if path not in OPEN
    ]


@pytest.mark.parametrize(
    "credentials",
    [
        None,
        "Bearer another-token",
        "Bearer",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer \u00e9{TOKEN}",
    ],
)
async def test_every_route_asks_for_the_token(
    house: House, bridge: httpx.AsyncClient, credentials: str | None
) -> None:
    routes = asked(house)
    assert len(routes) >= 10
    headers = {"Via": b"1.1 proxy"}  # without one, /kumomta/log trusts who asks on this machine
    if credentials:
        headers["Authorization"] = credentials.encode("latin-1")
    for method, path in routes:
        for body in (b"", b"{not JSON"):
            json_headers = {"Content-Type": "application/json"}
            response = await bridge.request(
                method, path, headers={**headers, **json_headers}, content=body
            )
            assert "token" in detail_of(response, HTTPStatus.UNAUTHORIZED).lower(), path
            assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_the_scheme_may_be_written_in_any_case(bridge: httpx.AsyncClient) -> None:
    response = await bridge.get("/workflow/status", headers={"Authorization": f"bearer {TOKEN}"})
    assert response.status_code == HTTPStatus.OK


async def test_the_api_is_described(api: httpx.AsyncClient) -> None:
    described = (await api.get("/openapi.json")).json()
    assert described["info"]["title"] == "Mailroom"
    for path in ("/health", "/workflow/pending", "/workflow/{message_id}/decide"):
        assert path in described["paths"]


async def test_what_is_not_there_is_a_problem_too(api: httpx.AsyncClient) -> None:
    nothing, deleted = await api.get("/nothing"), await api.delete("/health")
    assert detail_of(nothing, HTTPStatus.NOT_FOUND) == "Not Found"
    assert detail_of(deleted, HTTPStatus.METHOD_NOT_ALLOWED) == "Method Not Allowed"


# Health and figures


async def test_health_has_the_keys_of_the_seed(bridge: httpx.AsyncClient) -> None:
    response = await bridge.get("/health")
    assert response.status_code == HTTPStatus.OK
    health = response.json()
    assert list(health) == ["status", "service", "workflows", "last_poll"]
    assert list(health["workflows"]) == ["pending", "awaiting_user", "completed_today", "failed"]
    assert all(isinstance(count, int) for count in health["workflows"].values())
    assert (health["status"], health["service"]) == ("healthy", "orchestrator")
    assert health["last_poll"] is None


async def test_health_is_degraded_without_its_store(house: House) -> None:
    nowhere = engine.connect("postgresql://127.0.0.1:1/nowhere", 1)
    context = replace(house.context, statistics=PostgresStatistics(nowhere.read))
    async with bridge_on(context) as http:
        response = await http.get("/health")
    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    known = ["status", "service", "workflows", "last_poll", "spooled", "since"]
    assert list(response.json()) == known
    assert response.json()["status"] == "degraded"
    assert response.json()["spooled"] == 0


async def test_status_counts_mails_and_measures(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    await drafted(house, marker)
    status = (await api.get("/workflow/status")).json()
    assert set(status) == {
        "states",
        "emails_per_hour",
        "seconds_to_sms",
        "response_rate",
        "response_seconds",
        "failure_rate",
    }
    assert status["states"]["awaiting_user"] >= 1
    assert status["emails_per_hour"] > 0
    assert set(status["response_rate"]) == {"approve", "edit", "ignore", "none"}
    assert set(status["failure_rate"]) == {"draft", "sms", "reply"}


async def test_metrics_are_what_prometheus_reads(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    await drafted(house, marker)
    response = await api.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    families = {one.name: one for one in text_string_to_metric_families(response.text)}
    states = {sample.labels["state"]: sample.value for sample in families["mailroom_mails"].samples}
    assert states["awaiting_user"] >= 1
    assert {"mailroom_response_rate", "mailroom_failure_rate"} <= set(families)


# Lists


async def test_a_pending_mail_carries_its_code(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    accepted = await drafted(house, marker)
    [item] = [
        item
        for item in (await api.get("/workflow/pending")).json()["items"]
        if item["message_id"] == accepted.message_id
    ]
    row = await house.row(accepted)
    assert (item["code"], item["revision"]) == (row.code, 1)
    assert item["current_state"] == "awaiting_user"
    assert item["ai_reply_text"] == row.ai_reply_text
    assert item["timeout_at"] is not None


async def test_failed_mails_come_page_by_page(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    mails = [await unsent(house, f"{marker}n{n}") for n in range(5)]
    found: list[dict[str, Any]] = []
    cursor: int | None = None
    for _ in range(100):
        more = {"cursor": cursor} if cursor else {}
        page = (await api.get("/workflow/failed", params={"limit": 2, **more})).json()
        assert len(page["items"]) <= 2
        found += page["items"]
        # A mail that fails while somebody reads on moves nothing on the pages to come.
        if cursor is None:
            await unsent(house, f"{marker}late")
        cursor = page["next_cursor"]
        if cursor is None:
            break
    ids = [item["id"] for item in found]
    assert ids == sorted(set(ids), reverse=True)
    assert {one.message_id for one in mails} <= {item["message_id"] for item in found}
    assert {item["current_state"] for item in found} == {"failed"}


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=0", "cursor=<1>"])
@pytest.mark.parametrize("path", ["/workflow/pending", "/workflow/failed", "/workflow"])
async def test_a_page_that_cannot_be_is_refused(
    api: httpx.AsyncClient, path: str, query: str
) -> None:
    response = await api.get(f"{path}?{query}")
    assert query.partition("=")[0] in detail_of(response, HTTPStatus.UNPROCESSABLE_ENTITY)


async def test_a_cursor_beyond_everything_is_an_empty_page(api: httpx.AsyncClient) -> None:
    page = (await api.get("/workflow", params={"state": "failed", "cursor": 1})).json()
    assert page == {"items": [], "next_cursor": None}
    response = await api.get("/workflow", params={"cursor": 2**70})
    detail_of(response, HTTPStatus.UNPROCESSABLE_ENTITY)


# One mail


@pytest.mark.parametrize(
    "pattern",
    [
        "<{}@example.com>",
        "<a/b/{}@example.com>",
        "<timeout/{}@example.com>",
        "<{}/retry@example.com>",
        "<{}@example.com/retry>",
        "<pending?{}=1&x;y#z@example.com>",
        "<%2F%00{}%40@example.com>",
        "<../../{}/.//@example.com>",
        '<"{}\\"+$!*\'(),:`^|~@[127.0.0.1]>',
    ],
)
async def test_a_mail_is_found_by_its_message_id(
    house: House, api: httpx.AsyncClient, marker: str, pattern: str
) -> None:
    message_id = pattern.format(marker)
    accepted = await drafted(house, marker, message_id)
    assert accepted.message_id == message_id
    for named in (message_id, message_id[1:-1]):
        found = await api.get(f"/workflow/{quote(named, safe='')}")
        assert found.status_code == HTTPStatus.OK, found.text
        assert found.json()["message_id"] == message_id
        assert [line["type"] for line in found.json()["timeline"]][-1] == "awaiting_user"
    refused = await api.post(path_of(accepted, "/retry"))
    assert "Nothing failed" in detail_of(refused, HTTPStatus.CONFLICT)
    decided = await api.post(path_of(accepted, "/decide"), json="3")
    assert decided.status_code == HTTPStatus.OK, decided.text


async def test_a_mail_without_a_message_id_is_found_by_the_derived_one(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    accepted = await drafted(house, marker)
    assert (await api.get(path_of(accepted))).json()["email_subject"] == f"Hi {marker}"


@pytest.mark.parametrize(
    "named",
    ["nobody@example.com", "%3Cnobody%40example.com%3E", "a%00b", "%FF%FE", "x" * 5_000, "%3C%3E"],
)
async def test_an_unknown_mail_is_not_found(api: httpx.AsyncClient, named: str) -> None:
    for response in (
        await api.get(f"/workflow/{named}"),
        await api.post(f"/workflow/{named}/retry"),
        await api.post(f"/workflow/timeout/{named}"),
        await api.post(f"/workflow/{named}/decide", json={"text": "1"}),
    ):
        assert detail_of(response, HTTPStatus.NOT_FOUND).startswith("There is no mail <")


# Decisions


async def test_a_decision_is_answered_with_its_outcome(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    accepted = await drafted(house, marker)
    response = await api.post(path_of(accepted, "/decide"), json={"text": "1", "revision": 1})
    assert response.json() == {
        "verdict": "accepted",
        "state": "awaiting_user",
        "revision": 1,
        "text": "The reply is on its way.",
    }
    await house.sink.wait_for(f"{marker}@example.com")
    assert await house.ended(accepted) is MailState.REPLY_SENT
    late = await api.post(path_of(accepted, "/decide"), json={"text": "3"})
    assert detail_of(late, HTTPStatus.CONFLICT) == "This mail is closed already: reply sent."
    assert late.json()["outcome"]["state"] == "reply_sent"


async def test_a_decision_about_an_older_draft_is_refused(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    accepted = await drafted(house, marker)
    await api.post(path_of(accepted, "/decide"), json={"text": "2 shorter"})
    await house.gateway.wait_for(marker, 2)
    response = await api.post(path_of(accepted, "/decide"), json={"text": "1", "revision": 1})
    assert "The current one is revision 2" in detail_of(response, HTTPStatus.CONFLICT)
    assert response.json()["outcome"]["verdict"] == "refused"
    assert house.sink.mails[f"{marker}@example.com"] == []


@pytest.mark.parametrize("text", ["yes", "please send it", "12", "STOP", "4"])
async def test_what_is_no_decision_is_refused(
    house: House, api: httpx.AsyncClient, marker: str, text: str
) -> None:
    accepted = await drafted(house, marker)
    response = await api.post(path_of(accepted, "/decide"), json={"text": text})
    assert "answer 1 to send" in detail_of(response, HTTPStatus.CONFLICT)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "body"),
        (b"{not JSON", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b"{}", "text"),
        (b'{"text": 1}', "text"),
        (b'{"text": " "}', "text"),
        (b'{"text": "' + b"x" * 3_000 + b'"}', "text"),
        (b'{"text": "1", "revision": "first"}', "revision"),
        (b'{"text": "1", "revision": 1.5}', "revision"),
        (b'{"text": "1", "id": ["x"]}', "id"),
        (b'{"text": "1", "unknown": 1}', "unknown"),
    ],
)
async def test_a_malformed_word_is_refused_and_its_field_named(
    house: House, api: httpx.AsyncClient, marker: str, content: bytes, named: str
) -> None:
    accepted = await drafted(house, marker)
    response = await api.post(
        path_of(accepted, "/decide"), content=content, headers={"Content-Type": "application/json"}
    )
    assert named in detail_of(response, HTTPStatus.UNPROCESSABLE_ENTITY)
    assert response.json()["errors"]
    assert (await house.row(accepted)).current_state is MailState.AWAITING_USER


async def test_no_body_is_read_beyond_what_a_mail_may_have(house: House) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with bridge_on(house.context, max_message_bytes=1_000) as http:
        response = await http.post(
            "/workflow/x/decide", json={"text": "x" * 1_000}, headers=headers
        )
    detail = detail_of(response, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    assert detail == "A request may have 1,000 bytes at most."


async def test_of_many_decisions_at_once_one_is_accepted(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    accepted = await drafted(house, marker)
    words = [{"text": text, "revision": 1} for text in ("1", "2 decline", "3") * 4]
    responses = await asyncio.gather(
        *[api.post(path_of(accepted, "/decide"), json=word) for word in words]
    )
    statuses = [response.status_code for response in responses]
    assert statuses.count(HTTPStatus.OK) == 1
    assert statuses.count(HTTPStatus.CONFLICT) == len(words) - 1


async def test_the_same_id_is_the_same_word(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    accepted = await drafted(house, marker)
    word = {"text": "2 shorter", "id": marker}
    first = await api.post(path_of(accepted, "/decide"), json=word)
    await house.gateway.wait_for(marker, 2)
    again = await api.post(path_of(accepted, "/decide"), json=word)
    assert (again.status_code, again.json()) == (HTTPStatus.OK, first.json())
    assert (await house.row(accepted)).edit_iteration == 1


async def test_a_mail_that_was_closed_meanwhile_is_told_as_it_is_now(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    """The row was read before the mail was closed."""
    accepted = await drafted(house, marker)
    stale = await house.row(accepted)
    await house.context.flows.decide(
        accepted.workflow_id, OwnersWord(text="3"), timedelta(seconds=20)
    )
    await house.client.get_workflow_handle(accepted.workflow_id).result()
    outcome = await decision(house.context, stale, OwnersWord(text="1"))
    assert outcome.text == "This mail is closed already: user ignored (by owner)."


async def test_words_may_come_from_anywhere(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    accepted = await drafted(house, marker)
    word = {"text": "1", "via": "odd\0\u2028"}
    assert (await api.post(path_of(accepted, "/decide"), json=word)).status_code == HTTPStatus.OK
    await house.sink.wait_for(f"{marker}@example.com")
    await house.reached(accepted, MailState.REPLY_SENT)


# Retry and time-out


async def test_a_failure_is_shown_whatever_a_gateway_says(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    raw = mail(sender=f"{marker}@example.com", subject=f"gw-babble {marker}")
    accepted = await house.receive(raw)
    await house.reached(accepted, MailState.FAILED)
    assert "400: no" in (await api.get(path_of(accepted))).json()["error_message"]


async def test_a_retry_goes_on_from_the_failed_stage(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    accepted = await unsent(house, marker)
    response = await api.post(path_of(accepted, "/retry"))
    assert response.status_code == HTTPStatus.ACCEPTED
    assert "sms" in response.json()["detail"]

    async def tried_again() -> bool:
        return (await house.row(accepted)).retry_count == 1

    await eventually(tried_again)


async def test_a_retry_where_nothing_failed_is_a_conflict(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    accepted = await drafted(house, marker)
    response = await api.post(path_of(accepted, "/retry"))
    assert "Nothing failed" in detail_of(response, HTTPStatus.CONFLICT)


async def test_a_reply_that_may_have_been_sent_is_not_retried(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    sender = f"drop-after-dot+{marker}@example.com"
    accepted = await house.receive(mail(sender=sender, subject=f"Hi {marker}"))
    await house.gateway.wait_for(marker)
    await api.post(path_of(accepted, "/decide"), json="1")
    await house.gateway.wait_for(marker, 2)
    response = await api.post(path_of(accepted, "/retry"))
    assert "may have been sent" in detail_of(response, HTTPStatus.CONFLICT)
    assert (await api.post(path_of(accepted, "/decide"), json="3")).status_code == HTTPStatus.OK
    assert len(house.sink.mails[sender]) == 1


async def test_a_wait_is_ended_at_once_and_only_once(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    accepted = await drafted(house, marker)
    path = f"/workflow/timeout/{quote(accepted.message_id, safe='')}"
    assert (await api.post(path)).status_code == HTTPStatus.ACCEPTED
    await house.client.get_workflow_handle(accepted.workflow_id).result()
    row = await house.row(accepted)
    assert (row.current_state, row.reason) == (MailState.TIMEOUT, "timed out by hand")
    closed = "This mail is closed already: timeout (timed out by hand)."
    assert detail_of(await api.post(path), HTTPStatus.CONFLICT) == closed
    response = await api.post(path_of(accepted, "/retry"))
    assert "Nothing failed" in detail_of(response, HTTPStatus.CONFLICT)


async def test_a_wait_that_is_over_cannot_be_ended(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    """The reply is on its way, and waits for a server that defers it."""
    sender = f"defer-always+{marker}@example.com"
    accepted = await house.receive(mail(sender=sender, subject=f"Hi {marker}"))
    await house.gateway.wait_for(marker)
    await api.post(path_of(accepted, "/decide"), json="1")
    await house.reached(accepted, MailState.USER_APPROVED)
    response = await api.post(f"/workflow/timeout/{quote(accepted.message_id, safe='')}")
    assert "user approved" in detail_of(response, HTTPStatus.CONFLICT)


# Mail in


async def test_a_mail_is_accepted_once(house: House, api: httpx.AsyncClient, marker: str) -> None:
    raw = mail(sender=f"{marker}@example.com", subject=f"Hi {marker}")
    first = await api.post("/emails", content=raw, headers=EML)
    again = await api.post("/emails", content=raw, headers=EML)
    assert (first.status_code, again.status_code) == (HTTPStatus.ACCEPTED, HTTPStatus.ACCEPTED)
    assert (first.json()["new"], again.json()["new"]) == (True, False)
    assert first.json()["message_id"] == again.json()["message_id"]
    await house.gateway.wait_for(marker)


async def test_a_mail_with_the_null_path_is_not_answered(
    house: House, api: httpx.AsyncClient, marker: str
) -> None:
    raw = mail(sender=f"{marker}@example.com", subject=f"Hi {marker}")
    response = await api.post("/emails?sender=", content=raw, headers=EML)
    handle = house.client.get_workflow_handle(response.json()["workflow_id"])
    assert (await handle.result())["state"] == "user_ignored"


async def test_an_empty_mail_is_refused(api: httpx.AsyncClient) -> None:
    response = await api.post("/emails", content=b"", headers=EML)
    assert "empty" in detail_of(response, HTTPStatus.UNPROCESSABLE_ENTITY)


async def test_a_mail_over_the_limit_is_refused(house: House, marker: str) -> None:
    headers = EML | {"Authorization": f"Bearer {TOKEN}"}
    raw = mail(sender=f"{marker}@example.com", subject=f"Hi {marker}", text="x" * 5_000)
    async with bridge_on(house.context, max_message_bytes=len(raw)) as http:
        accepted = await http.post("/emails", content=raw, headers=headers)
        refused = await http.post("/emails", content=raw + b"x", headers=headers)
    assert accepted.status_code == HTTPStatus.ACCEPTED
    assert f"{len(raw):,} bytes" in detail_of(refused, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
