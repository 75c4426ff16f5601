"""`MailReceived` hooks, a command as a channel, and arms of an experiment."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from agent_world import OVERSEER, Desk, online, reaches, send
from house import House, address_of, bridge_on, house_on, settings_for
from sqlalchemy import URL
from temporalio.testing import WorkflowEnvironment
from world import Gateway, Sink, eventually

CONFIG = """
[agents]
enable_priority_processing = false
hooks = [["{folder}/hook"], ["{folder}/no-such-hook"]]

[[agents.mailboxes]]
address = "batch/*"
command = ["{folder}/take"]

[[agents.strategies]]
name = "loud"
share = 50
delivery = "interrupt"
"""
SCRIPT = """#!/bin/sh
printf '%s|%s|%s\\n' "$MAIL_FROM" "$MAIL_TO" "$MAIL_SUBJECT" >> "{folder}/{name}.log"
"""


@pytest.fixture(scope="module")
async def hooked(
    own_env: WorkflowEnvironment,
    database: URL,
    gateway: Gateway,
    sink: Sink,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("hooks")
    for name in ("hook", "take"):
        (folder / name).write_text(SCRIPT.format(folder=folder, name=name))
        (folder / name).chmod(0o700)
    (folder / "mailroom.toml").write_text(CONFIG.format(folder=folder))
    settings = settings_for(folder, gateway, sink, temporal_address=address_of(own_env))
    async with house_on(own_env, settings, database, gateway, sink) as running:
        yield running


@pytest.fixture(scope="module")
async def office(hooked: House) -> AsyncIterator[httpx.AsyncClient]:
    async with bridge_on(hooked.context) as http:
        yield http


async def logged(house: House, name: str, line: str) -> None:
    file = Path(house.settings.mailroom_config).with_name(f"{name}.log")

    async def there() -> bool:
        return file.exists() and line in file.read_text().splitlines()

    await eventually(there)


async def test_a_hook_hears_of_every_letter_and_a_broken_one_stops_none(
    hooked: House, office: httpx.AsyncClient, marker: str
) -> None:
    async with online(office, f"{marker}/worker") as desk:
        sent = await send(office, desk.address, "$(touch x); `id`", wait=10)
        assert sent["status"] == "delivered"
    await logged(hooked, "hook", f"overseer|{desk.address}|$(touch x); `id`")


async def test_a_hook_hears_once_of_a_letter_that_is_confirmed_late(
    hooked: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"{marker}/worker"
    new = {"address": address, "daemon_id": "d", "options": {"delivery_timeout": "200ms"}}
    made = await office.post("/sessions", json=new, headers=OVERSEER)
    await office.delete(f"/sessions/{made.json()['session_id']}", headers=OVERSEER)
    async with online(office, address, confirms=False) as desk:
        await send(office, address, "late")
        await eventually(lambda: came_twice(desk))
        desk.confirms = True
        await desk.has("late", "late", "late")
    line = f"overseer|{address}|late"
    await logged(hooked, "hook", line)
    log = Path(hooked.settings.mailroom_config).with_name("hook.log")
    assert log.read_text().splitlines().count(line) == 1


async def came_twice(desk: Desk) -> bool:
    return len(desk.seen) == 2


async def test_a_command_takes_the_letters_of_a_mailbox(
    hooked: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"batch/{marker}"
    await hooked.context.known_agents.remember([address])
    sent = await send(office, address, "for the script")
    await reaches(hooked, sent["id"], "delivered")
    await logged(hooked, "take", f"overseer|{address}|for the script")
    confirmed = await office.get(f"/mail/{sent['id']}/delivery", headers=OVERSEER)
    assert confirmed.status_code == 200, json.dumps(confirmed.json())


async def test_without_priorities_age_alone_counts(
    hooked: House, office: httpx.AsyncClient, marker: str
) -> None:
    address = f"{marker}/worker"
    await hooked.context.known_agents.remember([address])
    for n, priority in enumerate(("low", "urgent", "normal")):
        await send(office, address, f"{n} {priority}", priority=priority, wait=10)
    async with online(office, address) as desk:
        assert await desk.saw(3) == ["0 low", "1 urgent", "2 normal"]


async def test_an_experiment_gives_each_letter_to_an_arm(
    hooked: House, office: httpx.AsyncClient, marker: str
) -> None:
    async with online(office, f"{marker}/worker") as desk:
        sent = [await send(office, desk.address, str(n), wait=10) for n in range(20)]
    letters = [await office.get(f"/mail/{one['id']}", headers=OVERSEER) for one in sent]
    arms = [letter.json()["strategy"] for letter in letters]
    assert set(arms) == {"loud", "control"}
