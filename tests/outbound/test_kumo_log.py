"""What records of KumoMTA's log say of our messages."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kumo_world import Injection, feedback, out_of_band, record

from mailroom.models.outbound.kumomta import LogRecord
from mailroom.models.outbound.kumomta_batch import BadRecord, NoRecords, read_log
from mailroom.models.outbound.kumomta_reports import CLASSES, report_of
from mailroom.models.outbound.report import Report, ReportKind, ReportSource
from mailroom.models.outbound.verp import message_of, verp_address
from mailroom.models.outbound.words import BounceType

ID = UUID("3f0e6d0c-9a52-4a35-8a5e-0a4a53a1f0c5")
SECRET, DOMAIN = "verp", "bounces.mailroom.test"
INJECTED = Injection.model_validate(
    {
        "envelope_sender": verp_address(ID, DOMAIN, SECRET),
        "recipients": [{"email": "ann@example.com", "metadata": {"mailroom_id": str(ID)}}],
        "content": "Message-ID: <1@mailroom.test>\r\nSubject: Hi\r\n\r\nHi\r\n",
    }
)


def by_verp(address: str) -> UUID | None:
    return message_of(address, DOMAIN, SECRET)


def report(written: dict[str, Any]) -> Report | None:
    return report_of(LogRecord.model_validate(written), by_verp)


def known(written: dict[str, Any]) -> Report:
    found = report(written)
    assert found is not None
    return found


def test_a_delivery() -> None:
    found = known(record("Delivery", INJECTED, num_attempts=3))
    assert (found.kind, found.source) == (ReportKind.DELIVERED, ReportSource.KUMOMTA)
    assert (found.id, found.message_id) == (ID, "<1@mailroom.test>")
    assert (found.recipient, found.num_attempts) == ("ann@example.com", 3)
    assert found.response is not None
    assert (found.response.code, found.response.enhanced_code) == (250, "2.1.1")
    assert found.bounce_type is None


def test_a_failure_that_passes() -> None:
    written = record("TransientFailure", INJECTED, 451, "greylisted", num_attempts=2)
    found = known(written)
    assert (found.kind, found.num_attempts) == (ReportKind.DEFERRED, 2)
    assert found.response is not None
    assert (found.response.code, found.response.message) == (451, "greylisted")
    assert found.bounce_type is BounceType.SOFT
    hard = known(written | {"bounce_classification": "InvalidRecipient"})
    assert hard.bounce_type is BounceType.SOFT


@pytest.mark.parametrize(
    ("given", "type", "suppresses"),
    [
        ("InvalidRecipient", BounceType.HARD, True),
        ("InactiveMailbox", BounceType.HARD, True),
        ("QuotaIssues", BounceType.SOFT, False),
        ("SpamBlock", BounceType.BLOCK, False),
        # The response decides.
        ("Uncategorized", BounceType.HARD, None),
        ("A class of the operator's own", BounceType.HARD, None),
        (None, BounceType.HARD, None),
    ],
)
def test_a_bounce_has_the_class_that_kumomta_gave_it(
    given: str | None, type: BounceType, suppresses: bool | None
) -> None:
    written = record("Bounce", INJECTED, 550, "no such user", bounce_classification=given)
    found = known(written)
    assert (found.kind, found.bounce_type) == (ReportKind.BOUNCED, type)
    assert found.suppresses is suppresses
    assert found.reason is not None
    assert "no such user" in found.reason


def test_classes_are_those_that_kumomta_has() -> None:
    """crates/bounce-classify: every predefined class is mapped, or left to the response."""
    left = "AutoReply Subscribe Unsubscribe ChallengeResponse ProtocolErrors Uncategorized"
    assert not set(CLASSES) & set(left.split())
    assert len(CLASSES) + len(left.split()) == 29


def test_an_operators_bounce_says_nothing_of_the_recipient() -> None:
    said = "Administrator bounced with reason: user unknown, bad domain"
    found = known(record("AdminBounce", INJECTED, 551, said))
    assert (found.kind, found.bounce_type) == (ReportKind.BOUNCED, BounceType.UNKNOWN)
    assert (found.suppresses, found.response) == (False, None)
    assert found.reason == f"An operator of KumoMTA bounced it: {said}"


def test_what_waited_too_long() -> None:
    found = known(record("Expiration", INJECTED, 551, "exceeds max_age=5days", num_attempts=12))
    assert (found.kind, found.bounce_type) == (ReportKind.EXPIRED, BounceType.SOFT)
    assert found.num_attempts == 12


def test_a_bounce_that_came_as_mail_is_known_by_its_address() -> None:
    found = known(out_of_band(INJECTED))
    assert (found.kind, found.id, found.message_id) == (ReportKind.BOUNCED, ID, None)
    assert found.recipient == "ann@example.com"
    assert found.num_attempts is None


def test_a_forged_bounce_is_nobodys() -> None:
    forged = out_of_band(INJECTED) | {"sender": f"b-{ID.hex}-aaaaaaaaaa@{DOMAIN}"}
    assert report(forged) is None
    # What the bounce itself has in its headers is a stranger's word.
    assert report(forged | {"headers": {"Message-ID": "<1@mailroom.test>"}}) is None


def test_a_complaint() -> None:
    found = known(feedback(INJECTED))
    assert (found.kind, found.bounce_type) == (ReportKind.COMPLAINT, BounceType.COMPLAINT)
    assert (found.id, found.message_id) == (ID, "<1@mailroom.test>")
    assert found.recipient == "ann@example.com"
    assert found.reason == "abuse, reported by SomeGenerator/1.0"


def test_a_complaint_whose_sender_was_changed_is_known_by_its_message_id() -> None:
    written = feedback(INJECTED)
    changed = written["feedback_report"] | {"original_mail_from": "<srs@forwarder.example>"}
    found = known(written | {"feedback_report": changed})
    assert (found.id, found.message_id) == (None, "<1@mailroom.test>")


def test_an_original_that_is_no_utf_8_comes_as_numbers() -> None:
    written = feedback(INJECTED)
    original = list(b"Subject: Gr\xfc\xdfe\r\nMessage-ID: <2@mailroom.test>\r\n\r\nHi \xfc")
    changed = written["feedback_report"] | {"original_message": original}
    assert known(written | {"feedback_report": changed}).message_id == "<2@mailroom.test>"


@pytest.mark.parametrize("kind", ["not-spam", "Not-Spam", "auth-failure"])
def test_feedback_that_is_no_complaint(kind: str) -> None:
    assert report(feedback(INJECTED, kind)) is None


@pytest.mark.parametrize(
    "kind", ["Reception", "Rejection", "AdminRebind", "Delayed", "XferOut", "XferIn", "Newer"]
)
def test_records_that_move_nothing(kind: str) -> None:
    assert report(record(kind, INJECTED)) is None


def test_the_log_of_the_log_hook_is_none_of_ours() -> None:
    assert report(record("Bounce", INJECTED, 550, reception_protocol="LogRecord")) is None


def test_without_metadata_the_message_id_tells() -> None:
    older = record("Delivery", INJECTED, meta={}, headers={"message-id": ["<1@mailroom.test>"]})
    assert (known(older).id, known(older).message_id) == (None, "<1@mailroom.test>")
    assert report(older | {"headers": {}}) is None
    moved = record("Delivery", INJECTED, meta={"mailroom_id": str(ID)}, headers={})
    assert known(moved).id == ID
    assert (
        report(record("Delivery", INJECTED, meta={"extra": {"mailroom_id": "x"}}, headers={}))
        is None
    )


def test_a_record_is_the_same_however_often_and_in_whatever_form_it_comes() -> None:
    once = record("Delivery", INJECTED)
    again = once | {"recipient": [once["recipient"]], "size": 0, "meta": {}}
    assert LogRecord.model_validate(once).key == LogRecord.model_validate(again).key
    others = [
        once | changed
        for changed in (
            {"nodeid": str(uuid4())},
            {"id": uuid4().hex},
            {"type": "Bounce"},
            {"event_time": "2026-11-21T10:00:00.000001Z"},
            {"recipient": "bob@example.com"},
        )
    ]
    assert len({LogRecord.model_validate(one).key for one in (once, *others)}) == 6


def test_servers_before_2025_10_say_seconds_only() -> None:
    older = record("Delivery", INJECTED, timestamp=1_757_675_281)
    del older["event_time"], older["created_time"]
    assert known(older).at == datetime.fromtimestamp(1_757_675_281, UTC)


# --- What is posted


def read(body: bytes) -> list[LogRecord | BadRecord]:
    return list(read_log(body))


def test_one_record_an_array_or_lines() -> None:
    one, two = record("Delivery", INJECTED), record("Bounce", INJECTED, 550)
    alone = read(json.dumps(one, indent=2).encode())
    array = read(json.dumps([one, two]).encode())
    lines = read(f"{json.dumps(one)}\r\n\r\n{json.dumps(two)}\n".encode())
    assert [r.type for r in alone if isinstance(r, LogRecord)] == ["Delivery"]
    assert array == lines
    assert [r.type for r in array if isinstance(r, LogRecord)] == ["Delivery", "Bounce"]
    assert read(b"[]") == []


def test_bad_ones_stand_in_nobodys_way() -> None:
    good = json.dumps(record("Delivery", INJECTED))
    bad = json.dumps(record("Delivery", INJECTED, response={"code": "many"}))
    found = read(f"{good}\n{good[:50]}\n{bad}\n5\n{good}".encode())
    assert [isinstance(one, LogRecord) for one in found] == [True, False, False, False, True]
    errors = [one for one in found if isinstance(one, BadRecord)]
    assert [one.index for one in errors] == [1, 2, 3]
    assert errors[0].error == "It is no JSON."
    assert errors[1].error.startswith("response.code: ")


@pytest.mark.parametrize("body", [b"", b" ", b"hello", b"\xff\xfe", b"[" * 100_000, b'{"type":'])
def test_what_is_none_of_it(body: bytes) -> None:
    with pytest.raises(NoRecords):
        read(body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    changed=st.dictionaries(st.sampled_from(sorted(record("Bounce", INJECTED))), _JSON, max_size=4)
)
def test_no_record_is_too_strange(changed: dict[str, Any]) -> None:
    """It is rejected, or a report that can be stored, or none."""
    for one in read(json.dumps([record("Bounce", INJECTED, 550) | changed]).encode()):
        found = report_of(one, by_verp) if isinstance(one, LogRecord) else None
        if found is not None:
            stored = found.model_dump_json()
            assert "\\u0000" not in stored


@given(
    feedback_report=st.dictionaries(
        st.sampled_from(sorted(feedback(INJECTED)["feedback_report"])), _JSON
    )
)
def test_no_feedback_is_too_strange(feedback_report: dict[str, Any]) -> None:
    for one in read(json.dumps(feedback(INJECTED) | {"feedback_report": feedback_report}).encode()):
        if isinstance(one, LogRecord):
            found = report_of(one, by_verp)
            assert found is None or "\\u0000" not in found.model_dump_json()
