"""The types of seed 004 and the rules of a message's life."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mailroom.models.outbound import endings
from mailroom.models.outbound.backoff import retry_pause
from mailroom.models.outbound.bounces import classify
from mailroom.models.outbound.claim import Claim
from mailroom.models.outbound.config import OutboundSection, QueueSection
from mailroom.models.outbound.filters import QueueFilter
from mailroom.models.outbound.item import MessageQueueItem, SmtpResponse
from mailroom.models.outbound.message import (
    DeliverInput,
    Event,
    Order,
    OutboundProgress,
    Word,
)
from mailroom.models.outbound.metrics import DomainHealthScore, QueueMetrics
from mailroom.models.outbound.operations import QueueOperation, QueueOperationResult
from mailroom.models.outbound.orders import changes_nothing, step_of, temporal_priority
from mailroom.models.outbound.transitions import ENDED, TRANSITIONS, may_follow, may_precede
from mailroom.models.outbound.words import (
    BounceType,
    MessageQueueStatus,
    QueueOperationType,
    QueueSortField,
    QueueState,
)

S = MessageQueueStatus
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ID = UUID("550e8400-e29b-41d4-a716-446655440000")

REQUIRED = {
    "id", "message_id", "queue_name", "recipient", "sender", "domain", "status", "size_bytes",
    "created_at",
}  # fmt: skip
DEFAULTS = {
    "queue_state": "active", "priority": 5, "num_attempts": 0, "max_attempts": 20,
    "delivery_protocol": "smtp", "attachment_count": 0,
}  # fmt: skip
OPTIONAL = {
    "routing_domain", "campaign_id", "tenant_id", "pool_name", "last_attempt_at",
    "next_attempt_at", "last_bounce_reason", "bounce_classification", "scheduled_at",
    "delivered_at", "expires_at", "smtp_response", "headers", "body_hash", "tags", "metadata",
}  # fmt: skip


def test_an_item_has_the_31_fields_of_the_seed() -> None:
    fields = MessageQueueItem.model_fields
    assert set(fields) == REQUIRED | set(DEFAULTS) | OPTIONAL
    assert len(fields) == 31
    assert {name for name, field in fields.items() if field.is_required()} == REQUIRED
    assert {name: fields[name].default for name in DEFAULTS} == DEFAULTS
    assert all(fields[name].default is None for name in OPTIONAL)


def test_the_words_are_the_seeds() -> None:
    assert [*S] == [
        "scheduled", "ready", "in_delivery", "suspended", "deferred", "bounced", "delivered",
        "expired", "cancelled",
    ]  # fmt: skip
    assert [*QueueState] == ["active", "suspended", "draining", "disabled"]
    assert [*BounceType] == ["hard", "soft", "block", "complaint", "unknown"]
    assert [*QueueOperationType] == [
        "suspend", "resume", "rebind", "bounce", "retry", "cancel", "purge", "set_priority",
    ]  # fmt: skip
    assert [*QueueSortField] == [
        "created_at", "scheduled_at", "priority", "num_attempts", "size_bytes", "recipient",
        "domain",
    ]  # fmt: skip


def test_the_other_types_have_the_fields_of_the_seed() -> None:
    assert set(SmtpResponse.model_fields) == {"code", "message", "enhanced_code", "timestamp"}
    assert set(DomainHealthScore.model_fields) == {
        "domain", "score", "bounce_rate", "average_delivery_time", "last_successful_delivery",
        "throttle_rate",
    }  # fmt: skip
    assert len(QueueMetrics.model_fields) == 19
    assert set(QueueOperation.model_fields) == {
        "operation", "queue_name", "message_ids", "reason", "metadata",
    }  # fmt: skip
    assert set(QueueOperationResult.model_fields) == {
        "success", "operation", "affected_messages", "affected_queues", "errors", "timestamp",
    }  # fmt: skip
    assert QueueFilter().limit == 50
    assert len(QueueFilter.model_fields) == 26


@pytest.mark.parametrize("priority", [-1, 11])
def test_a_priority_is_0_to_10(priority: int) -> None:
    with pytest.raises(ValidationError):
        QueueFilter(priority=priority)


def test_every_status_is_in_the_table_and_all_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(S)
    reached = {after for each in TRANSITIONS.values() for after in each}
    assert reached == set(S)


@pytest.mark.parametrize("ended", sorted(ENDED))
def test_what_has_ended_changes_by_reports_alone(ended: S) -> None:
    assert TRANSITIONS[ended] <= {S.DELIVERED, S.BOUNCED}


@given(st.sampled_from(S), st.sampled_from(S))
def test_before_and_after_are_one_table(before: S, after: S) -> None:
    assert may_follow(before, after) is (before in may_precede(after))


def test_pauses_double_from_half_an_hour_to_six_hours() -> None:
    first, longest = timedelta(minutes=30), timedelta(hours=6)
    pauses = [retry_pause(ID, n, first, longest) for n in range(1, 21)]
    bare = [min(first * 2**n, longest) for n in range(20)]
    assert all(low <= pause <= low * 1.1 for low, pause in zip(bare, pauses, strict=True))
    assert timedelta(days=4) < sum(pauses[:19], timedelta()) < timedelta(days=5)


@given(st.integers(1, 10_000), st.uuids())
def test_the_same_attempt_has_the_same_pause(attempt: int, id: UUID) -> None:
    first, longest = timedelta(minutes=30), timedelta(hours=6)
    pause = retry_pause(id, attempt, first, longest)
    assert pause == retry_pause(id, attempt, first, longest)
    assert first <= pause <= longest * 1.1


def test_what_was_deferred_together_does_not_come_back_together() -> None:
    first, longest = timedelta(minutes=30), timedelta(hours=6)
    assert len({retry_pause(uuid4(), 1, first, longest) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("priority", "temporal"),
    [(10, 1), (9, 1), (8, 2), (7, 2), (6, 3), (5, 3), (4, 3), (3, 4), (2, 4), (1, 5), (0, 5)],
)
def test_what_is_urgent_is_a_low_number_for_temporal(priority: int, temporal: int) -> None:
    assert temporal_priority(priority) == temporal


def test_a_queues_rate_is_its_weight() -> None:
    terms = OutboundSection(
        throttle_rate=600,
        queues=(
            QueueSection(name="slow.example", throttle_rate=60),
            QueueSection(name="*.fast.example", throttle_rate=6000),
        ),
    )
    assert terms.weight("slow.example") == pytest.approx(0.1)
    assert terms.weight("eu.fast.example") == pytest.approx(10)
    assert terms.weight("other.example") == 1


REQUEST = DeliverInput(id=ID, step=3, attempt=2)


def claim(**more: object) -> Claim:
    known: dict[str, object] = {"status": S.IN_DELIVERY, "created_at": NOW, "num_attempts": 1}
    return Claim.model_validate(known | more)


def deferred(claim: Claim, **more: object) -> endings.Attempted:
    response = SmtpResponse(code=451, message="4.7.1 Try again later", timestamp=NOW)
    return endings.deferred(
        REQUEST,
        claim,
        "The mail server answered 451",
        response,
        classify(response, ""),
        terms=OutboundSection(),
        now=NOW,
        **more,  # type: ignore[arg-type]
    )


def test_a_deferral_says_when_the_next_attempt_is() -> None:
    ended = deferred(claim())
    assert (ended.status, ended.event) == (S.DEFERRED, Event.DEFERRED)
    assert ended.next_attempt_at is not None
    assert timedelta(hours=1) <= ended.next_attempt_at - NOW <= timedelta(hours=1.1)


def test_a_server_that_says_when_to_come_back_is_heard() -> None:
    ended = deferred(claim(), retry_after=timedelta(hours=3))
    assert ended.next_attempt_at == NOW + timedelta(hours=3)


def test_the_last_attempt_is_a_soft_bounce() -> None:
    ended = deferred(claim(max_attempts=2))
    assert (ended.status, ended.bounce_classification) == (S.BOUNCED, BounceType.SOFT)
    assert ended.reason is not None
    assert ended.reason.startswith("Attempts exhausted (2).")
    assert ended.next_attempt_at is None


def test_nothing_is_planned_beyond_the_end() -> None:
    ends = NOW + timedelta(minutes=10)
    assert deferred(claim(expires_at=ends)).next_attempt_at == ends


def test_what_may_have_been_sent_is_suspended_and_says_so() -> None:
    ended = endings.unknown(REQUEST, "The server hung up.")
    assert (ended.status, ended.bounce_classification) == (S.SUSPENDED, BounceType.UNKNOWN)
    assert "may have been sent" in (ended.reason or "")


@pytest.mark.parametrize(
    ("why", "status", "kind"),
    [
        ("hard_bounce", S.BOUNCED, BounceType.HARD),
        ("complaint", S.BOUNCED, BounceType.COMPLAINT),
        ("unsubscribe", S.CANCELLED, None),
        ("manual", S.CANCELLED, None),
    ],
)
def test_who_is_suppressed_gets_nothing(why: str, status: S, kind: BounceType | None) -> None:
    ended = endings.suppressed(REQUEST, claim(), why)
    assert (ended.status, ended.bounce_classification, ended.attempt) == (status, kind, 1)


def told(order: Order, progress: OutboundProgress, **more: object) -> object:
    return step_of(ID, Word.model_validate({"order": order} | more), progress, NOW)


def test_a_resumed_message_goes_back_to_where_it_was() -> None:
    later = NOW + timedelta(hours=1)

    def resumed(**where: object) -> S | None:
        progress = OutboundProgress.model_validate({"status": S.SUSPENDED} | where)
        return step_of(ID, Word(order=Order.RESUME), progress, NOW).status

    assert resumed() is S.READY
    assert resumed(next_attempt_at=later) is S.SCHEDULED
    assert resumed(next_attempt_at=later, num_attempts=1) is S.DEFERRED
    assert resumed(next_attempt_at=NOW, num_attempts=1) is S.READY


def test_what_may_have_been_sent_is_not_resumed_with_others() -> None:
    unknown = OutboundProgress(status=S.SUSPENDED, unknown=True)
    assert changes_nothing(Word(order=Order.RESUME), unknown)
    assert not changes_nothing(Word(order=Order.RETRY), unknown)


@pytest.mark.parametrize("order", [Order.SUSPEND, Order.RETRY, Order.REBIND])
def test_what_a_relay_has_is_not_ours_to_command(order: Order) -> None:
    relayed = OutboundProgress(status=S.IN_DELIVERY, relayed=True)
    assert changes_nothing(Word(order=order), relayed)
    assert not changes_nothing(Word(order=Order.CANCEL), relayed)
