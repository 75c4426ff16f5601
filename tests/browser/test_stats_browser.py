"""The page of figures in a real browser."""

import pytest
from people import NewPerson, Person, Post
from playwright.async_api import expect

pytestmark = pytest.mark.browser

DRAWN = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""
A_GRID_AND_A_LINE = 3


async def test_charts_are_drawn_from_their_tables(person: Person, post: Post):
    replies = await person.open()
    subject = await post("To be counted")
    await expect(replies.locator("a.mail", has_text=subject).locator(".pill")).to_have_text(
        "waits for you"
    )
    await replies.get_by_role("link", name="Figures", exact=True).click()
    chart = replies.locator(".chart").first
    await expect(chart.locator("canvas")).to_be_visible()
    assert await chart.locator("canvas").evaluate(DRAWN) > A_GRID_AND_A_LINE
    await expect(replies.locator("canvas")).to_have_count(6)
    await chart.get_by_text("As a table").click()
    today = chart.locator("details tbody tr").first
    assert int(await today.locator("td").first.inner_text()) >= 1
    await expect(replies.get_by_role("rowheader", name="john@example.com")).to_be_visible()
    # What was drawn adds a table of its own; it is drawn again from the page's.
    light = await chart.locator("canvas").element_handle()
    await replies.emulate_media(color_scheme="dark")
    await replies.wait_for_function("canvas => !canvas.isConnected", arg=light)
    await expect(chart.locator("canvas")).to_have_count(1)
    assert await chart.locator("canvas").evaluate(DRAWN) > A_GRID_AND_A_LINE


async def test_it_fits_a_phone(new_person: NewPerson):
    person = await new_person(width=390, color_scheme="dark")
    page = await person.open("/stats")
    await expect(page.locator("canvas")).to_have_count(6)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_tables_need_no_javascript(new_person: NewPerson):
    person = await new_person(java_script_enabled=False)
    page = await person.open("/stats")
    await expect(page.locator("canvas")).to_have_count(0)
    await page.get_by_text("As a table").first.click()
    await expect(page.locator(".chart").first.locator("details tbody tr")).to_have_count(30)
