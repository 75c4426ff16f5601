"""What `mailroom queue submit` reads out of files, and in which portions it goes."""

import base64
import json
from email.message import EmailMessage
from pathlib import Path

import pytest

from mailroom.cli.errors import Failure
from mailroom.cli.queue_batches import Batch, batches
from mailroom.cli.queue_check import problem_of
from mailroom.cli.queue_given import Given, check_files, given_in
from mailroom.cli.queue_rows import template_of
from mailroom.cli.queue_submit import key_of
from mailroom.models.outbound.mail_template import BadTemplate, MailTemplate, read_template

LIMIT = 100_000
HELLO = """Subject: Hello {{name}}
From: News <news@example.org>

Dear {{ name }},
your code: {{code}}
"""


def given(file: Path, template: MailTemplate | None = None) -> list[Given]:
    return list(given_in([file], template, None, LIMIT))


def written(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_a_template_is_filled_by_each_row(tmp_path: Path) -> None:
    template = template_of(written(tmp_path, "hello.txt", HELLO))
    people = written(
        tmp_path,
        "people.csv",
        "\ufeffrecipient,name,code,priority\r\n"
        'ann@example.com,"Ann, ""the"" first",{{name}},9\r\n'
        '"bob@example.com","Bob\r\nBcc: x@example.com",7,\r\n'
        "carl@example.com,Carl\r\n"
        "dora@example.com,Dora,8,\r\n",
    )
    check_files([people], template)
    ann, bob, carl, dora = given(people, template)
    assert ann.item == {
        "recipient": "ann@example.com",
        "priority": "9",
        "headers": {"Subject": 'Hello Ann, "the" first', "From": "News <news@example.org>"},
        "text": 'Dear Ann, "the" first,\nyour code: {{name}}\n',
    }
    assert bob.item is not None
    assert "headers: Subject has a line end" in str(
        problem_of({"sender": "news@example.org", **bob.item})
    )
    assert [one.source.rpartition("/")[2] for one in (ann, bob, carl, dora)] == [
        "people.csv, line 2",
        "people.csv, line 3",
        "people.csv, line 5",
        "people.csv, line 6",
    ]
    assert carl.problem == "It has not as many cells as the first line."
    assert dora.item is not None
    assert "priority" not in dora.item


def test_what_a_row_says_is_no_markup() -> None:
    template = read_template(
        json.dumps({"headers": {"Subject": "{{n}}"}, "html": "<p title='{{n}}'>{{ n }}</p>"}),
        is_json=True,
    )
    filled = template.filled({"n": "<b>'x' & \"y\"</b>"})
    name = "&lt;b&gt;&#x27;x&#x27; &amp; &quot;y&quot;&lt;/b&gt;"
    assert filled["html"] == f"<p title='{name}'>{name}</p>"
    assert filled["headers"] == {"Subject": "<b>'x' & \"y\"</b>"}


def test_a_template_of_html_says_so() -> None:
    written = "Subject: Hi\nContent-Type: text/html; charset=utf-8\n\n<p>{{name}}</p>\n"
    template = read_template(written, is_json=False)
    assert (template.text, template.html) == (None, "<p>{{name}}</p>\n")
    assert template.headers == {"Subject": "Hi"}


@pytest.mark.parametrize("broken", ["Dear {{name}},\n\nhello\n", "", "{}"])
def test_what_is_no_template_is_refused(broken: str) -> None:
    with pytest.raises(BadTemplate):
        read_template(broken, is_json=broken == "{}")


@pytest.mark.parametrize(
    ("columns", "with_template", "said"),
    [
        ("recipient,name", True, "The template asks for `code`"),
        ("address,name,code", True, "names no column `recipient`"),
        ("recipient,recipient", True, "Two columns have the same name"),
        ("recipient,subject,text,nickname", False, "Without --template no message has `nickname`"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_before_anything_is_sent(
    tmp_path: Path, columns: str, with_template: bool, said: str
) -> None:
    template = read_template(HELLO, is_json=False) if with_template else None
    with pytest.raises(Failure, match=said):
        check_files([written(tmp_path, "people.csv", f"{columns}\n")], template)


def test_a_table_needs_no_template(tmp_path: Path) -> None:
    rows = "recipient,subject,text,scheduled_at\na@example.com,Hi,Hello,2030-01-01T00:00:00Z\n"
    [one] = given(written(tmp_path, "people.csv", rows))
    assert one.item == {
        "recipient": "a@example.com",
        "scheduled_at": "2030-01-01T00:00:00Z",
        "headers": {"Subject": "Hi"},
        "text": "Hello",
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("one.json", '{"text": "x", "items": null}'),
        ("list.json", '[{"text": "x", "items": null}]'),
        ("items.json", '{"items": [{"text": "x", "items": null}]}'),
        ("lines.jsonl", '\n{"text": "x", "items": null}\n'),
    ],
)
def test_json_is_one_message_or_many(tmp_path: Path, name: str, content: str) -> None:
    [one] = given(written(tmp_path, name, content))
    assert one.item == {"text": "x", "items": None}


@pytest.mark.parametrize("broken", ["[1", '{"items": [{}, ', "x", "", "[{}] []"])
def test_broken_json_is_said(tmp_path: Path, broken: str) -> None:
    with pytest.raises(Failure, match="no valid JSON"):
        given(written(tmp_path, "broken.json", broken))


def test_a_line_or_item_that_is_no_message_does_not_keep_the_others(tmp_path: Path) -> None:
    lines = given(written(tmp_path, "lines.jsonl", '{"text": "x"}\n{\n7\n{"text": "y"}\n'))
    assert [one.problem for one in lines] == [
        None,
        "It is no JSON.",
        "It is no message: an object is one.",
        None,
    ]
    items = given(written(tmp_path, "items.json", '[{"text": "x"}, "y"]'))
    assert [one.source.rpartition("/")[2] for one in items] == [
        "items.json, item 1",
        "items.json, item 2",
    ]
    assert items[1].item is None


def mail(**headers: str) -> bytes:
    message = EmailMessage()
    for name, value in headers.items():
        message[name] = value
    message.set_content("Hello")
    return bytes(message)


def test_a_mail_goes_to_each_whom_it_names(tmp_path: Path) -> None:
    raw = mail(From="Ann <ann@example.org>", To="b@example.com, c@example.com", Bcc="d@example.com")
    found = given(written(tmp_path, "one.eml", raw))
    assert [one.item and one.item["recipient"] for one in found] == [
        "b@example.com",
        "c@example.com",
        "d@example.com",
    ]
    assert {str(one.item and one.item["sender"]) for one in found} == {"ann@example.org"}
    assert found[0].item is not None
    assert base64.b64decode(found[0].item["raw"]) == raw
    assert sum(one.span for one in found) == len(raw)


def test_a_mail_without_recipient_or_sender_is_refused(tmp_path: Path) -> None:
    parts = [
        mail(From="a@example.org"),
        mail(To="b@example.com"),
        mail(From="a@b.org", To="c@d.org"),
    ]
    box = b"".join(b"From x Thu Jan  1 00:00:00 2026\n" + part + b"\n" for part in parts)
    found = given(written(tmp_path, "box.mbox", box))
    assert [one.problem for one in found] == [
        "It has no recipient: name one in To, Cc or Bcc.",
        "It has no sender: give --sender.",
        None,
    ]


def test_batches_keep_places_and_bounds() -> None:
    item = {"text": "x" * 90}
    stream = [Given(str(n), item if n not in (4, 5) else None, 1, "bad") for n in range(12)]
    found = list(batches(iter(stream), items=3, size=250))
    assert [
        (one.first, len(one.given)) if isinstance(one, Batch) else one.source for one in found
    ] == [(0, 2), (2, 2), "4", "5", (6, 2), (8, 2), (10, 2)]
    assert isinstance(found[0], Batch)
    assert json.loads(found[0].body) == {"items": [item, item]}
    by_count = [one for one in batches(iter(stream[6:]), items=3) if isinstance(one, Batch)]
    assert [len(one.given) for one in by_count] == [3, 3]


def test_a_message_above_the_bounds_goes_alone() -> None:
    stream = [Given(str(n), {"text": "x" * n}) for n in (1, 1000, 1)]
    found = [one for one in batches(iter(stream), size=100) if isinstance(one, Batch)]
    assert [(one.first, len(one.given)) for one in found] == [(0, 1), (1, 1), (2, 1)]


def test_the_key_follows_from_content_and_options_alone(tmp_path: Path) -> None:
    file, same = written(tmp_path, "a.json", "[1]"), written(tmp_path, "b.json", "[1]")
    other = written(tmp_path, "c.json", "[2]")
    assert key_of([file], {"sender": "a"}) == key_of([same], {"sender": "a"})
    keys = {key_of(files, typed) for files in ([file], [other]) for typed in ({}, {"sender": "a"})}
    assert len(keys) == 4
