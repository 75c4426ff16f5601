"""Letters between agents, on a real bridge, worker and Temporal server."""

import httpx
from agent_world import OVERSEER, Hook, online, reaches, registered, send, status_of
from house import House, bridge_on
from tmux_world import TmuxServer
from world import Gateway, eventually

from mailroom.bridge.agent_auth import agent_token


async def test_a_letter_reaches_who_is_online(office: httpx.AsyncClient, marker: str) -> None:
    async with online(office, f"{marker}/worker") as desk:
        sent = await send(office, f"{marker}/worker", "build it", wait=10)
        assert (sent["status"], sent["session_id"]) == ("delivered", desk.session_id)
        [event] = desk.seen
    assert event["type"] == "message.received"
    assert event["payload"]["content"] == "about build it"
    assert event["message"]["from"] == "overseer"


async def test_who_is_offline_gets_them_later_in_order(
    office: httpx.AsyncClient, known: str
) -> None:
    order = ["normal 1", "low 2", "urgent 3", "normal 4", "high 5", "urgent 6"]
    for subject in order:
        priority = subject.split()[0]
        sent = await send(office, known, subject, priority=priority, wait=10)
        assert sent["status"] == "queued"
    async with online(office, known) as desk:
        await desk.has("urgent 3", "urgent 6", "high 5", "normal 1", "normal 4", "low 2")


async def test_a_workflow_that_rested_ends_when_its_letter_arrives(
    agents_house: House, office: httpx.AsyncClient, known: str
) -> None:
    sent = await send(office, known, wait=10)
    async with online(office, known):
        await reaches(agents_house, sent["id"], "delivered")
        handle = agents_house.client.get_workflow_handle(f"agent-mail/{sent['id']}")
        assert (await handle.result())["state"] == "delivered"

    async def told() -> bool:
        untold = await agents_house.context.letters.untold(1_000)
        return sent["id"] not in [letter for letter, _ in untold]

    await eventually(told)


async def test_no_confirmation_is_retried_and_then_a_dead_letter(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    async with online(office, f"{marker}/worker", confirms=False) as desk:
        sent = await send(office, f"{marker}/worker")
        await reaches(agents_house, sent["id"], "retrying")
        [first, again] = desk.seen
        assert first["event_id"] == again["event_id"]
        for _ in range(3):
            await agents_house.skip(minutes=41)
            await eventually(lambda: not_retrying(agents_house, sent["id"]))
        await reaches(agents_house, sent["id"], "dead_letter")
    assert len({event["event_id"] for event in desk.seen}) >= 1


async def not_retrying(house: House, letter: str) -> bool:
    return await status_of(house, letter) in ("retrying", "dead_letter")


async def test_another_session_takes_what_the_latest_does_not_confirm(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"{marker}/worker"
    async with (
        online(office, address) as older,
        online(office, address, confirms=False) as latest,
    ):
        sent = await send(office, address, wait=10)
        assert (sent["status"], sent["session_id"]) == ("delivered", older.session_id)
        assert len(latest.seen) == 1


async def test_all_sessions_get_it_where_that_is_wanted(
    office: httpx.AsyncClient, marker: str
) -> None:
    address = f"every/{marker}"
    async with online(office, address) as one, online(office, address) as other:
        await send(office, address, wait=10)
        assert (await one.saw(1), await other.saw(1)) == (["hello"], ["hello"])


async def test_a_heartbeat_on_an_expired_lease_registers_again_and_drains(
    agents_house: House, office: httpx.AsyncClient, known: str
) -> None:
    desk = await registered(office, known)
    assert not (await desk.heartbeat())["registered"]
    await agents_house.context.sessions.unregister(desk.session_id)
    sent = await send(office, known, wait=10)
    assert sent["status"] == "queued"
    assert (await desk.heartbeat())["registered"]
    polled = await office.get(
        f"/sessions/{desk.session_id}/events", params={"wait": 10}, headers=desk.headers
    )
    assert [event["message"]["subject"] for event in polled.json()] == ["hello"]


async def test_nobody_sends_as_somebody_else(
    agents_house: House, office: httpx.AsyncClient, known: str, marker: str
) -> None:
    token = agent_token(agents_house.context, known)
    mine = {"Authorization": f"Bearer {token}"}
    letter = {"to": "mayor/", "from": f"{marker}/boss"}
    refused = await office.post("/mail", json=letter, headers=mine)
    assert refused.status_code == 403
    sent = await office.post("/mail", json={"to": "mayor/"}, headers=mine)
    assert sent.status_code == 201
    stolen = {"address": f"{marker}/boss", "daemon_id": "d"}
    assert (await office.post("/sessions", json=stolen, headers=mine)).status_code == 403
    forged = {"Authorization": f"Bearer {token[:-3]}xxx"}
    assert (await office.post("/mail", json={"to": "mayor/"}, headers=forged)).status_code == 401
    other = await registered(office, f"{marker}/boss")
    path = f"/sessions/{other.session_id}/events"
    assert (await office.get(path, headers=mine, params={"wait": 0})).status_code == 403


async def test_an_unknown_address_names_the_nearest(office: httpx.AsyncClient) -> None:
    refused = await office.post("/mail", json={"to": "rig/wroker"}, headers=OVERSEER)
    assert refused.status_code == 422
    assert "rig/worker" in refused.json()["nearest"]
    assert "rig/worker" in refused.json()["detail"]


async def test_a_group_is_a_letter_each(office: httpx.AsyncClient) -> None:
    sent = await send(office, "@staff", **{"from": "rig/boss"})
    assert [letter["to"] for letter in sent["letters"]] == ["mayor/"]
    sent = await send(office, "@staff")
    assert [letter["to"] for letter in sent["letters"]] == ["mayor/", "rig/boss"]


async def test_an_announcement_reaches_everybody_known(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    for name in ("b", "a", "c"):
        await registered(office, f"{marker}/{name}")
    sent = await send(office, f"{marker}/*")
    assert [letter["to"] for letter in sent["letters"]] == [
        f"{marker}/a",
        f"{marker}/b",
        f"{marker}/c",
    ]


async def test_rules_redirect_copy_and_raise_the_priority(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    await agents_house.context.known_agents.remember([f"day/{marker}"])
    letter = {"to": f"day/{marker}", "subject": "An alarm"}
    planned = await office.post("/mail?dry_run=true", json=letter, headers=OVERSEER)
    assert planned.status_code == 200
    assert [each["to"] for each in planned.json()["letters"]] == ["night/worker", "mayor/"]
    assert "night shift" in planned.json()["applied"][0]
    sent = await send(office, f"day/{marker}", "An alarm")
    assert [each["to"] for each in sent["letters"]] == ["night/worker", "mayor/"]


async def test_the_oldest_gives_way_and_is_a_dead_letter(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"small/{marker}"
    await agents_house.context.known_agents.remember([address])
    sent = [await send(office, address, str(n), wait=10) for n in range(5)]
    await reaches(agents_house, sent[0]["id"], "dead_letter")
    await reaches(agents_house, sent[1]["id"], "dead_letter")
    assert [await status_of(agents_house, one["id"]) for one in sent[2:]] == ["queued"] * 3


async def test_a_full_queue_refuses_or_buries(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    strict, bin_ = f"strict/{marker}", f"bin/{marker}"
    await agents_house.context.known_agents.remember([strict, bin_])
    for address in (strict, bin_):
        for n in range(3):
            await send(office, address, str(n), wait=10)
    refused = await office.post("/mail", json={"to": strict}, headers=OVERSEER)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert (await send(office, bin_, wait=10))["status"] == "dead_letter"


async def test_where_letters_do_not_wait_offline_is_a_failure(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"off/{marker}"
    await agents_house.context.known_agents.remember([address])
    sent = await send(office, address, wait=10)
    assert sent["status"] == "dead_letter"
    assert "Nobody is online" in sent["letters"][0]["error"]


async def test_a_dead_letter_is_replayed_or_discarded(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"off/{marker}"
    await agents_house.context.known_agents.remember([address])
    one, other = [await send(office, address, wait=10) for _ in range(2)]
    await agents_house.context.letter_flows.signal(other["id"], "discard", "overseer")
    await reaches(agents_house, other["id"], "discarded")
    async with online(office, address) as desk:
        await agents_house.context.letter_flows.signal(one["id"], "replay")
        await reaches(agents_house, one["id"], "delivered")
        assert desk.subjects == ["hello"]


async def test_an_urgent_letter_escalates_until_it_is_acknowledged(
    agents_house: House, office: httpx.AsyncClient, gateway: Gateway, marker: str
) -> None:
    address = f"{marker}/worker"
    async with online(office, address):
        lost = await send(office, address, f"lost {marker}", priority="urgent", wait=10)
        seen = await send(office, address, f"seen {marker}", priority="urgent", wait=10)
        await agents_house.context.letter_flows.signal(seen["id"], "acknowledge")
        await agents_house.skip(minutes=25)

    async def texted() -> bool:
        return any(f"lost {marker}" in text.body for text in gateway.texts)

    await eventually(texted)
    assert lost["status"] == "delivered"
    assert not any(f"seen {marker}" in text.body for text in gateway.texts)


async def test_an_interrupt_is_typed_into_the_terminal(
    agents_house: House, office: httpx.AsyncClient, terminals: TmuxServer, known: str
) -> None:
    record = await terminals.program("gt-" + known.replace("/", "-"))
    sent = await send(office, known, "drop everything", priority="high", wait=20)
    assert sent["status"] == "delivered"
    assert "drop everything" in record.read_text()


async def test_a_queued_letter_is_announced_once_in_the_terminal(
    agents_house: House, office: httpx.AsyncClient, terminals: TmuxServer, known: str
) -> None:
    record = await terminals.program("gt-" + known.replace("/", "-"))
    for n in range(3):
        assert (await send(office, known, f"no hurry {n}", wait=20))["status"] == "queued"

    async def told() -> bool:
        # As the scan does, should tmux have been too busy to say that somebody is there.
        await agents_house.context.letter_flows.drain(known)
        return bool(record.read_text())

    await eventually(told)
    assert len(record.read_text().splitlines()) <= 2


async def test_a_webhook_gets_letters_together(
    agents_house: House, office: httpx.AsyncClient, hook: Hook, marker: str
) -> None:
    address = f"hooked/{marker}"
    await agents_house.context.known_agents.remember([address])
    sent = [await send(office, address, f"{marker} {n}") for n in range(5)]
    for one in sent:
        await reaches(agents_house, one["id"], "delivered")
    calls = [call for call in hook.calls if marker in str(call)]
    assert sum(str(call).count(f"about {marker} ") for call in calls) >= 5


async def test_a_recipient_that_fails_is_left_alone_then_probed(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"brittle/{marker}"
    async with online(office, address, confirms=False) as desk:
        for n in range(2):
            one = await send(office, address, f"fails {n}")
            await reaches(agents_house, one["id"], "retrying")
        spared = await send(office, address, "spared", wait=10)
        assert spared["status"] == "queued"
        assert "spared" not in desk.subjects


async def test_what_is_sent_twice_with_one_key_is_one_letter(
    office: httpx.AsyncClient, marker: str
) -> None:
    keyed = {**OVERSEER, "Idempotency-Key": marker}
    async with online(office, f"{marker}/worker") as desk:
        first = await send(office, desk.address, headers=keyed, wait=10)
        again = await send(office, desk.address, headers=keyed)
        assert first["id"] == again["id"]
        await send(office, desk.address, "last", wait=10)
        assert desk.subjects == ["hello", "last"]


async def test_a_long_letter_arrives_whole(office: httpx.AsyncClient, marker: str) -> None:
    body = "ä" * 300_000
    async with online(office, f"{marker}/worker") as desk:
        answer = await office.post(
            "/mail", params={"wait": 10}, json={"to": desk.address, "body": body}, headers=OVERSEER
        )
        assert answer.json()["status"] == "delivered"
        assert desk.seen[0]["message"]["body"] == body
    too_long = await office.post(
        "/mail", json={"to": desk.address, "body": "x" * 1_100_000}, headers=OVERSEER
    )
    assert too_long.status_code == 413


async def test_what_a_client_wants_holds_for_its_address(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"{marker}/worker"
    wants = {"offline_queue": {"max_queue_size": 1}, "retry": {"max_attempts": 0}}
    new = {"address": address, "daemon_id": "d", "options": wants}
    made = await office.post("/sessions", json=new, headers=OVERSEER)
    await office.delete(f"/sessions/{made.json()['session_id']}", headers=OVERSEER)
    first = await send(office, address, wait=10)
    await send(office, address, wait=10)
    await reaches(agents_house, first["id"], "dead_letter")
    async with online(office, address, confirms=False) as desk:
        unanswered = await send(office, address, "once")
        await reaches(agents_house, unanswered["id"], "retrying")
        assert desk.subjects.count("once") == 1
    wrong = {**new, "options": {"retry": {"max_attempts": -1}}}
    assert (await office.post("/sessions", json=wrong, headers=OVERSEER)).status_code == 422


async def test_two_bridges_and_two_workers_share_the_work(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"{marker}/worker"
    async with (
        agents_house.at_work(),
        bridge_on(agents_house.context) as other_office,
        online(other_office, address) as desk,
    ):
        sent = [await send(office, address, str(n), wait=10) for n in range(10)]
        assert {one["status"] for one in sent} == {"delivered"}
        assert sorted(desk.subjects, key=int) == [str(n) for n in range(10)]
        queued = await send(other_office, "mayor/", wait=10)
        assert queued["status"] == "queued"


async def test_presence_says_who_is_there(office: httpx.AsyncClient, marker: str) -> None:
    address = f"{marker}/worker"
    async with online(office, address) as desk:
        there = (await office.get(f"/presence/{address}", headers=desk.headers)).json()
        assert there["online"]
        assert [each["session_id"] for each in there["sessions"]] == [desk.session_id]
        path = f"/sessions/{desk.session_id}"
        assert (await office.get(path, headers=desk.headers)).json()["daemon_id"] == "daemon-1"
        assert (await office.delete(path, headers=desk.headers)).status_code == 204
        assert (await office.get(path, headers=desk.headers)).status_code == 404
    gone = (await office.get(f"/presence/{address}", headers=OVERSEER)).json()
    assert (gone["online"], gone["sessions"]) == (False, [])


async def test_an_urgent_letter_to_nobody_escalates_too(
    agents_house: House, office: httpx.AsyncClient, gateway: Gateway, known: str, marker: str
) -> None:
    sent = await send(office, known, f"alone {marker}", priority="urgent", wait=10)
    await agents_house.skip(minutes=21)

    async def texted() -> bool:
        return any(f"alone {marker}" in text.body for text in gateway.texts)

    await eventually(texted)
    assert await status_of(agents_house, sent["id"]) == "queued"


async def test_a_signal_by_hand_is_written_down(
    agents_house: House, office: httpx.AsyncClient, known: str
) -> None:
    sent = await send(office, known, wait=10)
    handle = agents_house.client.get_workflow_handle(f"agent-mail/{sent['id']}")
    await handle.signal("delivered")
    assert (await handle.result())["state"] == "delivered"
    assert await status_of(agents_house, sent["id"]) == "delivered"


async def test_a_half_open_circuit_lets_one_through(
    agents_house: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"brittle/{marker}"
    async with online(office, address, confirms=False) as desk:
        for n in range(2):
            one = await send(office, address, f"fails {n}")
            await reaches(agents_house, one["id"], "retrying")
        desk.confirms = True

        async def taken() -> bool:
            sent = await send(office, address, "probe", wait=10)
            return bool(sent["status"] == "delivered")

        await eventually(taken)
        assert (await send(office, address, "after", wait=10))["status"] == "delivered"


async def test_a_dead_urgent_letter_is_texted_to_the_overseer(
    agents_house: House, office: httpx.AsyncClient, gateway: Gateway, marker: str
) -> None:
    address = f"off/{marker}"
    await agents_house.context.known_agents.remember([address])
    for priority in ("normal", "urgent"):
        sent = await send(office, address, f"{priority} {marker}", priority=priority, wait=10)
        assert sent["status"] == "dead_letter"

    async def texted() -> bool:
        return any(f"urgent {marker}" in text.body for text in gateway.texts)

    await eventually(texted)
    assert not any(f"normal {marker}" in text.body for text in gateway.texts)


async def test_what_happens_to_its_letters_is_on_an_agents_stream(
    agents_house: House, office: httpx.AsyncClient, known: str
) -> None:
    waiting = await send(office, known, wait=10)
    async with online(office, known) as desk:
        await reaches(agents_house, waiting["id"], "delivered")

        async def told() -> bool:
            types = {event["type"] for event in desk.told}
            return types >= {
                "queue.processing_started",
                "queue.processing_completed",
                "message.routed",
            }

        await eventually(told)
    timeline = await office.get(f"/mail/{waiting['id']}", headers=OVERSEER)
    types = [entry["type"] for entry in timeline.json()["timeline"]]
    assert types == ["message.queued", "message.delivering", "message.routed"]
    metrics = (await office.get("/metrics", headers=OVERSEER)).text
    assert 'mailroom_agent_events_total{type="session.registered"}' in metrics
