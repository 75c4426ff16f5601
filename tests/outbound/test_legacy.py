"""The old queue's record, its adapter and its mapping (seed 004, sections 3 and 4)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from email_validator import EmailNotValidError
from hypothesis import assume, given
from hypothesis import strategies as st
from legacy_world import APPENDIX_NEW, APPENDIX_OLD, old_record

from mailroom.adapters.settings import Settings
from mailroom.cli.rollout_check import rollout
from mailroom.models.outbound.item import MessageQueueItem
from mailroom.models.outbound.legacy import (
    COMPUTED,
    FIELD_MAPPING,
    METRIC_MAPPING,
    NEW_FIELDS,
    STATUS_MAPPING,
    LegacyStatus,
    QueueItem,
    adapt_message_to_legacy_queue,
    adapt_status,
    legacy_metrics,
)
from mailroom.models.outbound.legacy_check import BadRecord, mailbox, read_record
from mailroom.models.outbound.legacy_migration import Became, Existing
from mailroom.models.outbound.legacy_plan import became_of, read_all
from mailroom.models.outbound.legacy_records import (
    actual_wait_minutes,
    as_text,
    legacy_view,
    message_of,
    record_of,
    uuid_of,
    without_content,
)
from mailroom.models.outbound.metrics import QueueMetrics
from mailroom.models.outbound.rollout import QueueModel, has_new_model, percentage_of
from mailroom.models.outbound.words import BounceType
from mailroom.models.outbound.words import MessageQueueStatus as S

pytestmark = pytest.mark.filterwarnings("ignore:The old queue's model goes:DeprecationWarning")

NOW = datetime(2025, 11, 1, 10, 0, tzinfo=UTC)
SENDER = "news@mailroom.test"


def new_message(**more: Any) -> MessageQueueItem:
    return MessageQueueItem.model_validate(APPENDIX_NEW | more)


def problems_of(value: Any) -> dict[str, str]:
    with pytest.raises(BadRecord) as caught:
        read_record(value)
    return {one.field: one.message for one in caught.value.problems}


# --- The adapter, section 4.2


def test_the_message_of_the_appendix_in_the_old_shape() -> None:
    shown = adapt_message_to_legacy_queue(new_message(), NOW)
    assert shown.model_dump(mode="json", exclude_unset=True) == {
        "id": "550e8400-e29b-41d4-a716-446655440000",
        "customerId": "TENANT-123",
        "customerName": "N/A",
        "customerEmail": "john@example.com",
        "customerPhone": "",
        "serviceType": "campaign-2025-11",
        "priority": 8,
        "status": "waiting",
        "notes": "High-value customer",
        "estimatedWaitTime": 0,
        "createdAt": "2025-11-01T10:00:00Z",
        "updatedAt": "2025-11-01T10:00:00Z",
        "notificationsSent": [],
    }


def test_what_a_message_does_not_say_has_the_adapters_words() -> None:
    bare = new_message(tenant_id=None, campaign_id=None, metadata={"customer_name": "Jane"})
    shown = adapt_message_to_legacy_queue(bare, NOW)
    assert (shown.customerId, shown.serviceType, shown.notes) == ("", "email", "")
    assert shown.customerName == "Jane"


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(900, 15), (901, 16), (1, 1), (0, 0), (-1, 0), (-60, -1), (-90, -1)]
)
def test_minutes_until_the_next_attempt_are_rounded_up(seconds: int, minutes: int) -> None:
    message = new_message(next_attempt_at=NOW + timedelta(seconds=seconds))
    assert adapt_message_to_legacy_queue(message, NOW).estimatedWaitTime == minutes


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (S.READY, "waiting"),
        (S.SCHEDULED, "waiting"),
        (S.IN_DELIVERY, "in-progress"),
        (S.DELIVERED, "completed"),
        (S.CANCELLED, "cancelled"),
        (S.BOUNCED, "cancelled"),
        (S.EXPIRED, "cancelled"),
        (S.SUSPENDED, "waiting"),
        (S.DEFERRED, "waiting"),
    ],
)
def test_every_status_has_an_old_word(new: S, old: str) -> None:
    assert adapt_status(new) == old


def test_using_the_old_model_warns() -> None:
    with pytest.warns(DeprecationWarning, match="use MessageQueueItem"):
        old = QueueItem.model_validate(APPENDIX_OLD)
    with pytest.warns(DeprecationWarning, match="/queue/messages"):
        adapted = adapt_message_to_legacy_queue(new_message(), NOW)
    assert (old.customerId, adapted.customerId) == ("CUST-123", new_message().tenant_id)


# --- The tables of section 3


def test_the_tables_name_fields_that_are_there() -> None:
    assert set(FIELD_MAPPING) == set(QueueItem.model_fields)
    new = {name for names in FIELD_MAPPING.values() for name in names} - {COMPUTED}
    assert {name.partition(".")[0] for name in new} | set(NEW_FIELDS) <= set(
        MessageQueueItem.model_fields
    )
    assert set(STATUS_MAPPING) == set(LegacyStatus)
    assert {name.partition(".")[0] for name in METRIC_MAPPING.values()} <= set(
        QueueMetrics.model_fields
    )


def test_figures_by_their_old_names() -> None:
    metrics = QueueMetrics(
        total_messages=9, messages_by_status={S.READY: 4, S.DELIVERED: 5},
        average_queue_time=12.5, average_delivery_time=3, delivery_rate=60,
        queue_depth=4, queue_depth_by_domain={}, queue_depth_by_campaign={},
        total_retries=0, retry_rate=0, bounce_rate=0, bounces_by_type={BounceType.HARD: 0},
        domain_health_scores={}, messages_last_hour=1, messages_last_24h=7, messages_last_7d=9,
        total_size_bytes=1, oldest_message_age=99.5, newest_message_age=1,
    )  # fmt: skip
    assert legacy_metrics(metrics).model_dump() == {
        "totalWaiting": 4,
        "averageWaitTime": 12.5,
        "longestWaitTime": 99.5,
        "serviceUtilization": 60,
        "customersServedToday": 7,
    }


# --- Old records


def test_the_record_of_the_appendix_as_a_message() -> None:
    message = message_of(read_record(APPENDIX_OLD), SENDER)
    assert message.model_dump(mode="json", exclude_none=True) == {
        "id": "550e8400-e29b-41d4-a716-446655440000",
        "message_id": "<legacy.550e8400-e29b-41d4-a716-446655440000@mailroom.test>",
        "queue_name": "example.com",
        "recipient": "john@example.com",
        "sender": SENDER,
        "domain": "example.com",
        "campaign_id": "technical-support",
        "tenant_id": "CUST-123",
        "status": "ready",
        "queue_state": "active",
        "priority": 8,
        "size_bytes": 0,
        "num_attempts": 0,
        "max_attempts": 20,
        "next_attempt_at": "2025-11-01T10:20:00Z",
        "created_at": "2025-11-01T10:00:00Z",
        "delivery_protocol": "smtp",
        "attachment_count": 0,
        "metadata": {
            "notes": "Needs urgent help",
            "customer_name": "John Doe",
            "legacy": APPENDIX_OLD,
        },
    }


@pytest.mark.parametrize("status", ["waiting", "in-progress"])
def test_without_content_a_message_does_not_pretend_to_wait(status: str) -> None:
    mapped = message_of(read_record(old_record(status=status)), SENDER)
    message = without_content(mapped)
    assert message.status is S.SUSPENDED
    assert message.next_attempt_at is None
    assert message.last_bounce_reason
    assert message.last_bounce_reason.startswith("no content")
    assert message.metadata
    assert message.metadata["mapped"]["status"] == mapped.status  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    ("status", "new"), [("completed", S.DELIVERED), ("cancelled", S.CANCELLED)]
)
def test_what_had_ended_stays_so(status: str, new: S) -> None:
    mapped = message_of(read_record(old_record(status=status)), SENDER)
    assert without_content(mapped) == mapped
    assert mapped.status is new


def test_the_actual_wait_is_computed() -> None:
    waited = message_of(read_record(old_record(status="completed", actualWaitTime=7.5)), SENDER)
    assert waited.delivered_at == NOW + timedelta(minutes=7.5)
    assert actual_wait_minutes(waited) == 7.5
    assert legacy_view(waited, NOW).actualWaitTime == 7.5
    unsaid = message_of(read_record(old_record(status="completed")), SENDER)
    assert actual_wait_minutes(unsaid) == 5
    waiting = message_of(read_record(old_record(actualWaitTime=3)), SENDER)
    assert legacy_view(waiting, NOW).actualWaitTime is None


def test_an_id_that_is_no_uuid_gets_the_same_one_each_time() -> None:
    item = read_record(old_record(id="Q-17"))
    message = message_of(item, SENDER)
    assert message.id == uuid_of("Q-17") != uuid_of("Q-18")
    assert uuid_of("550E8400-E29B-41D4-A716-446655440000") == UUID(APPENDIX_OLD["id"])
    assert legacy_view(message, NOW).id == "Q-17"


@pytest.mark.parametrize(
    "metadata",
    [
        {"legacy": {}, "notes": 5, "customer_name": ["x"]},
        {"legacy": {"id": "another"}},
        {"legacy": {"id": 7}},
        {"legacy": "text"},
    ],
)
def test_metadata_of_strangers_is_no_old_record(metadata: dict[str, Any]) -> None:
    message = new_message(metadata=metadata)
    assert record_of(message) is None
    assert legacy_view(message, NOW).model_copy(update={"id": str(message.id)}) == legacy_view(
        new_message(metadata=None), NOW
    )


def test_an_address_beyond_ascii_goes_to_its_domain_in_ascii() -> None:
    message = message_of(read_record(old_record(customerEmail="ann@Bücher.example")), SENDER)
    assert (message.recipient, message.domain) == (
        "ann@xn--bcher-kva.example", "xn--bcher-kva.example",
    )  # fmt: skip
    assert legacy_view(message, NOW).customerEmail == "ann@xn--bcher-kva.example"
    old = record_of(message)
    assert old
    assert old["customerEmail"] == "ann@Bücher.example"


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80)
_MINUTES = st.one_of(st.integers(-10_000, 10_000), st.floats(-1e4, 1e4, allow_nan=False))
_TIMES = st.datetimes(
    datetime(1971, 1, 1), datetime(2900, 1, 1), timezones=st.sampled_from([UTC])
).map(lambda at: at.isoformat())
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.fixed_dictionaries(
    {
        "id": st.one_of(st.uuids().map(str), _TEXT.filter(bool)),
        "customerId": _TEXT,
        "customerName": _TEXT,
        "customerEmail": st.emails(domains=st.sampled_from(["example.com", "intranet.local"])),
        "customerPhone": _TEXT,
        "serviceType": _TEXT,
        "priority": st.integers(0, 10),
        "status": st.sampled_from([each.value for each in LegacyStatus]),
        "notes": _TEXT,
        "estimatedWaitTime": _MINUTES,
        "createdAt": _TIMES,
        "updatedAt": _TIMES,
        "notificationsSent": st.lists(_JSON, max_size=3),
    },
    optional={"actualWaitTime": st.one_of(st.none(), st.integers(0, 10_000))},
)


def has_odd_address(record: dict[str, Any]) -> bool:
    """Hypothesis knows local parts that email-validator refuses."""
    try:
        mailbox(record["customerEmail"])
    except EmailNotValidError:
        return True
    return False


@given(RECORDS)
def test_records_come_back_as_they_went(record: dict[str, Any]) -> None:
    assume(not has_odd_address(record))
    item = read_record(record)
    message = without_content(message_of(item, SENDER))
    stored = MessageQueueItem.model_validate_json(message.model_dump_json())
    assert record_of(stored) == record
    assert as_text(json.loads(as_text(record))) == as_text(record)
    assert adapt_message_to_legacy_queue(stored, NOW).priority == record["priority"]


@given(_JSON | st.dictionaries(st.sampled_from(sorted(APPENDIX_OLD)), _JSON))
def test_whatever_stands_in_a_file_is_no_crash(value: Any) -> None:
    with pytest.raises(BadRecord):
        read_record(value)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("priority", 11, "less than or equal to 10"),
        ("priority", -1, "greater than or equal to 0"),
        ("priority", True, "valid integer"),
        ("status", "done", "waiting"),
        ("id", "", "1 to 200"),
        ("customerId", "x" * 101, "0 to 100"),
        ("customerEmail", "john", "no e-mail address"),
        ("createdAt", "2025-11-01T10:00:00", "its zone"),
        ("createdAt", "0001-01-01T00:00:00+23:59", "its zone"),
        ("updatedAt", "yesterday", "its zone"),
        ("estimatedWaitTime", float("inf"), "finite"),
        ("estimatedWaitTime", 10**9, "minutes"),
        ("actualWaitTime", -1, "minutes"),
        ("notes", "a\0b", "NUL"),
        ("customerName", "\ud800", "surrogate"),
        ("notificationsSent", [float("nan")], "finite"),
        ("notificationsSent", [{"text": "a\0b"}], "NUL"),
        ("estimatedWaitTime", "15", "valid number"),
        ("loyalty", "gold", "no such field"),
    ],
)
def test_the_report_says_what_is_wrong(field: str, value: Any, said: str) -> None:
    found = problems_of(old_record(**{field: value}))
    assert set(found) == {field}
    assert said in found[field]


def test_a_text_about_nul_is_no_nul() -> None:
    assert read_record(old_record(notes="\\u0000")).notes == "\\u0000"


def test_all_that_is_wrong_is_said_at_once() -> None:
    record = {name: value for name, value in APPENDIX_OLD.items() if name != "notes"}
    found = problems_of(record | {"priority": 99, "status": "?"})
    assert found["notes"] == "it is missing"
    assert set(found) == {"notes", "priority", "status"}
    assert problems_of(["no", "object"]) == {"": "it is no JSON object"}


def test_of_two_records_with_one_id_the_first_counts() -> None:
    first, other = old_record(), old_record()
    good, problems = read_all([first, other, first | {"priority": 1}], 10)
    assert [one.position for one in good] == [10, 11]
    [problem] = problems
    assert (problem.position, problem.field, problem.id) == (12, "id", first["id"])
    assert problem.message == "record 11 of the input has the same"


def test_what_becomes_of_a_record_whose_id_is_known() -> None:
    record = old_record()
    [read], _ = read_all([record], 0)
    [changed], _ = read_all([record | {"priority": 3}], 0)
    message = without_content(message_of(read.item, SENDER))
    untouched, gone_on = (
        Existing(message=message, untouched=True),
        Existing(
            message=message.model_copy(update={"status": S.DELIVERED, "priority": 1}),
            untouched=False,
        ),
    )
    stranger = Existing(message=new_message(), untouched=True)
    assert became_of(read, None) is Became.IMPORTED
    assert became_of(read, untouched) is became_of(read, gone_on) is Became.UNCHANGED
    assert became_of(changed, untouched) is Became.REPLACED
    assert became_of(changed, gone_on) is became_of(read, stranger) is Became.KEPT


# --- The rollout, section 5


@given(st.text(max_size=40), st.floats(0, 100), st.floats(0, 100))
def test_who_has_the_new_model_keeps_it(tenant: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert has_new_model(tenant, more) or not has_new_model(tenant, less)
    assert has_new_model(tenant, 100)
    assert not has_new_model(tenant, 0)


def test_ten_percent_are_about_a_tenth_and_the_same_everywhere() -> None:
    tenants = [f"tenant-{number}" for number in range(10_000)]
    chosen = [tenant for tenant in tenants if has_new_model(tenant, 10)]
    assert 900 < len(chosen) < 1_100
    assert chosen[:3] == ["tenant-2", "tenant-48", "tenant-54"]
    assert has_new_model(None, 0.1)
    assert not has_new_model(None, 0)


@pytest.mark.parametrize(
    ("word", "percentage"),
    [("true", 100), ("False", 0), ("10%", 10), ("0.5%", 0.5), ("1", 100), ("0", 0), ("off", 0)],
)
def test_flags_are_words_or_percentages(word: str, percentage: float) -> None:
    assert percentage_of(word) == percentage


@pytest.mark.parametrize("word", ["10", "101%", "-1%", "nan%", "%", "some"])
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(ValueError, match="a percentage such as 10%"):
        percentage_of(word)


@pytest.mark.parametrize(
    ("known", "level"),
    [
        ({}, []),
        ({"enable_legacy_queue_adapter": True}, ["ok"]),
        ({"enable_email_queue_model": "10%", "enable_legacy_queue_adapter": True}, ["ok"]),
        ({"enable_email_queue_model": "10%"}, ["warning"]),
        ({"enable_email_queue_model": False}, ["warning"]),
    ],
)
def test_doctor_sees_tenants_without_a_way(known: dict[str, Any], level: list[str]) -> None:
    settings = Settings.model_validate(known)
    assert [one.level for one in rollout(settings)] == level


def test_a_refusal_names_both_flags() -> None:
    outside = QueueModel(percentage=0)
    refusal = outside.refusal(str(uuid4()))
    assert refusal
    assert "ENABLE_EMAIL_QUEUE_MODEL is 0%" in refusal
    assert "ENABLE_LEGACY_QUEUE_ADAPTER=true" in refusal
    assert QueueModel().refusal("anybody") is None
