"""The page of figures: tables for those without JavaScript, other people's words as text."""

import re
from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest
from page_world import TOKEN, World, an_edit, app_of, browser

from mailroom.models.figures import Rates

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}</pre></title>"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def person(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app_of(world)) as client:
        await client.get("/login", params={"token": TOKEN})
        yield client


def rows(page: str) -> list[list[str]]:
    """The cells of every table's rows."""
    found = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in found]
    return [[unescape(cell).strip() for cell in row] for row in cells]


async def test_every_chart_has_its_table(person: httpx.AsyncClient) -> None:
    page = (await person.get("/stats")).text
    assert page.count('class="plot"') == page.count("As a table") == 6
    shown = rows(page)
    assert ["2026-02-28", "2", "3"] in shown
    assert ["2026-03-01", "0", "0"] in shown
    assert ["2026-02-28", "1.5"] in shown  # minutes
    assert ["2026-03-01", ""] in shown  # nothing to measure
    assert ["john@example.com", "2", "1", "1", "0"] in shown
    assert ["template meeting", "2", "1", "1", "0"] in shown


async def test_edits_are_shown_with_what_they_changed(person: httpx.AsyncClient) -> None:
    page = (await person.get("/stats")).text
    assert "“make it warmer”" in page
    assert re.search(r'class="removed"[^>]*>-Regards,<', page)
    assert re.search(r'class="added"[^>]*>\+Warm regards,<', page)


async def test_what_strangers_wrote_stays_text(person: httpx.AsyncClient, world: World) -> None:
    edit = an_edit(sender=HOSTILE, subject=HOSTILE, instructions=HOSTILE, diff=f"+{HOSTILE}")
    rates = [Rates(name=HOSTILE, mails=1, approved=1, edited=0, ignored=0)]
    world.shown = world.shown.model_copy(
        update={"senders": rates, "sources": rates, "edits": [edit]}
    )
    response = await person.get("/stats")
    assert "<img" not in response.text
    assert "<script>" not in response.text
    assert "script-src 'self';" in response.headers["content-security-policy"]
    assert "style=" not in response.text
    # Two names, and an edit's sender, subject, instructions and diff.
    assert unescape(response.text).count(HOSTILE) == 6


async def test_a_period_can_be_chosen(person: httpx.AsyncClient, world: World) -> None:
    page = (await person.get("/stats", params={"days": 7})).text
    assert world.periods == [7]
    assert 'href="/stats?days=7" aria-current="page"' in page
    assert 'href="/workflow/stats.csv?days=7"' in page
    assert (await person.get("/stats", params={"days": 367})).status_code == 422


async def test_strangers_are_asked_to_log_in(world: World) -> None:
    async with browser(app_of(world)) as stranger:
        response = await stranger.get("/stats?days=7")
    assert response.status_code == 303
    assert response.headers["location"] == "/login?next=%2Fstats%3Fdays%3D7"
    assert world.periods == []
