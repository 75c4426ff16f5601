"""What other programs wrote becomes letters, or a sentence."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.models.agent_mail import Delivery, Priority
from mailroom.models.beads import BeadsMessage, beads_id, messages
from mailroom.models.given_letter import GivenLetter, NoLetter
from mailroom.models.spooled_letter import spooled_letter

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
OURS = "0123456789abcdef0123456789abcdef"
LETTER = {"id": "hq-1", "from": "mayor/", "to": "rig/worker", "subject": "Merge", "body": "Please."}

TEXTS = st.text(st.characters()) | st.sampled_from(
    ["mayor/", "@staff", "rig/*", "urgent", "QUEUE", "0001-01-01T00:00:00Z", OURS, "\0", "9" * 300]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "id", "from", "To", "subject", "body", "timestamp", "read", "priority", "type", "delivery",
    "thread_id", "reply_to", "pinned", "cc", "queue", "channel", "ttl_seconds", "wisp", "READ",
]  # fmt: skip
OF_BEADS = [
    "id", "title", "description", "assignee", "status", "priority", "created_at", "labels",
    "sender", "pinned",
]  # fmt: skip


def or_why_not(read: Callable[[datetime], GivenLetter]) -> GivenLetter | str:
    try:
        return read(NOW)
    except NoLetter as error:
        return str(error)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8))
def test_any_message_of_the_spool_is_a_letter_or_a_sentence(message: dict[str, Any]) -> None:
    for whole in (message, LETTER | message):
        letter = or_why_not(partial(spooled_letter, whole))
        if isinstance(letter, GivenLetter):
            assert letter.sent_at <= NOW
            assert spooled_letter(whole, NOW).id == letter.id
            assert len({one for one, _ in letter.copies}) == len(letter.copies)
        else:
            assert letter.endswith(".")


@settings(max_examples=100, deadline=None)
@given(VALUES | st.dictionaries(st.sampled_from(OF_BEADS), VALUES, max_size=8))
def test_any_item_of_beads_is_a_letter_or_a_sentence(item: Any) -> None:
    whole = {"id": "hq-1", "title": "Merge", "assignee": "rig/worker"}
    for each in (item, whole | item if isinstance(item, dict) else item):
        for message in messages([each, each]):
            if isinstance(message, NoLetter):
                assert str(message).endswith(".")
                continue
            assert beads_id(message.source) == message.id
            letter = or_why_not(message.letter)
            assert letter.endswith(".") if isinstance(letter, str) else letter.sent_at <= NOW


def spooled(**more: Any) -> GivenLetter:
    return spooled_letter({**LETTER, **more}, NOW)


def test_every_field_of_gas_town_is_taken() -> None:
    letter = spooled(
        timestamp="2026-01-27T10:00:00-08:00",
        read=False,
        priority="high",
        type="task",
        delivery="interrupt",
        thread_id="thread-1",
        reply_to="hq-0",
        pinned=True,
        wisp=True,
        cc=["Rig/Boss"],
        claimed_by="rig/ann",
        claimed_at="2026-01-27T10:00:00Z",
        delivery_state="acked",
        delivery_acked_by="rig/worker",
    )
    assert (letter.sender, letter.new.to, letter.cc) == ("mayor/", "rig/worker", ("rig/boss",))
    assert (letter.new.subject, letter.new.body) == ("Merge", "Please.")
    assert (letter.new.priority, letter.new.delivery) == (Priority.HIGH, Delivery.INTERRUPT)
    assert letter.sent_at == datetime(2026, 1, 27, 18, tzinfo=UTC)
    assert (letter.new.pinned, letter.new.reply_to) == (True, None)
    assert letter.thread == spooled(id="hq-2", thread_id="thread-1").thread


def test_our_own_letter_keeps_its_id_and_what_it_answers() -> None:
    letter = spooled(id=OURS, reply_to=OURS[::-1], ttl_seconds=60)
    assert (letter.id, letter.new.reply_to, letter.new.ttl_seconds) == (OURS, OURS[::-1], 60)
    assert letter.thread_of_all is None  # that of the letter it answers
    assert letter.sent_at == NOW


def test_what_has_a_thread_by_its_sender_or_by_itself() -> None:
    assert spooled().thread_of_all == spooled().id
    assert spooled(thread_id=OURS).thread_of_all == OURS


@pytest.mark.parametrize(
    "timestamp",
    ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2026-03-01T10:00:01Z", "soon", 5, None],
)
def test_a_time_that_can_not_be_is_that_of_the_queue(timestamp: object) -> None:
    assert spooled(timestamp=timestamp).sent_at == NOW


def test_what_was_read_there_interrupts_nobody() -> None:
    assert spooled(read=True, delivery="interrupt").new.delivery is Delivery.QUEUE


@pytest.mark.parametrize(
    ("word", "priority"),
    [("urgent", Priority.URGENT), ("Low", Priority.LOW), ("p0", Priority.NORMAL), (0, "normal")],
)
def test_a_priority_that_is_no_word_of_ours_is_normal(word: object, priority: str) -> None:
    assert spooled(priority=word).new.priority == priority


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"to": ""}, "It says nobody who it is for (to)."),
        ({"to": None, "channel": "alerts"}, "It is for the readers of the channel alerts."),
        ({"to": "", "queue": "q"}, "It is for whoever claims it from the queue q."),
        ({"to": ["a"]}, "to: Input should be a valid string."),
        ({"from": "a b"}, "from: 'a b' is no address: an address is a path"),
        ({"to": "a b"}, "'a b' is no address: an address is a path"),
        ({"cc": "rig/boss"}, "cc: Input should be a valid tuple."),
        ({"cc": ["a"] * 101}, "cc: Tuple should have at most 100 items"),
        ({"subject": "x" * 501}, "subject: "),
        ({"read": "yes"}, "read: Input should be a valid boolean."),
        ({"ttl_seconds": -1}, "ttl_seconds: Input should be greater than 0."),
    ],
)
def test_what_is_no_letter_says_why(more: dict[str, Any], told: str) -> None:
    with pytest.raises(NoLetter) as wrong:
        spooled(**more)
    assert str(wrong.value).startswith(told)


def test_the_same_letter_from_a_file_and_from_beads_is_one() -> None:
    issue = {"id": "hq-1", "title": "Merge", "description": "Please.", "assignee": "rig/worker"}
    [message] = messages([{**issue, "labels": ["from:mayor/", "read-receipt"], "priority": 1}])
    assert isinstance(message, BeadsMessage)
    assert message.letter(NOW + timedelta(days=1)).id == spooled().id
    assert spooled(body="Please!").id != spooled().id


def test_a_source_that_beads_did_not_give_labels_nothing() -> None:
    assert beads_id("beads:hq-1") == "hq-1"
    for other in (None, "", "hq-1", "beads:", "beads:--help", "beads:a b", "spool:hq-1"):
        assert beads_id(other) is None
