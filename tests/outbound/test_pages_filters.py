"""The list of messages on its page, without a browser: sorted, refused, saved, exported."""

import re
from html import unescape
from uuid import UUID

import pytest
from outbound_world import Outbound
from pages_world import LATER, Person, notice_of

from mailroom.adapters import parquet


async def test_filters_are_saved_chosen_and_removed(operator: Person, outbound: Outbound) -> None:
    name, query = f"mine {outbound.marker}", f"queue_name={outbound.marker}&status=scheduled"
    form = {"name": name, "query": f"{query}&tags=a&tags=b"}
    page = await operator.send("/outbound/filters", form)
    assert notice_of(page) == f"The filter is saved as {name}."
    [href] = re.findall(rf'href="([^"]*)"><bdi>{name}</bdi>', page.text)
    chosen = await operator.see(unescape(href))
    assert 'value="a, b"' in chosen
    assert '<option value="scheduled" selected>' in chosen
    for bad in ("", "a/b", "x" * 101):
        page = await operator.send("/outbound/filters", {"name": bad, "query": query})
        assert "name of 100 characters at most" in notice_of(page)
    page = await operator.send("/outbound/filters/remove", {"name": name, "query": query})
    assert notice_of(page) == f"The filter {name} is removed."
    assert f"<bdi>{name}</bdi>" not in page.text
    page = await operator.send("/outbound/filters/remove", {"name": name, "query": query})
    assert notice_of(page) == "There is no such filter."


async def test_the_export_has_what_the_list_has(operator: Person, outbound: Outbound) -> None:
    id = await outbound.submit(scheduled_at=LATER)
    await outbound.submit(scheduled_at=LATER, queue_name="another")
    page = await operator.see("/outbound/messages", queue_name=outbound.marker, status="scheduled")
    links = re.findall(r'href="(/queue/export[^"]*)"', page)
    assert len(links) == (3 if parquet.is_there() else 2)
    for link in links:
        exported = await operator.http.get(unescape(link))
        assert exported.status_code == 200, exported.text
        assert len(exported.content) > 0
    listed = (await operator.http.get(unescape(links[1]))).text.splitlines()
    assert len(listed) == 1
    assert str(id) in listed[0]


async def test_lists_are_sorted_by_a_click(operator: Person, outbound: Outbound) -> None:
    ids = [await outbound.submit(scheduled_at=LATER, priority=n) for n in (3, 8, 1)]
    page = await operator.see("/outbound/messages", queue_name=outbound.marker)
    [by] = re.findall(r'id="by-priority" href="([^"]*)"', page)
    falling = await operator.see(unescape(by))
    assert order(falling) == [ids[1], ids[0], ids[2]]
    assert 'aria-sort="descending"' in falling
    [by] = re.findall(r'id="by-priority" href="([^"]*)"', falling)
    assert order(await operator.see(unescape(by))) == [ids[2], ids[0], ids[1]]


def order(page: str) -> list[UUID]:
    return [UUID(id) for id in re.findall(r'id="row-([0-9a-f-]+)"', page)]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("nonsense=1", "nonsense: there is no such filter."),
        ("created_after=yesterday", "Submitted after: "),
        (
            "created_after=2026-01-02T00:00&created_before=2026-01-01T00:00",
            "Submitted before: it has to be later than created_after.",
        ),
        ("min_attempts=2&max_attempts=1", "Attempts, at most: it is less than min_attempts."),
        ("sort_by=secret", "Order: "),
        ("search_query=***", "Words: there is no word in it"),
    ],
)
async def test_a_filter_that_can_not_be_is_said_on_the_page(
    operator: Person, query: str, sentence: str
) -> None:
    page = await operator.http.get(f"/outbound/messages?{query}")
    assert page.status_code == 422
    assert sentence in notice_of(page)
    assert "Count first" in page.text or "No message matches" in page.text
