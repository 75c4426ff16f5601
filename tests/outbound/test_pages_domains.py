"""Domains, suspensions and the overview on their pages, without a browser."""

from urllib.parse import quote

from outbound_world import Outbound
from pages_world import HOSTILE, LATER, Person, notice_of, words


async def test_a_domain_is_suspended_for_an_hour_and_released(
    operator: Person, outbound: Outbound
) -> None:
    domain = f"d-{outbound.marker}.example.com"
    here = f"/outbound/domains/{domain}"
    unknown = words(await operator.see(here))
    assert "No message to it was tried in the last 30 days." in unknown
    page = await operator.send(f"{here}/suspend", {"lasting": "1h", "reason": "they move house"})
    assert notice_of(page) == f"Mail to {domain} is suspended."
    assert "they move house" in words(page)
    held = (await outbound.http.get(f"/queue/suspensions/domain/{domain}")).json()
    assert held["until"] is not None
    assert domain in words(await operator.see("/outbound/suspensions"))
    trail = words(await operator.see("/outbound/operations", operation="suspend"))
    assert f"Suspend the domain {domain}" in trail
    page = await operator.send(f"{here}/release", {})
    assert notice_of(page) == f"Mail to {domain} goes on."
    page = await operator.send(f"{here}/release", {})
    assert notice_of(page) == f"Nothing suspends mail to {domain}."
    page = await operator.send(f"{here}/suspend", {"lasting": "soon"})
    assert notice_of(page).startswith("metadata.for: ")
    page = await operator.send("/outbound/domains/no%20domain/suspend", {"lasting": "1h"})
    assert notice_of(page) == "'no domain' is no domain, such as example.com."


async def test_what_went_wrong_at_a_domain(operator: Person, outbound: Outbound) -> None:
    id = await outbound.submit("defer-always")
    await outbound.reached(id, "deferred")
    page = await operator.see("/outbound/domains/example.com")
    assert "451 4.3.2 try later" in words(page)
    assert "domain=example.com" in page
    found = await operator.http.get("/outbound/domains/find", params={"domain": " Example.com "})
    assert found.headers["location"] == "/outbound/domains/Example.com"
    await outbound.tell(id, "cancel")


async def test_suspensions_by_hand(operator: Person, outbound: Outbound) -> None:
    name = f"{outbound.marker} {HOSTILE}"[:90]
    form = {"scope": "campaign", "name": name, "lasting": "", "reason": HOSTILE}
    page = await operator.send("/outbound/suspensions", form)
    assert notice_of(page) == f"The campaign {name} is suspended."
    assert "<img" not in page.text
    held = await outbound.http.get(f"/queue/suspensions/campaign/{quote(name, safe='')}")
    assert "until" not in held.json() or held.json()["until"] is None
    for wrong, sentence in (
        ({"reason": " "}, "Give a reason: others will ask why."),
        ({"lasting": "soon"}, "Give a name of 255 characters at most, and a length such as 1h"),
        ({"name": ""}, "Give a name of 255 characters at most"),
        ({"scope": "domain", "name": "no domain"}, "'no domain' is no domain"),
    ):
        page = await operator.send("/outbound/suspensions", {**form, **wrong})
        assert sentence in notice_of(page)
    gone = {"scope": "campaign", "name": name}
    page = await operator.send("/outbound/suspensions/release", gone)
    assert notice_of(page) == f"The campaign {name} goes on."
    page = await operator.send("/outbound/suspensions/release", gone)
    assert notice_of(page) == f"Nothing suspends the campaign {name}."


async def test_the_overview_and_a_message_say_what_is_held(
    operator: Person, outbound: Outbound
) -> None:
    name = f"!{outbound.marker}"  # the overview shows the first few
    id = await outbound.submit(campaign_id=name, scheduled_at=LATER)
    form = {"scope": "campaign", "name": name, "lasting": "1h", "reason": f"why {HOSTILE}"[:90]}
    await operator.send("/outbound/suspensions", form)
    page = await operator.see("/outbound")
    assert f"The campaign {name} is held until " in words(page)
    assert "<img" not in page
    assert f"The campaign {name} is held" in words(await operator.see("/outbound", campaign=name))
    assert " is held" not in words(await operator.see("/outbound", campaign=f"{name}-other"))
    assert "Held with its campaign until " in words(await operator.see(f"/outbound/{id}"))
    await operator.send("/outbound/suspensions/release", {"scope": "campaign", "name": name})
    assert name not in words(await operator.see("/outbound"))
    await outbound.tell(id, "cancel")


async def test_the_overview_counts_what_happened(operator: Person, outbound: Outbound) -> None:
    campaign = f"c-{outbound.marker}"
    later = await outbound.submit(campaign_id=campaign, scheduled_at=LATER)
    id = await outbound.submit(campaign_id=campaign)
    await outbound.reached(id, "delivered")
    for period in ("hour", "day", "week"):
        page = await operator.see("/outbound", campaign=campaign, period=period)
        assert f"In the last {period}: 2 submitted, 1 delivered, 0 deferred" in words(page)
        assert 'id="depth-example.com"' in page
    await outbound.tell(later, "cancel")
