"""`mailroom queue`, against a bridge: messages are submitted, listed, watched, told what to do."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from house import TOKEN, House
from outbound_world import Outbound
from pydantic import SecretStr
from rich.console import Console
from typer.testing import CliRunner, Result
from world import eventually

from mailroom.adapters.settings import Settings
from mailroom.cli import queue_messages, queue_submit, queue_watch
from mailroom.cli.foreground import _what_leaves
from mailroom.cli.main import app
from mailroom.cli.queue_watch import Rate, bar
from mailroom.models.outbound.listing import Overview, QueueDepth
from mailroom.models.outbound.words import MessageQueueStatus as S
from mailroom.models.outbound.words import QueueState

Run = Callable[..., Awaitable[Result]]
FAR = "2036-01-01T00:00:00Z"
TEMPLATE = "Subject: Hello {{name}}\n\nDear {{name}}\n"


@pytest.fixture
def run(queue_api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command runs beside the bridge, which has this thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAILROOM_URL", str(queue_api.base_url))
    monkeypatch.setenv("MAILROOM_TOKEN", TOKEN)

    async def invoke(*words: object, input: str | None = None) -> Result:
        given = ["queue", *map(str, words)]
        return await asyncio.to_thread(CliRunner().invoke, app, given, input=input)

    return invoke


def campaign(outbound: Outbound, number: int, **more: object) -> str:
    items = [outbound.message(text=f"no. {n}", campaign_id=outbound.marker) for n in range(number)]
    return json.dumps({"items": [{**item, **more} for item in items]})


async def listed(run: Run, *words: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((await run("list", *words, "-o", "json")).stdout)[
        "items"
    ]
    return found


async def test_a_table_and_a_template_become_messages_once(
    run: Run, outbound: Outbound, tmp_path: Path, outbound_house: House
) -> None:
    (tmp_path / "hello.txt").write_text(TEMPLATE)
    ann, bob = outbound.to("take-ann"), outbound.to("take-bob")
    rows = ["recipient,name", f"{ann},Ann", "nobody,Nobody", f"{bob},Bob", ""]
    (tmp_path / "people.csv").write_text("\n".join(rows))
    command = ["submit", "people.csv", "--template", "hello.txt", "--sender", "news@company.com"]
    command += ["--campaign", outbound.marker, "--expires", FAR, "--tag", "autumn"]
    for _ in range(2):
        ended = await run(*command)
        assert ended.exit_code == 1
        assert ended.stdout == "2 accepted, 1 refused\n"
        refusal, advice = ended.stderr.splitlines()
        assert refusal.startswith("people.csv, line 3: recipient: ")
    for address, name in ((ann, "Ann"), (bob, "Bob")):
        mail = await outbound_house.sink.wait_for(address)
        assert mail["Subject"] == f"Hello {name}"
    # The line is corrected where it stands.
    (tmp_path / "people.csv").write_text("\n".join(rows).replace("nobody", outbound.to("take-cy")))
    [key] = re.findall(r"--idempotency-key (\S+):", advice)
    assert (await run(*command, "--idempotency-key", key)).stdout == "3 accepted, 0 refused\n"
    await outbound_house.sink.wait_for(outbound.to("take-cy"))
    items = await listed(run, "--campaign", outbound.marker)
    assert sorted(item["recipient"] for item in items) == sorted([ann, bob, outbound.to("take-cy")])
    assert items[0]["tags"] == ["autumn"]
    assert len(outbound_house.sink.mails[ann]) == 1


async def test_many_go_in_several_requests_and_keep_their_ids(
    run: Run, outbound: Outbound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "many.json").write_text(campaign(outbound, 7, scheduled_at="2035-01-01T00:00:00Z"))
    ids = []
    for size in (3, 4):
        monkeypatch.setattr(queue_submit, "MOST_ITEMS", size)
        ended = await run("submit", "many.json", "-o", "json")
        summary = json.loads(ended.stdout)
        assert (ended.exit_code, summary["read"], summary["refused"]) == (0, 7, 0)
        ids.append(summary["accepted"])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 7
    first = await run("list", "--campaign", outbound.marker, "-n", "5")
    assert len(first.stdout.splitlines()) == 6
    [cursor] = re.findall(r"--cursor (\S+)", first.stderr)
    rest = await listed(run, "--campaign", outbound.marker, "--cursor", cursor)
    assert len(rest) == 2
    assert (await run("cancel", *ids[0], "--reason", "a test")).exit_code == 0


async def test_all_or_nothing(run: Run, outbound: Outbound, tmp_path: Path) -> None:
    good, bad = outbound.message(), outbound.message(recipient="nobody")
    (tmp_path / "two.json").write_text(json.dumps([good, bad]))
    for option, said in (("--atomic", "0 accepted"), ("--dry-run", "1 of 2 would be refused")):
        ended = await run("submit", "two.json", option)
        assert ended.exit_code == 1
        assert said in ended.stdout
        assert "two.json, item 2: recipient: " in ended.stderr
    assert await listed(run, "--queue", outbound.marker) == []
    # What only the bridge can tell.
    state = {"state": "draining", "reason": "it closes"}
    await outbound.http.put(f"/queue/queues/{outbound.marker}", json=state)
    (tmp_path / "two.json").write_text(json.dumps([outbound.message(queue_name="other"), good]))
    ended = await run("submit", "two.json", "--atomic")
    assert ended.exit_code == 4
    assert "is draining and takes no messages: it closes" in ended.stderr
    assert await listed(run, "--recipient", outbound.to("take")) == []


async def test_a_moment_is_a_date_or_a_length(run: Run, outbound: Outbound, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(outbound.message(expires_at=None)))
    assert (await run("submit", "one.json", "--at", "in 1d", "--expires", "in 2d")).exit_code == 0
    [item] = await listed(run, "--queue", outbound.marker, "--status", "scheduled")
    at = datetime.fromisoformat(item["scheduled_at"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=50) < at <= timedelta(days=1)
    await outbound.tell(UUID(item["id"]), "cancel")
    ended = await run("submit", "one.json", "--at", "tomorrow")
    assert ended.exit_code == 2
    assert "'tomorrow' is no moment" in ended.stderr


async def test_one_message_is_shown_with_what_servers_said(run: Run, outbound: Outbound) -> None:
    id = await outbound.submit("defer-always")
    await outbound.reached(id, "deferred")
    await run("suspend", id, "--reason", "a look \x1b[31mfirst")
    await outbound.reached(id, "suspended")
    shown = (await run("show", id)).stdout
    assert re.search(r"^Status +suspended$", shown, re.MULTILINE)
    assert re.search(r"^Server said +451 4.3.2 try later$", shown, re.MULTILINE)
    assert "Not now (attempt 1, soft)." in shown
    assert "It was suspended.\n" in shown
    assert "\x1b" not in shown
    found = json.loads((await run("show", id, "-o", "json")).stdout)
    assert found["item"]["id"] == str(id)
    await outbound.tell(id, "cancel")


async def test_messages_are_told_what_to_do(run: Run, outbound: Outbound) -> None:
    id = await outbound.submit("defer-always")
    await outbound.reached(id, "deferred")
    queue = f"other-{outbound.marker}"
    for words, said in (
        (("suspend", id), "1 message suspended.\n"),
        (("rebind", id, "--to-queue", queue), "1 message moved.\n"),
        (("set-priority", id, "--priority", 9), "1 message given priority 9.\n"),
    ):
        ended = await run(*words)
        assert (ended.exit_code, ended.stdout) == (0, said), ended.output
    await outbound.reached(id, "suspended", queue_name=queue, priority=9)
    assert (await run("resume", id)).exit_code == 0
    await outbound.reached(id, "deferred")
    assert (await run("retry", id)).exit_code == 0
    await outbound.reached(id, "deferred", num_attempts=2)
    unknown = uuid4()
    ended = await run("bounce", unknown, id, "--reason", "enough")
    assert ended.exit_code == 4
    assert ended.stderr == f"{unknown}: there is no such message\n"
    item = await outbound.reached(id, "bounced")
    assert item.last_bounce_reason == "enough"
    assert (await run("cancel", id)).exit_code == 4


async def test_messages_that_have_something_in_common_are_told(
    run: Run, outbound: Outbound
) -> None:
    ids = [await outbound.submit("defer-always", tenant_id=outbound.marker) for _ in range(2)]
    for id in ids:
        await outbound.reached(id, "deferred")
    which = ("--tenant", outbound.marker, "--status", "deferred")
    ended = await run("cancel", *which, "--dry-run")
    assert ended.stdout.startswith("2 messages would be cancelled.\n")
    assert all(str(id) in ended.stdout for id in ids)
    assert (await run("purge", *which)).exit_code == 4  # nobody is there who confirms it
    ended = await run("cancel", *which, "--reason", "not \x1b[31mwanted")
    assert (ended.exit_code, ended.stdout) == (0, "2 messages cancelled.\n")
    assert "cancel" in (await run("operations", "-n", "10000")).stdout
    [done] = json.loads((await run("operations", "-n", "1", "-o", "json")).stdout)
    assert (done["operation"], done["affected"], done["status"]) == ("cancel", 2, "completed")
    shown = (await run("operation", done["id"])).stdout
    assert re.search(r"^Progress +2 of 2, 2 changed$", shown, re.MULTILINE)
    assert "\x1b" not in shown
    ended = await run("purge", "--tenant", outbound.marker, "--yes")
    assert (ended.exit_code, ended.stdout) == (0, "2 messages removed for good.\n")
    assert await listed(run, "--tenant", outbound.marker) == []


async def test_what_is_held_as_a_whole_is_said(run: Run, outbound: Outbound) -> None:
    later = datetime.now(UTC) + timedelta(hours=3)
    await outbound.submit("defer-always", tenant_id=outbound.marker, scheduled_at=later.isoformat())
    which, reason = ("--tenant", outbound.marker), ("--reason", "unpaid")
    held = await run("suspend", *which, "--for", "1h", *reason)
    assert re.fullmatch(
        rf"The tenant {outbound.marker} is held until .+, with what comes later.\n"
        r"1 message held by that.\n",
        held.stdout,
    ), held.output
    await run("suspend", *which, "--for", "2h")
    assert re.search(rf"{outbound.marker} .+ unpaid$", (await run("holds")).stdout, re.MULTILINE)
    look = await run("resume", *which, "--dry-run")
    assert look.stdout.startswith(f"The tenant {outbound.marker} would be held no longer.\n")
    released = await run("resume", *which)
    assert released.stdout.startswith(f"The tenant {outbound.marker} is held no longer.\n")


async def test_which_messages_has_to_be_said(run: Run, outbound: Outbound) -> None:
    for words in (("cancel",), ("cancel", uuid4(), "--domain", "example.com")):
        ended = await run(*words)
        assert ended.exit_code == 2
        assert "Say which messages" in ended.stderr


async def test_where_messages_go_has_to_be_said(run: Run) -> None:
    ended = await run("rebind", "--domain", "example.com")
    assert ended.exit_code == 2
    assert "--to-queue, --via, or both" in ended.stderr


async def test_what_may_have_been_sent_is_asked_about(
    run: Run, outbound: Outbound, outbound_house: House
) -> None:
    id = await outbound.submit("drop-after-dot")
    await outbound.reached(id, "suspended")
    ended = await run("retry", id, input="n\n")
    assert ended.exit_code == 1
    assert f"{id} may have been sent" in ended.stderr
    assert len(await outbound.events(id)) == 2
    assert (await run("retry", id, "--yes")).exit_code == 0
    await outbound.reached(id, "delivered")
    assert len(outbound_house.sink.mails[outbound.to("drop-after-dot")]) == 2


async def test_a_campaign_is_watched_to_its_end(
    run: Run, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_watch, "SECONDS", 0.2)
    deferred = await outbound.submit("defer-always", campaign_id=outbound.marker)
    await outbound.reached(deferred, "deferred")
    watching = asyncio.ensure_future(run("watch", "--campaign", outbound.marker))
    ten = json.loads(campaign(outbound, 10))
    (await outbound.http.post("/queue/messages", json=ten)).raise_for_status()
    asked = {"campaign_id": outbound.marker, "status": "delivered"}

    async def all_but_one() -> bool:
        found = await outbound.http.get("/queue/messages", params=asked)
        return len(found.json()["items"]) == 10

    await eventually(all_but_one)
    assert not watching.done()
    await outbound.tell(deferred, "cancel")
    ended = await asyncio.wait_for(watching, 30)
    assert ended.exit_code == 0
    first, *_, last = ended.stdout.splitlines()
    assert "1 deferred" in first
    assert last.startswith("10 delivered, 1 cancelled; ")
    assert ended.stderr == "Nothing waits.\n"


async def test_a_campaign_that_is_not_there(run: Run) -> None:
    assert (await run("watch", "--campaign", "none")).stderr == "There is no message.\n"
    assert (await run("list", "--campaign", "none")).stderr == "There is no such message.\n"
    assert (await run("show", uuid4())).exit_code == 3


def test_the_screen_shows_statuses_and_queues() -> None:
    hostile = "\x1b[2J<b>"
    depth = QueueDepth(
        queue_name=f"example.com{hostile}",
        waiting=1_200,
        held=3,
        oldest=datetime.now(UTC),
        state=QueueState.SUSPENDED,
        reason=f"they move {hostile}",
        last_error="451 later",
    )
    overview = Overview(
        messages_by_status={S.READY: 1_200, S.DELIVERED: 3_600, S.BOUNCED: 1}, queues=[depth]
    )
    console = Console(width=160, record=True, file=StringIO())
    console.print(queue_watch.page(overview, 42.0))
    shown = console.export_text()
    for words in (
        "4,801 messages, 42 per second",
        "ready",
        "1,200",
        "suspended",
        "they move",
        "451 later",
    ):
        assert words in shown
    assert "\x1b" not in shown


def test_the_bar_is_as_long_as_it_should_be() -> None:
    assert len(bar([(S.READY, 1), (S.DELIVERED, 998), (S.BOUNCED, 1)], 60).plain) == 60
    assert bar([]).plain == ""


def test_the_rate_is_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate.after(0, 0.0) == 0
    assert rate.after(10, 1.0) == 10
    assert rate.after(10, 30.0) == 0
    assert rate.after(50, 32.0) == 20


def test_a_narrow_terminal_shows_what_one_goes_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    for width, last in (("80", "Tries"), ("160", "Last answer")):
        monkeypatch.setenv("COLUMNS", width)
        columns = [column.header for column in queue_messages.table([]).columns]
        assert (columns[:3], columns[-1]) == (["ID", "Status", "To"], last)


def test_what_leaves_this_machine_is_said_without_its_password() -> None:
    route = SecretStr("smtp://me:hush@relay.example.net:587")
    said = _what_leaves(Settings(mailroom_outbound_route=route))
    assert said.startswith("Outbound mail leaves this machine (relay.example.net:587)")
    assert _what_leaves(Settings()).startswith("Nothing leaves this machine")


@pytest.mark.parametrize("name", ["left.xyz", "left.txt"])
async def test_a_file_of_no_format_is_not_written(run: Run, tmp_path: Path, name: str) -> None:
    ended = await run("export", tmp_path / name)
    assert (ended.exit_code, "is no format" in ended.stderr) == (2, True)
    assert not (tmp_path / name).exists()
