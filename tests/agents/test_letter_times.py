"""Letters that wait for a time. Time is skipped: what comes first here finds it as it is."""

import httpx
from agent_world import online, reaches, send, status_of
from house import House


async def test_a_delayed_letter_waits_for_its_time(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"patient/{marker}"
    async with online(office, address) as desk:
        sent = await send(office, address)
        await agents_house.skip(minutes=50)
        assert await status_of(agents_house, sent["id"]) == "queued"
        assert desk.subjects == []
        await agents_house.skip(minutes=11)
        await desk.has("hello")


async def test_a_letter_that_nobody_comes_for_expires(
    agents_house: House, office: httpx.AsyncClient, known: str
) -> None:
    short = await send(office, known, "short", ttl_seconds=3600, wait=10)
    long = await send(office, known, "long", wait=10)
    await agents_house.skip(hours=2)
    await reaches(agents_house, short["id"], "expired")
    assert await status_of(agents_house, long["id"]) == "queued"
    await agents_house.skip(hours=23)
    await reaches(agents_house, long["id"], "expired")
