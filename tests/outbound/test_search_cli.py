"""`mailroom queue list` with filters, saved filters, and a list that is watched."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from house import TOKEN
from outbound_world import Outbound
from typer.testing import CliRunner, Result
from world import eventually

from mailroom.cli.client import Bridge
from mailroom.cli.main import app
from mailroom.cli.output import Output
from mailroom.cli.queue_list_watch import Changes, follow
from mailroom.cli.queue_selecting import selected_of
from mailroom.models.outbound.words import MessageQueueStatus, QueueSortField

Run = Callable[..., Awaitable[Result]]
FAR = {"scheduled_at": "2036-01-01T00:00:00Z", "expires_at": "2037-01-01T00:00:00Z"}


@pytest.fixture
def run(queue_api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command runs beside the bridge, which has this thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAILROOM_URL", str(queue_api.base_url))
    monkeypatch.setenv("MAILROOM_TOKEN", TOKEN)

    async def invoke(*words: object) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, ["queue", *map(str, words)])

    return invoke


async def ids(run: Run, *words: object) -> list[str]:
    found = await run("list", *words, "-o", "json")
    assert found.exit_code == 0, found.output
    return [one["id"] for one in json.loads(found.stdout)["items"]]


async def test_every_option_is_a_field_of_the_filter(run: Run, outbound: Outbound) -> None:
    about = {"campaign_id": outbound.marker, "tags": ["vip", "eu"], "tenant_id": "one", **FAR}
    urgent = str(await outbound.submit(priority=9, **about))
    later = str(await outbound.submit(priority=1, **about))
    mine = ("--campaign", outbound.marker)
    assert await ids(run, *mine, "--sort", "priority", "--order", "asc") == [later, urgent]
    assert await ids(run, *mine, "--with-priority", 9, "--tag", "vip", "--tag", "eu") == [urgent]
    assert await ids(run, *mine, "--search", outbound.marker, "--created-before", "1h ago") == []
    both = await ids(
        run, *mine, "--status", "scheduled", "--queue", outbound.marker, "--queue-state", "active",
        "--tenant", "one", "--max-attempts", 0, "--min-size", 1, "--created-after", "1h ago",
        "--scheduled-after", "in 2d",
    )  # fmt: skip
    assert set(both) == {urgent, later}


async def test_a_table_says_how_many_there_are(run: Run, outbound: Outbound) -> None:
    for _ in range(3):
        await outbound.submit(campaign_id=outbound.marker, **FAR)
    found = await run("list", "--campaign", outbound.marker, "-n", 2)
    assert len(found.stdout.splitlines()) == 3
    assert "2 of 3. There are more: --cursor " in found.stderr
    cursor = re.search(r"--cursor (\S+)", found.stderr)
    assert cursor
    rest = await ids(run, "--campaign", outbound.marker, "--cursor", cursor[1])
    assert len(rest) == 1


async def test_a_refused_filter_is_one_sentence(run: Run) -> None:
    refused = await run("list", "--min-attempts", 3, "--max-attempts", 2)
    assert refused.exit_code != 0
    assert "max_attempts" in refused.stderr
    assert "is no moment" in (await run("list", "--created-after", "yesterday")).stderr
    refused = await run("filters", "save", "bad", "--search", "?")
    assert refused.exit_code == 2
    assert "search_query: there is no word in it" in refused.stderr


async def test_a_filter_is_saved_shown_used_and_removed(run: Run, outbound: Outbound) -> None:
    one = str(await outbound.submit(campaign_id=outbound.marker, priority=2, **FAR))
    await outbound.submit(campaign_id=outbound.marker, priority=3, **FAR)
    name = f"mine {outbound.marker}"
    given = ("--campaign", outbound.marker, "--with-priority", 2)
    saved = await run("filters", "save", name, *given, "--sort", "size_bytes")
    assert saved.exit_code == 0, saved.output
    assert await ids(run, "--filter", name) == [one]
    shown = await run("filters", "show", name)
    assert f"campaign_id: {outbound.marker}" in shown.stdout
    listed = json.loads((await run("filters", "list", "-o", "json")).stdout)["items"]
    assert name in [each["name"] for each in listed]
    assert (await run("filters", "remove", name)).exit_code == 0
    gone = await run("list", "--filter", name)
    assert gone.exit_code == 3
    assert "There is no saved filter" in gone.stderr
    assert "Say which messages" in (await run("filters", "save", name)).stderr


async def test_a_watched_list_has_a_line_for_each_change(
    queue_api: httpx.AsyncClient, outbound: Outbound, capsys: pytest.CaptureFixture[str]
) -> None:
    stop, said = asyncio.Event(), ""
    to = Bridge(queue_api, str(queue_api.base_url).rstrip("/"))
    wanted = {"campaign_id": outbound.marker}
    following = asyncio.create_task(follow(to, wanted, 50, stop, Changes(Output.TABLE)))

    async def says(words: str) -> None:
        async def is_said() -> bool:
            nonlocal said
            said += capsys.readouterr().out
            return words in said

        await eventually(is_said)

    id = await outbound.submit(campaign_id=outbound.marker, **FAR)
    await says(f"{id}  scheduled")
    await outbound.tell(id, "cancel")
    await says(f"{id}  cancelled")
    stop.set()
    await following
    assert len(said.splitlines()) == 2


def test_what_is_typed_becomes_a_filter() -> None:
    typed = {"status": [MessageQueueStatus.READY], "sort_by": QueueSortField.DOMAIN, "tags": None}
    selected = selected_of({**typed, "saved": "mine"})
    assert selected.params == {"status": ["ready"], "sort_by": "domain", "filter": "mine"}
    assert selected.selection().sort_by is QueueSortField.DOMAIN
