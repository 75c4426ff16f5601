"""What a file of the spool says, and that no change of it goes unseen."""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spool_world import entry

from mailroom.models.arrival import Arrival
from mailroom.models.receipts import Receipt, TextStatus
from mailroom.models.spool import (
    Damaged,
    Entry,
    Kind,
    Queue,
    SpooledLetter,
    SpooledMail,
    SpooledReceipt,
    SpooledText,
    decoded,
    encoded,
    is_entry,
    kind_of,
    name_of,
)

words = st.text(max_size=20)
mails = st.builds(
    SpooledMail,
    raw=st.binary(max_size=300),
    sender=st.none() | words,
    recipients=st.lists(words, max_size=3).map(tuple),
    why_not=st.none() | words,
)
texts = st.builds(
    SpooledText,
    owner=words,
    number=words,
    body=words,
    provider_id=words,
    keyword=st.none() | words,
)
moments = st.datetimes(timezones=st.just(UTC))
receipts = st.builds(
    SpooledReceipt,
    receipt=st.builds(
        Receipt,
        provider_id=words,
        status=st.sampled_from(TextStatus),
        status_at=moments,
        error_code=st.none() | words,
    ),
)
plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words
values = plain | st.lists(plain, max_size=3) | st.dictionaries(words, plain, max_size=3)
letters = st.builds(SpooledLetter, message=st.dictionaries(words, values, max_size=3))
all_entries = st.builds(
    Entry,
    id=st.uuids().map(lambda each: each.hex),
    queue=st.sampled_from(Queue),
    priority=st.integers(1, 9),
    queued_at=moments,
    attempts=st.integers(0, 99),
    last_attempt=st.none() | moments,
    error=st.none() | words,
    message=mails | texts | receipts | letters,
)


@given(all_entries)
def test_what_is_written_is_read(written: Entry) -> None:
    assert decoded(encoded(written)) == written


@given(all_entries)
def test_a_file_is_json_that_anyone_can_read(written: Entry) -> None:
    shown = json.loads(encoded(written))
    assert shown["entry"]["id"] == written.id
    assert shown["entry"]["version"] == 1
    assert shown["entry"]["message"]["kind"] == written.message.kind


@given(all_entries)
def test_a_name_says_what_lists_need(written: Entry) -> None:
    file = written.name.file
    assert name_of(file) == written.name
    assert is_entry(file)
    assert kind_of(file) == written.message.kind


@given(st.lists(all_entries, min_size=2, max_size=8))
def test_names_sort_by_priority_then_age(written: list[Entry]) -> None:
    files = sorted(each.name.file for each in written)
    by_file = {each.name.file: each for each in written}
    for one, next_one in pairwise([by_file[file] for file in files]):
        assert (one.priority, one.queued_at) <= (next_one.priority, next_one.queued_at)


def test_age_is_the_same_in_every_time_zone() -> None:
    early = datetime.fromisoformat("2026-03-29T01:30:00+05:00")
    late = datetime.fromisoformat("2026-03-28T21:00:00+00:00")
    one, other = (entry().model_copy(update={"queued_at": each}) for each in (early, late))
    assert one.name.file < other.name.file


@pytest.mark.parametrize(
    "file",
    [
        "",
        "notes.txt",
        ".nfs0000000000c0ffee",
        "3-20260101T000000.000000Z-mail-" + "0" * 32 + ".json\n",
        "3-20260101T000000.000000Z-mail-" + "0" * 32 + ".json.part",
        "../3-20260101T000000.000000Z-mail-" + "0" * 32 + ".json",
        "3-20260101T000000.000000Z-../../x-" + "0" * 32 + ".json",
        "3-20260101T000000.000000Z-mail-" + "A" * 32 + ".json",
        "0-20260101T000000.000000Z-mail-" + "0" * 32 + ".json",
        "10-20260101T000000.000000Z-mail-" + "0" * 32 + ".json",
        "3-٢0260101T000000.000000Z-mail-" + "0" * 32 + ".json",
        "3-20260101T000000.000000Z-mail-" + "0" * 32 + ".json\udcff",
    ],
)
def test_other_names_are_no_entries(file: str) -> None:
    assert not is_entry(file)
    assert kind_of(file) is None
    assert name_of(file) is None


def test_a_time_that_never_was_is_no_name() -> None:
    assert name_of("3-20261399T996199.000000Z-mail-" + "0" * 32 + ".json") is None


@given(st.text())
def test_no_name_confuses(file: str) -> None:
    assert (name_of(file) is None) or is_entry(file)


def test_every_flipped_bit_is_noticed() -> None:
    data = encoded(entry())
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises(Damaged):
                decoded(bytes(changed))


def test_every_cut_is_noticed() -> None:
    data = encoded(entry())
    for at in range(len(data)):
        for changed in (data[:at], data[at + 1 :], data[:at] + data[at + 1 :]):
            with pytest.raises(Damaged):
                decoded(changed)


@given(st.binary(max_size=200))
def test_what_is_added_is_noticed(more: bytes) -> None:
    data = encoded(entry())
    for changed in (data + more, more + data) if more else (data + data,):
        with pytest.raises(Damaged):
            decoded(changed)


@given(st.binary())
def test_what_others_write_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        decoded(data)


def test_zeros_are_damaged() -> None:
    """What some file systems leave of a file after a power cut."""
    with pytest.raises(Damaged, match="form of an entry"):
        decoded(bytes(len(encoded(entry()))))


def forged(**fields: object) -> bytes:
    """An entry with other fields and the checksum that goes with them."""
    content = json.dumps(json.loads(entry().model_dump_json()) | fields).encode()
    digest = hashlib.sha256(content).hexdigest().encode()
    return b'{"sha256":"' + digest + b'","entry":' + content + b"}\n"


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", 2), ("id", "../../etc/passwd"), ("priority", 0), ("queue", "elsewhere")],
)
def test_a_field_that_cannot_be_is_named(field: str, value: object) -> None:
    """With a right checksum: another version of Mailroom wrote it, or somebody else did."""
    assert decoded(forged()).message == entry().message
    with pytest.raises(Damaged, match=field):
        decoded(forged(**{field: value}))


def test_damage_says_nothing_of_what_is_in_the_mail() -> None:
    with pytest.raises(Damaged) as damaged:
        decoded(forged(message={"kind": "text", "body": "my password is swordfish"}))
    assert "swordfish" not in str(damaged.value)
    assert damaged.value.__cause__ is None


def test_a_mail_keeps_its_envelope() -> None:
    arrival = Arrival(b"\xff\x00\r\n", "", ("a@mailroom.test", "b@mailroom.test"), "a list's mail")
    assert SpooledMail.of(arrival).arrival == arrival


@given(st.text(st.characters()))
def test_halves_of_characters_do_not_hinder(written: str) -> None:
    mail = SpooledMail(raw=b"", sender=written, recipients=(written,))
    text = SpooledText(owner="owner", number="+12025550100", body=written, provider_id="SM1")
    for message in (mail, text):
        kept = Entry(queue=Queue.INBOUND, priority=1, message=message)
        assert decoded(encoded(kept)) == kept
    assert text.body == re.sub("[\ud800-\udfff]", "?", written)


def test_attempts_are_counted_and_forgotten_for_a_replay() -> None:
    first, at = entry(), datetime.now(UTC)
    tried = first.failed("Temporal is away.", at).failed("It still is.", at + timedelta(seconds=1))
    assert (tried.attempts, tried.error) == (2, "It still is.")
    assert tried.name == first.name
    assert tried.again() == first


def test_kinds_need_no_quoting() -> None:
    assert all(kind.isalpha() for kind in Kind)
