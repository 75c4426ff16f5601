"""Messages that come, change and go by themselves, and what a look at each of them says."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from mailroom.adapters.postgres.engine import Engines
from mailroom.adapters.postgres.queue_counts import PostgresQueueCounts
from mailroom.models.outbound.queue_figures import QueueScope
from mailroom.models.outbound.transitions import WAITING
from mailroom.models.outbound.words import BounceType
from mailroom.models.outbound.words import MessageQueueStatus as S

QUEUES, DOMAINS = ("q0", "q1"), ("d0.test", "d1.test", "d2.test")
CAMPAIGNS, TENANTS = (None, "autumn", "winter"), (None, "acme")
SCOPES = [
    QueueScope(),
    QueueScope(queue_name="q0"),
    QueueScope(domain="d1.test"),
    QueueScope(campaign_id="autumn"),
    QueueScope(tenant_id="acme"),
    QueueScope(domain="d0.test", campaign_id="winter"),
    QueueScope(domain="nowhere.test"),
]

_INSERT = text("""
    INSERT INTO message_queue
        (id, message_id, recipient, sender, queue_name, domain, campaign_id, tenant_id, status,
         size_bytes, num_attempts, bounce_classification, created_at, delivered_at)
    SELECT gen_random_uuid(), 'm', 'a@b.test', 'us@ours.test', queue_name, domain, campaign_id,
           tenant_id, status, size_bytes, num_attempts, bounce_classification,
           now() - age * interval '1 second', now() - delivered_ago * interval '1 second'
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given (
        queue_name text, domain text, campaign_id text, tenant_id text, status text,
        size_bytes bigint, num_attempts integer, bounce_classification text,
        age double precision, delivered_ago double precision)
""")
# Some, by a number that is each row's own and the same as long as it is there.
_SOME = "mod(abs(hashtext(id::text)), :of) = 0"
_CHANGES = (
    f"UPDATE message_queue SET status = 'in_delivery' WHERE status = 'ready' AND {_SOME}",
    f"""UPDATE message_queue SET status = 'deferred', num_attempts = num_attempts + 1
        WHERE status IN ('in_delivery', 'deferred') AND {_SOME}""",
    f"""UPDATE message_queue SET status = 'delivered', num_attempts = num_attempts + 1,
        delivered_at = now() WHERE status IN ('in_delivery', 'deferred') AND {_SOME}""",
    f"""UPDATE message_queue SET status = 'bounced', delivered_at = NULL,
        bounce_classification = CASE WHEN size_bytes % 2 = 0 THEN 'hard' END WHERE {_SOME}""",
    f"UPDATE message_queue SET queue_name = 'q1', campaign_id = 'winter' WHERE {_SOME}",
    f"UPDATE message_queue SET created_at = created_at - interval '50 minutes' WHERE {_SOME}",
    f"UPDATE message_queue SET delivered_at = now() WHERE status = 'delivered' AND {_SOME}",
    f"UPDATE message_queue SET size_bytes = size_bytes + 7, held = NOT held WHERE {_SOME}",
    "UPDATE message_queue SET status = 'suspended' WHERE domain = 'd1.test' AND status = 'ready'",
    f"DELETE FROM message_queue WHERE {_SOME}",
)


@dataclass
class Traffic:
    engines: Engines
    luck: random.Random

    @property
    def counts(self) -> PostgresQueueCounts:
        return PostgresQueueCounts(self.engines.write)

    async def come(self, number: int) -> None:
        rows = [self._message() for _ in range(number)]
        async with self.engines.write.connect() as connection:
            await connection.execute(_INSERT, {"rows": json.dumps(rows)})

    async def change(self) -> None:
        statement = text(self.luck.choice(_CHANGES))
        values = {"of": self.luck.randint(1, 6)} if ":of" in statement.text else {}
        async with self.engines.write.connect() as connection:
            await connection.execute(statement, values)

    async def all(self) -> Sequence[Any]:
        async with self.engines.write.connect() as connection:
            found = await connection.execute(text("SELECT *, now() AS now FROM message_queue"))
            return found.all()

    def _message(self) -> dict[str, object]:
        luck, status = self.luck, self.luck.choice(list(S))
        return {
            "queue_name": luck.choice(QUEUES),
            "domain": luck.choice(DOMAINS),
            "campaign_id": luck.choice(CAMPAIGNS),
            "tenant_id": luck.choice(TENANTS),
            "status": status,
            "size_bytes": luck.randint(1, 10_000),
            "num_attempts": luck.randint(0, 4),
            "bounce_classification": luck.choice(list(BounceType)) if status == S.BOUNCED else None,
            # Nine days back, and nothing within a minute of where an hour or day begins.
            "age": luck.choice([30, 1_800, 7_200, 40_000, 100_000, 500_000, 760_000])
            + luck.random() * 1_000,
            "delivered_ago": luck.choice([5, 400, 3_000, 4_000]) if status == S.DELIVERED else None,
        }


def figures_of(rows: Iterable[Any], scope: QueueScope) -> dict[str, Any]:
    """What the metrics have to be, message by message."""
    given = scope.given
    rows = [row for row in rows if all(getattr(row, n) == value for n, value in given.items())]
    now = rows[0].now if rows else None
    waits = [row for row in rows if row.status in WAITING]
    delivered = [row for row in rows if row.status == S.DELIVERED]
    bounced = [row for row in rows if row.status == S.BOUNCED]
    tried = [row for row in rows if row.num_attempts > 0]
    took = [(row.delivered_at - row.created_at).total_seconds() for row in delivered]
    ages = [(now - row.created_at).total_seconds() for row in waits if now]
    return {
        "total_messages": len(rows),
        "messages_by_status": {s: sum(row.status == s for row in rows) for s in S},
        "average_queue_time": _mean(ages),
        "average_delivery_time": _mean(took),
        "delivery_rate": sum(_within(row.delivered_at, now, hours=1) for row in delivered),
        "queue_depth": len(waits),
        "queue_depth_by_domain": dict(Counter(row.domain for row in waits)),
        "queue_depth_by_campaign": dict(
            Counter(row.campaign_id for row in waits if row.campaign_id)
        ),
        "total_retries": sum(max(0, row.num_attempts - 1) for row in rows),
        "retry_rate": _percent(sum(row.num_attempts > 1 for row in rows), len(tried)),
        "bounce_rate": _percent(len(bounced), len(bounced) + len(delivered)),
        "bounces_by_type": {
            each: sum((row.bounce_classification or "unknown") == each for row in bounced)
            for each in BounceType
        },
        "domain_health_scores": {},
        "messages_last_hour": sum(_within(row.created_at, now, hours=1) for row in rows),
        "messages_last_24h": sum(_within(row.created_at, now, hours=24) for row in rows),
        "messages_last_7d": sum(_within(row.created_at, now, days=7) for row in rows),
        "total_size_bytes": sum(row.size_bytes for row in waits),
        "oldest_message_age": max(ages, default=0.0),
        "newest_message_age": min(ages, default=0.0),
    }


def _within(moment: datetime, now: datetime | None, **length: float) -> bool:
    return now is not None and moment >= now - timedelta(**length)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0
