"""How well mail to a domain goes: 0 to 100, from what became of the messages of a day.

What went wrong takes its share of what is left, one thing after the other, so that the score stays
between its bounds whatever the configuration says. Each rate is of its own results and those
delivered: more of one kind never looks better in another. docs/outbound.md has an example.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from mailroom.models.base import Frozen
from mailroom.models.durations import Duration

BEST = 100.0
WINDOW = timedelta(hours=24)
HOUR = timedelta(hours=1)

Share = Annotated[float, Field(ge=0, le=1)]


class Loss(Frozen):
    """`weight` is the share of the score that is lost where the rate is `worst`, or worse."""

    weight: Share
    worst: float = Field(gt=0, le=1)

    def left(self, rate: float) -> float:
        return 1 - self.weight * min(rate / self.worst, 1)


class LossOverTime(Frozen):
    """The same with a length of time."""

    weight: Share
    worst: Duration

    def left(self, seconds: float) -> float:
        return 1 - self.weight * min(max(seconds, 0) / self.worst.total_seconds(), 1)


class HealthSection(Frozen):
    """`[outbound.health]` of mailroom.toml: what weighs how much, and when a circuit opens."""

    bounce: Loss = Loss(weight=0.7, worst=0.4)
    block: Loss = Loss(weight=0.8, worst=0.3)
    deferral: Loss = Loss(weight=0.5, worst=0.9)
    delivery_time: LossOverTime = LossOverTime(weight=0.2, worst=timedelta(hours=6))
    silence: LossOverTime = LossOverTime(weight=0.5, worst=timedelta(hours=24))
    benefit_of_doubt: float = Field(
        default=20, ge=0, le=1_000_000, description="deliveries that every domain is credited with"
    )
    half_life: Duration = timedelta(hours=6)
    circuits: bool = Field(default=True, description="whether one may open")
    open_below: float = Field(default=40, ge=0, le=100)
    first_opening: Duration = timedelta(minutes=5)
    longest_opening: Duration = timedelta(hours=6)
    forget_after: Duration = Field(
        default=timedelta(days=1), description="openings, once a circuit was closed for so long"
    )
    probe_again: Duration = Field(
        default=timedelta(minutes=15), description="after which a probe counts as lost"
    )

    @model_validator(mode="after")
    def _openings_grow(self) -> Self:
        if self.first_opening > self.longest_opening:
            raise ValueError("first_opening is longer than longest_opening; swap them.")
        return self


class Tally(Frozen):
    """Results of deliveries; numbers that have faded are no whole ones. `seconds` is how long
    those that were delivered took, all together."""

    delivered: float = Field(default=0, ge=0)
    deferred: float = Field(default=0, ge=0)
    bounced: float = Field(default=0, ge=0)
    blocked: float = Field(default=0, ge=0)
    complaints: float = Field(default=0, ge=0)
    seconds: float = Field(default=0, ge=0)

    @property
    def results(self) -> float:
        return self.delivered + self.failures

    @property
    def failures(self) -> float:
        return self.deferred + self.bounced + self.unwanted

    @property
    def unwanted(self) -> float:
        """A complaint is a block that came late (RFC 5965 §1)."""
        return self.blocked + self.complaints

    @property
    def average_delivery_time(self) -> float:
        return self.seconds / self.delivered if self.delivered else 0.0

    def rate(self, number: float) -> float:
        """Of all results."""
        return number / self.results if self.results else 0.0


class Hour(Frozen):
    """What became of messages within the hour that began at `hour`."""

    hour: AwareDatetime
    tally: Tally


class DomainReading(Frozen):
    """What is known of a domain."""

    domain: str
    last_success: AwareDatetime | None = None
    hours: tuple[Hour, ...] = ()


class ScoredDomain(Frozen):
    domain: str
    score: float = Field(ge=0, le=100)
    tally: Tally


def scored(reading: DomainReading, now: datetime, terms: HealthSection) -> ScoredDomain:
    tally = faded(reading.hours, now, terms.half_life)
    score = score_of(tally, reading.last_success, now, terms)
    return ScoredDomain(domain=reading.domain, score=score, tally=tally)


def faded(hours: Iterable[Hour], now: datetime, half_life: timedelta) -> Tally:
    """A day's results, where those of an hour count half as much after each `half_life`."""
    total: dict[str, float] = dict.fromkeys(Tally.model_fields, 0.0)
    for each in hours:
        # The hour that goes on has no age.
        age = max(now - each.hour - HOUR, timedelta(0))
        if age >= WINDOW:
            continue
        weight = 0.5 ** (age / half_life)
        for name in total:
            total[name] += weight * getattr(each.tally, name)
    return Tally(**total)


def score_of(
    tally: Tally, last_success: datetime | None, now: datetime, terms: HealthSection
) -> float:
    """Every domain is credited with some deliveries: few results say little."""
    good = tally.delivered + terms.benefit_of_doubt
    average = tally.seconds / good if good else 0.0
    score = BEST
    score *= terms.bounce.left(_rate(tally.bounced, good))
    score *= terms.block.left(_rate(tally.unwanted, good))
    score *= terms.deferral.left(_rate(tally.deferred, good))
    score *= terms.delivery_time.left(average)
    # Silence is bad only where something was tried.
    tried = _rate(tally.failures, terms.benefit_of_doubt)
    score *= 1 - tried * (1 - terms.silence.left(_silence(last_success, now)))
    return score


def _rate(number: float, good: float) -> float:
    return number / (number + good) if number else 0.0


def _silence(last_success: datetime | None, now: datetime) -> float:
    """Seconds; who never took a message has been silent for ever."""
    return float("inf") if last_success is None else (now - last_success).total_seconds()


def sentence(score: float, tally: Tally) -> str:
    """Why a circuit opens: `health 32: 41 % of 120 bounced, 8 % deferred`."""
    kinds = {"bounced": tally.bounced, "blocked": tally.unwanted, "deferred": tally.deferred}
    rates = {kind: round(100 * tally.rate(number)) for kind, number in kinds.items()}
    shown = [f"{rate} %|{kind}" for kind, rate in rates.items() if rate]
    of = f" of {round(tally.results):,} "
    first, *others = [one.split("|") for one in shown] or [["none", "delivered"]]
    said = f"{first[0]}{of}{first[1]}"
    more = "".join(f", {rate} {kind}" for rate, kind in others)
    return f"health {round(score)}: {said}{more}"
