"""Items of an older orchestrator's queues become entries, or a sentence."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom.models.given_letter import NoLetter
from mailroom.models.queued_letters import letter_of
from mailroom.models.spool import Queue, decoded, encoded, is_entry, name_of

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
TIMES = st.one_of(
    st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
    st.sampled_from(
        ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00+23:59", "now"]
    ),
)
TEXTS = st.text(st.characters())  # lone surrogates, too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | TEXTS | TIMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["Message", "message", "Attempts", "LASTATTEMPT", "QueuedAt", "Error", "x"])
ITEMS = VALUES | st.dictionaries(
    NAMES, VALUES | st.dictionaries(st.sampled_from(["id", "Priority"]), VALUES), max_size=6
)


@settings(max_examples=300, deadline=None)
@given(ITEMS, st.sampled_from(Queue))
def test_any_item_is_an_entry_that_can_be_kept_or_a_sentence(item: Any, queue: Queue) -> None:
    try:
        entry = letter_of(item, queue, NOW)
    except NoLetter:
        return
    assert decoded(encoded(entry)) == entry
    assert is_entry(entry.name.file)
    assert name_of(entry.name.file) == entry.name
    assert letter_of(item, queue, NOW).id == entry.id


def test_the_id_follows_from_the_queue_and_all_that_the_letter_says() -> None:
    letter = {"id": "msg-1", "body": "Hi", "n": Decimal("1.50")}
    item = {"Message": letter, "Attempts": 1}
    same = {"Message": dict(reversed(letter.items())), "Attempts": 9, "Error": "x"}
    first = letter_of(item, Queue.INBOUND, NOW)
    assert letter_of(same, Queue.INBOUND, NOW).id == first.id
    others = [
        letter_of(item, Queue.OUTBOUND, NOW).id,
        letter_of(item, Queue.DEAD_LETTER, NOW).id,
        letter_of({"Message": {**letter, "body": "Ho"}}, Queue.INBOUND, NOW).id,
        letter_of({"Message": {**letter, "id": "msg-2"}}, Queue.INBOUND, NOW).id,
    ]
    assert len({first.id, *others}) == 5


@pytest.mark.parametrize(
    ("word", "priority"),
    [("urgent", 1), ("high", 2), ("normal", 3), ("low", 4), ("High", 2), ("p0", 3), (2, 3)],
)
def test_priorities_go_from_words_to_numbers(word: object, priority: int) -> None:
    item = {"Message": {"priority": word}}
    assert letter_of(item, Queue.OUTBOUND, NOW).priority == priority


def test_without_a_time_it_waits_since_now() -> None:
    for item in ({}, {"QueuedAt": None}, {"QueuedAt": "0001-01-01T00:00:00Z"}):
        assert letter_of({"Message": {}, **item}, Queue.OUTBOUND, NOW).queued_at == NOW
