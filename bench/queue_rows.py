"""A million messages as a busy house has them: rows for the benchmarks of the queue.

What belongs together in life does so here: a campaign comes in one burst, from one sender through
one pool, with its own subject, size and tags; what is old has ended; gmail.com is in front of 2,000
domains; few messages take many attempts, and those are deferred or given up.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from typing import NamedTuple
from uuid import UUID

from psycopg import Connection, sql


def _each(words: str) -> list[str]:
    return words.split()


DAYS, DOMAINS, CAMPAIGNS, TENANTS = 30, 2_000, 300, 50
IN_CAMPAIGNS = 0.7
# So many rows have the same recipient, on the average.
ROWS_PER_ADDRESS = 5
KNOWN_DOMAINS = (
    "gmail.com", "outlook.com", "yahoo.com", "hotmail.com", "icloud.com", "gmx.de", "web.de",
    "aol.com", "t-online.de", "orange.fr", "libero.it", "proton.me",
)  # fmt: skip
FIRST = _each(
    "anna ben carla david emma felix greta hans ines jonas karla leon maria nils olga paul quinn "
    "rosa sven tina uwe vera wim xenia yara zoe käthe jürgen"
)
LAST = _each(
    "adler braun cruz dietz engel fuchs graf huber ibsen jansen klein lang meyer novak otto peters "
    "quast richter schmidt thomas ulrich vogel weber yilmaz zimmer"
)
PEOPLE = _each("support news billing shop hello team orders info")
THINGS = _each(
    "summer sale spring newsletter weekly digest new arrivals shoes garden travel deals season "
    "update members preview invitation webinar release notes coffee books winter holiday offer"
)
EVERYDAY = (
    "Your receipt {n}", "Order {n} has shipped", "Reset your password", "Invoice {n} is ready",
    "Your code is {n}", "Payment {n} failed", "Welcome aboard", "Meeting notes {n}",
)  # fmt: skip
TAGS = _each("newsletter marketing vip onboarding reactivation test-a test-b holiday beta eu us")
POOLS = ("marketing-1", "marketing-2", "marketing-3", "transactional", "warmup")


class Source(NamedTuple):
    """A campaign, or a tenant's everyday mail."""

    campaign: str | None
    tenant: str
    pool: str
    sender: str
    route: str | None
    subject: str
    size: int
    priority: int
    tags: tuple[str, ...]
    scheduled: timedelta | None


@dataclass
class Town:
    """Who writes to whom, drawn once."""

    chance: random.Random
    rows: int
    now: datetime

    def __post_init__(self) -> None:
        self.domains = [*KNOWN_DOMAINS, *(f"mail{n}.example{n % 97}.org" for n in range(DOMAINS))]
        del self.domains[DOMAINS:]
        weights = [1 / (rank + 1) ** 1.2 for rank in range(DOMAINS)]
        count = max(self.rows // ROWS_PER_ADDRESS, 100)
        drawn = self.chance.choices(self.domains, cum_weights=list(accumulate(weights)), k=count)
        self.addresses = [f"{self._person()}{n % 1000}@{each}" for n, each in enumerate(drawn)]
        self.tenants = [f"tenant-{n:02}" for n in range(TENANTS)]
        self._shares = list(accumulate(1 / (n + 1) for n in range(TENANTS)))

    def _person(self) -> str:
        return f"{self.chance.choice(FIRST)}.{self.chance.choice(LAST)}"

    def tenant(self) -> str:
        return self.chance.choices(self.tenants, cum_weights=self._shares)[0]

    def campaign(self, n: int) -> Source:
        chance, tenant = self.chance, self.tenant()
        return Source(
            campaign=f"campaign-{n:03}",
            tenant=tenant,
            pool=chance.choices(POOLS, (40, 25, 10, 5, 2))[0],
            sender=f"{chance.choice(PEOPLE)}@{tenant}.example.com",
            route="relay.example.net" if chance.random() < 0.03 else None,
            subject=" ".join(chance.sample(THINGS, 3)).capitalize(),
            size=int(chance.lognormvariate(10.3, 0.8)) + 1_500,
            priority=chance.choices((5, 4, 3, 2, 7), (70, 12, 10, 5, 3))[0],
            tags=tuple(chance.sample(TAGS, chance.choices((0, 1, 2, 3), (3, 5, 3, 1))[0])),
            scheduled=timedelta(hours=chance.uniform(1, 72)) if chance.random() < 0.13 else None,
        )

    def to_come(self, n: int) -> Source:
        """Submitted just now, for next week."""
        return self.campaign(n)._replace(scheduled=timedelta(days=8))

    def everyday(self, tenant: str) -> Source:
        return Source(
            campaign=None,
            tenant=tenant,
            pool="transactional",
            sender=f"no-reply@{tenant}.example.com",
            route=None,
            subject="",
            size=4_000,
            priority=self.chance.choices((5, 6, 8, 9, 10), (60, 20, 15, 4, 1))[0],
            tags=(),
            scheduled=None,
        )

    def arrivals(self) -> list[tuple[datetime, Source]]:
        """In the order in which they came."""
        began, chance = self.now - timedelta(days=DAYS), self.chance
        bulk = int(self.rows * IN_CAMPAIGNS)
        sources = [self.campaign(n) for n in range(CAMPAIGNS)]
        sources += [self.to_come(n) for n in range(CAMPAIGNS, CAMPAIGNS + 3)]
        weights = [chance.lognormvariate(0, 1.4) for _ in sources]
        found = []
        for source, weight in zip(sources, weights, strict=True):
            count = int(bulk * weight / sum(weights))
            start = began + timedelta(days=chance.uniform(0, DAYS - 0.3))
            if source.scheduled and source.scheduled > timedelta(days=7):
                start = self.now - timedelta(hours=9)
            length = timedelta(minutes=chance.uniform(5, 240))
            found += [(start + chance.random() * length, source) for _ in range(count)]
        daily = [self.everyday(each) for each in self.tenants]
        rest = chance.choices(daily, cum_weights=self._shares, k=self.rows - len(found))
        found += [(began + timedelta(days=chance.uniform(0, DAYS)), each) for each in rest]
        return sorted(found, key=lambda each: each[0])


class Fate(NamedTuple):
    status: str
    attempts: int
    bounce: str | None = None
    said: str | None = None


TAKEN, BUSY, UNKNOWN_USER, BLOCKED = (
    "2.0.0 OK queued as 4Yxyz12345",
    "4.7.0 Too many connections from your network, try again later",
    "5.1.1 The e-mail account that you tried to reach does not exist",
    "5.7.1 Message rejected: the sending address has a poor reputation",
)


def fate(chance: random.Random, age: timedelta, due: timedelta | None) -> Fate:
    """What became of a message by its age; `due` is how long it still has to wait."""
    luck = chance.random()
    if due is not None and due > timedelta():
        return Fate("scheduled" if luck < 0.98 else "cancelled", 0)
    if age < timedelta(minutes=20) and luck < 0.5:
        return Fate("in_delivery" if luck < 0.02 else "ready", 0)
    if luck < 0.004:
        return Fate("suspended", 0 if luck < 0.002 else 2)
    if age < timedelta(days=5) and luck < 0.012 + 0.05 * (1 - age / timedelta(days=5)):
        tries = 1 + int(age / timedelta(hours=5)) + chance.randrange(2)
        return Fate("deferred", tries, chance.choice(("soft", "soft", "block")), BUSY)
    return _ended(chance, luck)


def _ended(chance: random.Random, luck: float) -> Fate:
    if luck < 0.10:
        kind = chance.choices(("hard", "block", "soft", "complaint", "unknown"), (60, 20, 15, 3, 2))
        tries = 20 if kind == ["soft"] else chance.choice((1, 1, 1, 2))
        return Fate("bounced", tries, kind[0], BLOCKED if kind == ["block"] else UNKNOWN_USER)
    if luck < 0.108:
        return Fate("expired", chance.randrange(9, 16), "soft", BUSY)
    if luck < 0.112:
        return Fate("cancelled", 0)
    return Fate("delivered", chance.choices((1, 2, 3, 4, 6, 9), (880, 80, 25, 10, 4, 1))[0], None)


COLUMNS = (
    "id", "message_id", "queue_name", "recipient", "sender", "domain", "routing_domain",
    "campaign_id", "tenant_id", "pool_name", "status", "priority", "size_bytes", "num_attempts",
    "last_attempt_at", "next_attempt_at", "last_bounce_reason", "bounce_classification",
    "created_at", "scheduled_at", "delivered_at", "expires_at", "smtp_response", "headers",
    "body_hash", "tags", "blob", "updated_at",
)  # fmt: skip


def lines(rows: int, now: datetime, seed: int = 8) -> Iterator[str]:
    """Of COPY's text format."""
    town = Town(random.Random(seed), rows, now)
    for created, source in town.arrivals():
        yield _line(town, created, source)


def _line(town: Town, created: datetime, source: Source) -> str:
    chance, now = town.chance, town.now
    recipient = chance.choice(town.addresses)
    domain = recipient.partition("@")[2]
    scheduled = created + source.scheduled if source.scheduled else None
    became = fate(chance, now - created, scheduled - now if scheduled else None)
    tried = min(now, (scheduled or created) + timedelta(seconds=4, hours=5 * (became.attempts - 1)))
    id, digest = UUID(int=chance.getrandbits(128), version=4), f"{chance.getrandbits(256):064x}"
    subject = source.subject or chance.choice(EVERYDAY).format(n=chance.randrange(10**6))
    size = source.size + chance.randrange(400)
    if source.campaign is None:
        size = int(chance.lognormvariate(8.4, 0.7)) + 700
    at = tried.isoformat() if became.attempts else None
    said = became.said or (TAKEN if became.attempts else None)
    code = {"4": 451, "5": 550}.get(said[0], 250) if said else 0
    response = {"code": code, "message": said, "timestamp": at} if said else None
    headers = {"From": source.sender, "To": recipient, "Subject": subject}
    values = (
        id, f"<{id.hex}@mail.example.com>", domain, recipient, source.sender, domain, source.route,
        source.campaign, source.tenant, source.pool, became.status, source.priority, size,
        became.attempts, at,
        (now + timedelta(minutes=chance.uniform(1, 360))).isoformat()
        if became.status == "deferred" else None,
        became.said, became.bounce, created.isoformat(),
        scheduled.isoformat() if scheduled else None,
        at if became.status == "delivered" else None, (created + timedelta(days=5)).isoformat(),
        json.dumps(response) if response else None, json.dumps(headers, ensure_ascii=False), digest,
        "{" + ",".join(source.tags) + "}" if source.tags else None, digest,
        at or created.isoformat(),
    )  # fmt: skip
    return "\t".join("\\N" if value is None else str(value) for value in values) + "\n"


def build(connection: Connection, rows: int) -> None:
    """Into an empty `message_queue`, as a restore does it: rows, then indexes and words."""
    now = datetime.now(UTC)
    with connection.transaction():
        indexes = connection.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        connection.execute("ALTER TABLE message_queue DISABLE TRIGGER USER")
        into = sql.SQL("COPY message_queue ({}) FROM STDIN").format(
            sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
        )
        with connection.cursor().copy(into) as copy:
            all_lines = lines(rows, now)
            while some := "".join(islice(all_lines, 1_000)):
                copy.write(some)
        connection.execute("ALTER TABLE message_queue ENABLE TRIGGER USER")
        for _, definition in indexes:
            connection.execute(definition)
        connection.execute(_WORDS)


_WORDS = """
    INSERT INTO message_words
    SELECT DISTINCT word FROM message_queue, unnest(tsvector_to_array(words)) AS word
    WHERE word NOT LIKE '=%'
"""
_INDEXES = """
    SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
    FROM pg_index AS i
    WHERE i.indrelid = 'message_queue'::regclass AND NOT i.indisprimary
"""
