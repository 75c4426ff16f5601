"""A recipient that fails again and again is left alone, then tried with one letter."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.models.breaker import (
    CLOSED,
    BreakerTerms,
    Circuit,
    Try,
    after,
    may_try,
    opens_again,
    probing,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERMS = BreakerTerms()


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def failed(times: int, circuit: Circuit = CLOSED) -> Circuit:
    for _ in range(times):
        circuit = after(circuit, False, NOW, TERMS)
    return circuit


def test_failures_in_a_row_open_it() -> None:
    assert may_try(failed(4), NOW, TERMS) is Try.YES
    assert may_try(failed(5), NOW, TERMS) is Try.NO
    interrupted = after(failed(4), True, NOW, TERMS)
    assert may_try(failed(4, interrupted), NOW, TERMS) is Try.YES


def test_half_open_it_lets_one_probe_through() -> None:
    circuit = failed(5)
    assert may_try(circuit, at(59.9), TERMS) is Try.NO
    assert may_try(circuit, at(60), TERMS) is Try.PROBE
    assert may_try(probing(circuit, at(60)), at(61), TERMS) is Try.NO


def test_a_probe_that_arrives_closes_it() -> None:
    circuit = after(probing(failed(5), at(60)), True, at(61), TERMS)
    assert circuit == CLOSED
    assert may_try(circuit, at(61), TERMS) is Try.YES


def test_a_probe_that_fails_opens_it_for_as_long_again() -> None:
    circuit = after(probing(failed(5), at(60)), False, at(70), TERMS)
    assert may_try(circuit, at(129), TERMS) is Try.NO
    assert may_try(circuit, at(130), TERMS) is Try.PROBE
    assert circuit.failures == 6


def test_the_slot_of_a_probe_that_never_reports_back_is_free_again() -> None:
    circuit = probing(failed(5), at(60))
    assert opens_again(circuit, TERMS) == at(120)
    assert may_try(circuit, at(119), TERMS) is Try.NO
    assert may_try(circuit, at(120), TERMS) is Try.PROBE


def test_attempts_that_began_before_it_opened_say_nothing_new_unless_they_arrive() -> None:
    late = after(failed(5), False, at(50), TERMS)
    assert may_try(late, at(60), TERMS) is Try.PROBE
    assert after(late, True, at(50), TERMS) == CLOSED


def test_a_closed_circuit_has_no_moment_to_wait_for() -> None:
    with pytest.raises(ValueError, match="closed circuit"):
        opens_again(CLOSED, TERMS)


STEPS = st.lists(st.tuples(st.sampled_from(("ok", "failed", "lost")), st.floats(0, 200)))


@given(STEPS, st.integers(1, 4))
def test_whatever_happens_there_is_one_probe_at_a_time_and_always_one_some_time(
    steps: list[tuple[str, float]], failures: int
) -> None:
    terms = BreakerTerms(failures=failures)
    circuit, now, probe = CLOSED, NOW, None
    for result, pause in steps:
        now += timedelta(seconds=pause)
        tried = may_try(circuit, now, terms)
        if tried is Try.NO:
            assert now < opens_again(circuit, terms) <= now + terms.open_for + terms.probe_within
            continue
        if tried is Try.PROBE:
            assert probe is None or now - probe >= terms.probe_within, "two probes at once"
            circuit, probe = probing(circuit, now), now
            assert may_try(circuit, now, terms) is Try.NO
        if result != "lost":
            circuit, probe = after(circuit, result == "ok", now, terms), None
