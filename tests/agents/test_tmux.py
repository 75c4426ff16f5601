"""Lines typed into real tmux sessions: into shells, and into programs that want Enter pressed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tmux_world import TmuxServer, tmux_running
from world import eventually

from mailroom.adapters import tmux as adapter
from mailroom.adapters import tmux_server
from mailroom.adapters.tmux import Tmux
from mailroom.models.agent_mail import Priority
from mailroom.models.nudges import nudge_line
from mailroom.ports import Transient

ID = "1a2b3c4d" * 4
LINE = nudge_line("mayor/", "the bridge is closed", ID, Priority.URGENT)


@pytest.fixture(scope="module")
async def server(tmux_binary: Path) -> AsyncIterator[TmuxServer]:
    async with tmux_running(tmux_binary) as running:
        yield running


@pytest.fixture
def tmux(server: TmuxServer) -> Tmux:
    return Tmux(server.socket)


def submitted(record: Path) -> list[str]:
    return record.read_text().splitlines()


async def test_a_shell_takes_it_for_a_comment(server: TmuxServer, tmux: Tmux, marker: str) -> None:
    await server.shell(marker)
    await tmux.nudge(marker, LINE)
    assert server.screen(marker).split() == ["$", *LINE.split(), "$"]


@pytest.mark.parametrize("width", [20, *(len(f"$ {LINE}") + more for more in range(-1, 3)), 200])
async def test_however_wide_the_shell_is(
    server: TmuxServer, tmux: Tmux, marker: str, width: int
) -> None:
    """Also where the line ends at the edge."""
    await server.shell(marker, width=width)
    await tmux.nudge(marker, LINE)
    assert "".join(server.screen(marker).split()) == f"$ {LINE} $".replace(" ", "")


@pytest.mark.parametrize("options", [[], ["--hide-cursor"]])
@pytest.mark.parametrize("width", [40, 80, 200])
async def test_an_agent_gets_it_whole(
    server: TmuxServer, tmux: Tmux, marker: str, options: list[str], width: int
) -> None:
    record = await server.program(marker, *options, width=width)
    await tmux.nudge(marker, LINE)
    await tmux.nudge(marker, LINE)
    assert submitted(record) == [LINE, LINE]


@pytest.mark.parametrize("cursor", [[], ["--hide-cursor"]])
async def test_enter_is_pressed_again_where_it_did_nothing(
    server: TmuxServer, tmux: Tmux, marker: str, cursor: list[str]
) -> None:
    record = await server.program(marker, "--ignore", "1", *cursor)
    await tmux.nudge(marker, LINE)
    assert submitted(record) == [LINE]


@pytest.mark.parametrize("cursor", [[], ["--hide-cursor"]])
async def test_an_enter_that_broke_the_line_did_not_submit_it(
    server: TmuxServer, tmux: Tmux, marker: str, cursor: list[str]
) -> None:
    record = await server.program(marker, "--break", "1", *cursor)
    await tmux.nudge(marker, LINE)
    assert submitted(record) == [f"{LINE}\\n"]


@pytest.mark.parametrize("cursor", [[], ["--hide-cursor"]])
async def test_typed_and_not_submitted_is_a_failure(
    server: TmuxServer, tmux: Tmux, marker: str, cursor: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "SUBMITTED_SECONDS", 0.2)
    record = await server.program(marker, "--ignore", "-1", *cursor)
    with pytest.raises(Transient, match="not submitted"):
        await tmux.nudge(marker, LINE)
    assert submitted(record) == []
    await gone(server, marker, "1a2b3c4d")


async def gone(server: TmuxServer, name: str, text: str) -> None:
    async def holds() -> bool:
        return text not in server.screen(name)

    await eventually(holds)


async def test_what_is_not_shown_is_not_submitted(
    server: TmuxServer, tmux: Tmux, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as at a question for a password."""
    monkeypatch.setattr(adapter, "DRAWN_SECONDS", 0.2)
    record = await server.program(marker, "--silent")
    with pytest.raises(Transient, match="shows nothing"):
        await tmux.nudge(marker, LINE)
    assert submitted(record) == []


async def test_what_was_half_typed_is_not_submitted_with_it(
    server: TmuxServer, tmux: Tmux, marker: str
) -> None:
    await server.shell(marker)
    server.run("send-keys", "-t", f"={marker}:", "-l", "touch half-typed")
    await server.shows(marker, "half-typed")
    await tmux.nudge(marker, LINE)
    assert not (server.folder / "half-typed").exists()
    assert server.screen(marker).split() == ["$", *LINE.split(), "$"]


async def test_a_pane_in_copy_mode_is_taken_out_of_it(
    server: TmuxServer, tmux: Tmux, marker: str
) -> None:
    await server.shell(marker)
    for mode in ("copy-mode", "clock-mode", "choose-tree"):
        server.run(mode, "-t", f"={marker}:")
    await tmux.nudge(marker, LINE)
    assert server.screen(marker).split() == ["$", *LINE.split(), "$"]


async def test_a_killed_session_is_a_failure(server: TmuxServer, tmux: Tmux, marker: str) -> None:
    await server.shell(marker)
    server.run("kill-session", "-t", f"={marker}")
    assert await tmux.first_alive([marker]) is None
    with pytest.raises(Transient, match="no tmux session"):
        await tmux.nudge(marker, LINE)


async def test_a_program_that_has_ended_is_a_failure(
    server: TmuxServer, tmux: Tmux, marker: str
) -> None:
    await server.shell(marker)
    server.run("set-option", "-w", "-t", f"={marker}:", "remain-on-exit", "on")
    await server.end_program(marker)
    with pytest.raises(Transient, match="has ended"):
        await tmux.nudge(marker, LINE)


async def test_a_session_is_meant_by_its_whole_name(
    server: TmuxServer, tmux: Tmux, marker: str
) -> None:
    longer = await server.program(f"{marker}-deputy")
    assert await tmux.first_alive([marker, f"{marker}*", f"={marker}", "$0", ""]) is None
    with pytest.raises(Transient):
        await tmux.nudge(marker, LINE)
    record = await server.program(marker)
    assert await tmux.first_alive(["nobody", marker, f"{marker}-deputy"]) == marker
    await tmux.nudge(marker, LINE)
    assert (submitted(record), submitted(longer)) == ([LINE], [])


async def test_the_active_pane_gets_it(server: TmuxServer, tmux: Tmux, marker: str) -> None:
    await server.shell(marker)
    server.run("split-window", "-t", f"={marker}:", "cat")
    await tmux.nudge(marker, LINE)
    await server.shows(marker, f"{LINE}\n{LINE}")  # typed, and what `cat` says of it
    assert LINE not in server.run("capture-pane", "-p", "-t", f"={marker}:.0")


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("Enter", "Enter"),
        ("C-c", "C-c"),
        ("-t other", "-t other"),
        ("# a; touch owned;", "# a; touch owned;"),
        ("# ends in \\;", "# ends in \\;"),
        ("# a\ntouch owned", "# a touch owned"),
        ("# a\r\ntouch owned\r", "# a touch owned"),
        ("# a\x1b[201~\x1b\x03\x04\x9b31m touch\x7f owned", "# a touch owned"),
        ("# a\x1b]0;title\x07b", "# ab"),
        ("# a\u2028touch\x85owned", "# a touch owned"),
        ("# #{pane_id} #(touch owned) %1 {mouse}", "# #{pane_id} #(touch owned) %1 {mouse}"),
        ("# größer 日本語 👍 e\u0301", "# größer 日本語 👍 e\u0301"),
        ("# " + "long " * 300, ("# " + "long " * 300)[:1000].strip()),
    ],
)
async def test_nothing_in_a_line_is_a_key(
    server: TmuxServer, tmux: Tmux, marker: str, line: str, typed: str
) -> None:
    record = await server.program(marker)
    await tmux.nudge(marker, line)
    assert submitted(record) == [typed]


@pytest.mark.parametrize(
    "subject",
    [
        "`touch owned`",
        "$(touch owned)",
        "x; touch owned",
        "x\ntouch owned",
        "x' ; touch owned ; '",
        'x" && touch owned "',
        "x | touch owned > owned & touch owned",
        "!touch",
    ],
)
@pytest.mark.parametrize("comments", ["on", "off"])
async def test_no_shell_does_what_a_subject_says(
    server: TmuxServer, tmux: Tmux, marker: str, subject: str, comments: str
) -> None:
    """Also one that, as zsh, has no comments in what is typed."""
    await server.shell(marker)
    if comments == "off":
        server.run("send-keys", "-t", f"={marker}:", "shopt -u interactive_comments", "Enter")
        await server.shows(marker, "comments\n$")
    await tmux.nudge(marker, nudge_line("mayor/", subject, ID, Priority.NORMAL))
    await tmux.nudge(marker, "# done with 77")
    await server.shows(marker, "77")
    assert not (server.folder / "owned").exists()


async def test_ten_at_once_arrive_whole_and_once(
    server: TmuxServer, tmux: Tmux, marker: str
) -> None:
    """From two workers, which know nothing of each other."""
    record = await server.program(marker)
    other = Tmux(server.socket)
    lines = [nudge_line("mayor/", f"number {n}", ID, Priority.HIGH) for n in range(10)]
    await asyncio.gather(
        *((tmux, other)[n % 2].nudge(marker, line) for n, line in enumerate(lines))
    )
    assert sorted(submitted(record)) == lines


async def test_a_tmux_that_hangs_is_not_waited_for(
    server: TmuxServer, tmux: Tmux, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tmux_server, "CALL_SECONDS", 0.05)
    record = await server.program(marker)
    server.stop()
    for _ in range(tmux_server.MOST_AT_ONCE + 2):
        with pytest.raises(Transient, match="does not answer"):
            await tmux.first_alive([marker])
    server.go_on()
    monkeypatch.undo()

    async def answers() -> bool:
        try:
            return await tmux.first_alive([marker]) == marker
        except Transient:
            return False

    await eventually(answers)
    await tmux.nudge(marker, LINE)
    assert submitted(record) == [LINE]


async def test_without_tmux_nobody_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await Tmux(str(tmp_path / "none")).first_alive(["mayor"]) is None
    assert await Tmux("mailroom-test-no-such-name").first_alive(["mayor"]) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await Tmux().first_alive(["mayor"]) is None
    with pytest.raises(Transient, match="no tmux session"):
        await Tmux().nudge("mayor", LINE)


async def test_a_line_that_could_not_be_seen_is_not_typed(tmux: Tmux) -> None:
    for line in ("", "\n", "\x1b[31m", "# !?"):
        with pytest.raises(Transient, match="letter or a digit"):
            await tmux.nudge("anybody", line)
