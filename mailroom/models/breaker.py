"""A circuit for each recipient: who fails again and again is left alone for a while, then tried
with one letter."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, Field

from mailroom.models.base import Frozen
from mailroom.models.durations import Duration


class BreakerTerms(Frozen):
    """`breaker` in mailroom.toml."""

    failures: int = Field(default=5, ge=1, description="in a row that open it")
    open_for: Duration = timedelta(seconds=60)
    probe_within: Duration = Field(
        default=timedelta(seconds=60), description="after which a probe counts as lost"
    )


class Circuit(Frozen):
    """Closed, as most are, it has only failures."""

    failures: int = Field(default=0, ge=0, description="in a row")
    opened_at: AwareDatetime | None = None
    probing_since: AwareDatetime | None = None


class Try(StrEnum):
    """PROBE: half open, this one letter decides. Who gets it calls `probing` and keeps that in
    the same transaction, so that nobody else gets it too."""

    YES = "yes"
    PROBE = "probe"
    NO = "no"


CLOSED = Circuit()


def may_try(circuit: Circuit, now: datetime, terms: BreakerTerms) -> Try:
    if circuit.opened_at is None:
        return Try.YES
    return Try.PROBE if now >= opens_again(circuit, terms) else Try.NO


def opens_again(circuit: Circuit, terms: BreakerTerms) -> datetime:
    """The moment from which an open circuit lets a probe through."""
    if circuit.opened_at is None:
        raise ValueError("A closed circuit lets everything through.")
    half_open = circuit.opened_at + terms.open_for
    if circuit.probing_since is None:
        return half_open
    # The worker with the probe may have died; its slot is free again some time.
    return max(half_open, circuit.probing_since + terms.probe_within)


def probing(circuit: Circuit, now: datetime) -> Circuit:
    return circuit.model_copy(update={"probing_since": now})


def after(circuit: Circuit, ok: bool, now: datetime, terms: BreakerTerms) -> Circuit:
    """Once an attempt has ended. Waiting offline is no attempt."""
    if ok:
        return CLOSED
    failed = circuit.model_copy(update={"failures": circuit.failures + 1, "probing_since": None})
    if circuit.opened_at is not None and circuit.probing_since is None:
        # It began before the circuit opened, and says nothing new.
        return failed
    opens = circuit.opened_at is not None or failed.failures >= terms.failures
    return failed.model_copy(update={"opened_at": now}) if opens else failed
