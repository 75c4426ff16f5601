"""From what is counted of messages to the metrics of seed 004, section 2.1."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.outbound.metrics import DomainHealthScore, QueueMetrics
from mailroom.models.outbound.transitions import WAITING
from mailroom.models.outbound.words import BounceType
from mailroom.models.outbound.words import MessageQueueStatus as S


class Standing(Frozen):
    """Messages of one status and class of bounce (`''`: of none), added up."""

    status: S
    bounce_class: str
    messages: int
    size_bytes: int
    created: Decimal = Field(description="the moments at which they came, in seconds since 1970")
    tried: int
    retried: int
    retries: int
    timed: int = Field(description="of which is known how long delivery took")
    seconds: Decimal = Field(description="that it took")


class Depths(Frozen):
    """What waits."""

    by_domain: dict[str, int]
    by_campaign: dict[str, int]
    oldest: AwareDatetime | None = None
    newest: AwareDatetime | None = None


class Lately(Frozen):
    """Messages that came in the last hour, day and week; `delivered` in the last hour."""

    hour: int
    day: int
    week: int
    delivered: float


def metrics_of(
    standing: Sequence[Standing],
    depths: Depths,
    lately: Lately,
    scores: Mapping[str, DomainHealthScore],
    now: datetime,
) -> QueueMetrics:
    """Means and rates of nothing are 0."""
    waits = [each for each in standing if each.status in WAITING]
    depth, tried = _messages(waits), sum(each.tried for each in standing)
    bounced = [each for each in standing if each.status is S.BOUNCED]
    delivered = _messages(each for each in standing if each.status is S.DELIVERED)
    came = sum(each.created for each in waits)
    return QueueMetrics(
        total_messages=_messages(standing),
        messages_by_status={s: _messages(e for e in standing if e.status is s) for s in S},
        average_queue_time=max(0.0, now.timestamp() - float(came / depth)) if depth else 0.0,
        average_delivery_time=_share(
            float(sum(each.seconds for each in standing)), sum(each.timed for each in standing)
        ),
        delivery_rate=lately.delivered,
        queue_depth=depth,
        queue_depth_by_domain=depths.by_domain,
        queue_depth_by_campaign=depths.by_campaign,
        total_retries=sum(each.retries for each in standing),
        retry_rate=100 * _share(sum(each.retried for each in standing), tried),
        bounce_rate=100 * _share(_messages(bounced), _messages(bounced) + delivered),
        bounces_by_type={type_: _messages(_of(type_, bounced)) for type_ in BounceType},
        domain_health_scores=dict(scores),
        messages_last_hour=lately.hour,
        messages_last_24h=lately.day,
        messages_last_7d=lately.week,
        total_size_bytes=sum(each.size_bytes for each in waits),
        oldest_message_age=_age(depths.oldest, now),
        newest_message_age=_age(depths.newest, now),
    )


def _messages(standing: Iterable[Standing]) -> int:
    return sum(each.messages for each in standing)


def _of(type_: BounceType, bounced: Iterable[Standing]) -> Iterable[Standing]:
    """What nobody has classified is unknown."""
    return (each for each in bounced if (each.bounce_class or BounceType.UNKNOWN) == type_)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _age(moment: datetime | None, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0
