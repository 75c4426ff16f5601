"""`mailroom email` against a bridge: lists, one mail, the owner's word."""

import json

import pytest
from fake_bridge import FakeBridge, Run, mail
from rich.console import Console

from mailroom.cli.mails import Mail, mail_table


def test_list_turns_pages_and_stops_at_the_limit(run: Run, bridge: FakeBridge) -> None:
    bridge.mails = [mail(number) for number in range(1, 8)]
    assert len(json.loads(run("email", "list", "-o", "json").stdout)) == 7
    assert len(json.loads(run("email", "list", "--limit", 3, "-o", "json").stdout)) == 3
    assert len(json.loads(run("email", "list", "--all", "-o", "json").stdout)) == 7


def test_list_filters_by_state(run: Run, bridge: FakeBridge) -> None:
    bridge.mails = [mail(1), mail(2, "failed"), mail(3, "reply_sent")]
    words = ("--state", "failed", "--state", "reply_sent", "-o", "json")
    found = json.loads(run("email", "list", *words).stdout)
    assert [item["id"] for item in found] == [2, 3]


def test_list_names_mails_as_the_other_commands_take_them(run: Run, bridge: FakeBridge) -> None:
    bridge.mails = [mail(1, code="K7M4"), mail(2, "reply_sent", code="C2D3")]
    lines = run("email", "list").stdout.splitlines()
    assert lines[1].split()[0] == "K7M4"
    assert lines[2].split()[0] == "mail-2@example.com"


def test_an_empty_list_is_no_failure(run: Run, bridge: FakeBridge) -> None:
    shown = run("email", "list")
    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "", "No mail.\n")
    assert json.loads(run("email", "list", "-o", "json").stdout) == []


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_fits_the_terminal_and_keeps_whole_ids(width: int) -> None:
    message_id = f"<{'x' * 70}@example.com>"
    wide = mail(1, "user_ignored", message_id=message_id, email_subject="A subject " * 20)
    table = mail_table([Mail.model_validate(wide)])
    console = Console(width=width, no_color=True)
    with console.capture() as printed:
        console.print(table)
    lines = printed.get().splitlines()
    assert max(map(len, lines)) <= width
    assert "".join(line.split(" ")[0] for line in lines[1:]) == message_id[1:-1]


def test_show_has_letter_draft_and_timeline(run: Run, bridge: FakeBridge) -> None:
    bridge.mails = [mail(1, code="K7M4")]
    shown = run("email", "show", "mail-1@example.com").stdout
    for part in ("Subject 1", "Can we meet", "Draft 1", "Hi John,", "sms sent", "texts: 2"):
        assert part in shown
    assert "None" not in shown
    found = json.loads(run("email", "show", "<mail-1@example.com>", "-o", "json").stdout)
    assert found["timeline"][0]["type"] == "sms_sent"


def test_a_mail_without_its_text_says_why(run: Run, bridge: FakeBridge) -> None:
    done = {"processed_at": "2026-01-01T00:00:00Z", "bodies_removed_at": "2026-04-01T00:00:09Z"}
    bridge.mails = [mail(1, "reply_sent", email_body_preview=None, ai_reply_text=None, **done)]
    shown = run("email", "show", "mail-1@example.com").stdout
    assert "Removed 90 days after the mail was done with" in shown


def test_retention_shows_what_is_due(run: Run, bridge: FakeBridge) -> None:
    lines = run("email", "retention").stdout.splitlines()
    assert lines[1].split()[-6:] == ["90", "days", "12", "mails", "none", "yet"]
    assert "for ever" in lines[2]
    due = json.loads(run("email", "retention", "-o", "json").stdout)
    assert due["bodies"]["due"] == 12


def test_what_strangers_write_does_not_steer_the_terminal(run: Run, bridge: FakeBridge) -> None:
    hostile = "\x1b[2J\x1b]0;gone\x07[bold]red[/bold] \u202eever\u202c"
    bridge.mails = [mail(1, email_subject=hostile, email_body_preview=hostile, email_from=hostile)]
    for words in (("list",), ("show", "mail-1@example.com")):
        shown = run("email", *words).stdout
        assert "[bold]red[/bold]" in shown
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("approve",), "1"),
        (("edit", "make", "it", "shorter"), "2 make it shorter"),
        (("edit", "say: see you at 2"), "2 say: see you at 2"),
        (("ignore",), "3"),
    ],
)
def test_a_word_reaches_the_mail(
    run: Run, bridge: FakeBridge, command: tuple[str, ...], text: str
) -> None:
    bridge.mails = [mail(1)]
    said = run("email", command[0], "mail-1@example.com", *command[1:])
    assert (said.exit_code, said.stdout) == (0, "The reply is on its way.\n")
    word = {"text": text, "revision": None, "via": "cli"}
    assert bridge.words == [("<mail-1@example.com>", word)]


def test_a_code_stands_for_its_mail_and_revision(run: Run, bridge: FakeBridge) -> None:
    others = [mail(number, code=None) for number in range(2, 6)]
    bridge.mails = [*others, mail(1, code="K7M4", revision=3)]
    assert run("email", "approve", "k7m4").exit_code == 0
    [(message_id, word)] = bridge.words
    assert (message_id, word["revision"]) == ("<mail-1@example.com>", 3)


def test_a_code_of_a_mail_that_failed_is_known_too(run: Run, bridge: FakeBridge) -> None:
    bridge.mails = [mail(1, "failed", code="K7M4")]
    assert run("email", "retry", "K7M4").stdout == "The stage sms is tried again.\n"
    assert bridge.signals == [("retry", "<mail-1@example.com>")]


def test_an_unknown_code_is_not_found(run: Run, bridge: FakeBridge) -> None:
    ended = run("email", "approve", "K7M4")
    assert (ended.exit_code, ended.stderr) == (3, "No draft that waits has the code K7M4.\n")
    assert bridge.words == []


def test_a_given_revision_goes_along(run: Run, bridge: FakeBridge) -> None:
    bridge.mails = [mail(1, code="K7M4", revision=3)]
    run("email", "approve", "K7M4", "--revision", 2)
    assert bridge.words[0][1]["revision"] == 2


def test_a_refused_word_is_exit_code_4_and_its_reason(run: Run, bridge: FakeBridge) -> None:
    bridge.refusal = "This was answered already (send)."
    ended = run("email", "ignore", "mail-1@example.com")
    assert (ended.exit_code, ended.stdout) == (4, "")
    assert ended.stderr == "This was answered already (send).\n"


def test_an_unknown_mail_is_exit_code_3(run: Run, bridge: FakeBridge) -> None:
    ended = run("email", "show", "nobody@example.com")
    assert (ended.exit_code, ended.stderr) == (3, "There is no mail <nobody@example.com>.\n")


def test_a_decision_is_data_for_programs(run: Run, bridge: FakeBridge) -> None:
    outcome = json.loads(run("email", "approve", "mail-1@example.com", "-o", "json").stdout)
    assert outcome["verdict"] == "accepted"


@pytest.mark.parametrize(
    "inside", ["a/b/retry", "pending", "timeout/x", "a%2Fb?c#d", "ü+&=;", ".."]
)
def test_any_message_id_arrives_as_it_is(run: Run, bridge: FakeBridge, inside: str) -> None:
    bridge.mails = [mail(1, message_id=f"<{inside}>")]
    for named in (inside, f"<{inside}>"):
        assert run("email", "show", named).exit_code == 0
        assert run("email", "approve", named).exit_code == 0
        assert run("email", "timeout", named).exit_code == 0
    assert [message_id for message_id, _ in bridge.words] == [f"<{inside}>"] * 2
    assert bridge.signals == [("timeout", f"<{inside}>")] * 2
