"""Letters between agents that are online, on a real bridge, worker and Temporal server."""

import httpx
from agent_world import online, send
from house import House


async def test_a_letter_reaches_who_is_online(
    house: House, bridge: httpx.AsyncClient, marker: str
) -> None:
    async with online(bridge, f"{marker}/worker") as desk:
        sent = await send(bridge, f"{marker}/worker", "build it", wait=10)
        assert (sent["status"], sent["session_id"]) == ("delivered", desk.session_id)
        [event] = desk.seen
    assert event["type"] == "message.received"
    assert event["payload"]["content"] == "about build it"
    assert event["message"]["from"] == "overseer"
