"""`mailroom queue suppressions`, against a bridge."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from house import TOKEN
from typer.testing import CliRunner, Result

from mailroom.cli import suppressing_files
from mailroom.cli.main import app

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(bridge: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command runs beside the bridge, which has this thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAILROOM_URL", str(bridge.base_url))
    monkeypatch.setenv("MAILROOM_TOKEN", TOKEN)

    async def invoke(*words: object, input: str | None = None) -> Result:
        given = ["queue", "suppressions", *map(str, words)]
        return await asyncio.to_thread(CliRunner().invoke, app, given, input=input)

    return invoke


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_add_list_and_remove(run: Run, marker: str) -> None:
    ann, bob = f"{marker}a@example.com", f"{marker}b@example.com"
    assert (await run("add", ann.upper(), bob, "--reason", "complaint")).stdout == (
        "2 added, 0 known\n"
    )
    shown = await run("list", marker)
    assert [line.split()[:2] for line in shown.stdout.splitlines()] == [
        ["Address", "Reason"],
        [ann, "complaint"],
        [bob, "complaint"],
    ]
    [first] = json.loads((await run("list", marker, "-n", 1, "-o", "json")).stdout)
    assert first["address"] == ann
    gone = await run("remove", ann, f"{marker}c@example.com")
    assert gone.exit_code == 3
    assert gone.stdout == "1 removed\n"
    assert gone.stderr == f"Not on the list: {marker}c@example.com.\n"
    assert (await run("list", ann)).stderr == "The list has none.\n"


async def test_what_is_no_address_is_said(run: Run) -> None:
    ended = await run("add", "nobody")
    assert ended.exit_code == 1
    assert "this is no address such as ann@example.com" in ended.stderr


async def test_a_file_is_imported_in_parts(
    run: Run, marker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppressing_files, "LINES", 3)
    addresses = [f"{marker}{n}@example.com" for n in range(7)]
    lines = ["reason,address", *(f"unsubscribe,{one}" for one in addresses), "manual,nobody", ""]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    ended = await run("import", "list.csv", "--tenant", marker, "--source", "the old shop")
    assert ended.exit_code == 1, ended.stderr
    assert ended.stdout == "7 added, 0 known, 1 refused\n"
    assert ended.stderr == "Line 9: address: this is no address such as ann@example.com\n"
    again = await run("import", "-", "--tenant", marker, "-o", "json", input="\n".join(lines[:-2]))
    assert json.loads(again.stdout) == {"added": 0, "known": 7, "refused": 0, "errors": []}
    assert again.exit_code == 0
    items = json.loads((await run("list", "--tenant", marker, "-o", "json")).stdout)
    assert {(one["address"], one["reason"], one["source"]) for one in items} == {
        (one, "unsubscribe", "the old shop") for one in addresses
    }


async def test_an_atomic_import_sends_nothing_where_a_line_is_wrong(
    run: Run, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppressing_files, "LINES", 1)
    text = f"{marker}@example.com\nnobody\n"
    ended = await run("import", "-", "--atomic", input=text)
    assert ended.exit_code == 1
    assert ended.stderr.splitlines() == [
        "Line 2: address: this is no address such as ann@example.com",
        "Nothing was imported: 1 lines can't be used.",
    ]
    assert (await run("list", marker)).stderr == "The list has none.\n"


async def test_an_export_is_whole_or_not_there(run: Run, marker: str, tmp_path: Path) -> None:
    await run("add", f"={marker}@example.com", "--tenant", marker)
    assert (await run("export", "out.csv", "--tenant", marker)).exit_code == 0
    text = (tmp_path / "out.csv").read_bytes().decode()
    assert text.startswith("address,reason,tenant_id,source,created_at\r\n'=")
    assert (await run("export", "--tenant", marker)).stdout_bytes.decode() == text
    again = await run("export", "out.csv", "--tenant", marker)
    assert (again.exit_code, again.stderr) == (
        4,
        "out.csv is there already; take another name, or --force.\n",
    )
    assert (await run("export", "out.csv", "--tenant", marker, "--force")).exit_code == 0
    await run("remove", f"={marker}@example.com", "--tenant", marker)
    assert (await run("import", "out.csv")).stdout == "1 added, 0 known, 0 refused\n"


async def test_an_export_that_breaks_off_leaves_no_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_TOKEN", "another")
    ended = await run("export", "out.csv")
    assert (ended.exit_code, ended.stderr) == (1, "This token is not the one of this Mailroom.\n")
    assert files_in(tmp_path) == []
