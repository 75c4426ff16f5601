"""Scores of domains, as pure rules."""

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mailroom.models.outbound.health import (
    BEST,
    DomainReading,
    HealthSection,
    Hour,
    Loss,
    LossOverTime,
    Tally,
    faded,
    score_of,
    scored,
    sentence,
)

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
TERMS = HealthSection()
DOCS = Path(__file__).parents[2] / "docs/outbound.md"

counts = st.floats(min_value=0, max_value=1e6)
tallies = st.builds(
    Tally,
    delivered=counts,
    deferred=counts,
    bounced=counts,
    blocked=counts,
    complaints=counts,
    seconds=st.floats(min_value=0, max_value=1e9),
)
losses = st.builds(
    Loss,
    weight=st.floats(min_value=0, max_value=1),
    worst=st.floats(min_value=0.001, max_value=1),
)
over_time = st.builds(
    LossOverTime,
    weight=st.floats(min_value=0, max_value=1),
    worst=st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=7)),
)
sections = st.builds(
    HealthSection,
    bounce=losses,
    block=losses,
    deferral=losses,
    delivery_time=over_time,
    silence=over_time,
    benefit_of_doubt=st.floats(min_value=0, max_value=1e4),
)
successes = st.none() | st.timedeltas(timedelta(0), timedelta(days=3)).map(lambda ago: NOW - ago)
FAILURES = st.sampled_from(["deferred", "bounced", "blocked", "complaints"])


def more(tally: Tally, kind: str, number: float) -> Tally:
    return tally.model_copy(update={kind: getattr(tally, kind) + number})


@given(tallies, successes, sections)
def test_a_score_is_between_0_and_100(
    tally: Tally, success: datetime | None, terms: HealthSection
) -> None:
    assert 0 <= score_of(tally, success, NOW, terms) <= 100


@given(successes, sections)
def test_without_results_a_domain_is_healthy(
    success: datetime | None, terms: HealthSection
) -> None:
    assert score_of(Tally(), success, NOW, terms) == BEST


@given(tallies, successes, sections, FAILURES, counts)
def test_more_failures_never_raise_a_score(
    tally: Tally, success: datetime | None, terms: HealthSection, kind: str, number: float
) -> None:
    worse = score_of(more(tally, kind, number), success, NOW, terms)
    assert worse <= score_of(tally, success, NOW, terms) + 1e-9


@given(tallies, successes, sections, counts)
def test_more_deliveries_at_once_never_lower_a_score(
    tally: Tally, success: datetime | None, terms: HealthSection, number: float
) -> None:
    better = score_of(more(tally, "delivered", number), success, NOW, terms)
    assert better >= score_of(tally, success, NOW, terms) - 1e-9


@given(tallies, sections, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_a_longer_silence_never_raises_a_score(
    tally: Tally, terms: HealthSection, ago: timedelta
) -> None:
    earlier = score_of(tally, NOW - ago - timedelta(hours=1), NOW, terms)
    assert earlier <= score_of(tally, NOW - ago, NOW, terms) + 1e-9


def test_one_refusal_says_little_and_a_hundred_say_much() -> None:
    one = score_of(Tally(bounced=1), NOW, NOW, TERMS)
    hundred = score_of(Tally(bounced=100), NOW, NOW, TERMS)
    assert one > 90
    assert hundred == pytest.approx(30)


def test_a_domain_that_defers_everything_is_worse_the_longer_nothing_arrives() -> None:
    deferring = Tally(deferred=500)
    now, later = (
        score_of(deferring, NOW - timedelta(hours=hours), NOW, TERMS) for hours in (0, 24)
    )
    assert now > TERMS.open_below > later


def test_results_fade_by_half_with_each_half_life_and_end_after_a_day() -> None:
    hours = [
        Hour(hour=NOW.replace(minute=0) - timedelta(hours=ago), tally=Tally(bounced=64))
        for ago in (0, 7, 13, 26)
    ]
    now = NOW.replace(minute=0)
    assert faded(hours, now, timedelta(hours=6)).bounced == pytest.approx(64 + 32 + 16)


def test_what_a_circuit_says_of_its_opening() -> None:
    tally = Tally(delivered=62, bounced=49, deferred=9)
    assert sentence(32.4, tally) == "health 32: 41 % of 120 bounced, 8 % deferred"


def test_a_first_opening_longer_than_the_longest_is_refused() -> None:
    with pytest.raises(ValidationError, match="longer than longest_opening"):
        HealthSection(first_opening=timedelta(hours=7))


def test_the_documentation_shows_every_setting_with_its_default() -> None:
    [block] = re.findall(r"```toml\n(\[outbound\.health\].*?)```", DOCS.read_text(), re.DOTALL)
    shown = tomllib.loads(block)["outbound"]["health"]
    assert set(shown) == set(HealthSection.model_fields)
    assert HealthSection.model_validate(shown) == HealthSection()


def test_the_example_in_the_documentation_is_what_the_code_does() -> None:
    """docs/outbound.md, "An example"."""
    text = DOCS.read_text()
    example = text[text.index("#### An example") :]
    tally = Tally(delivered=300, deferred=80, bounced=60, blocked=20, seconds=300 * 2700)
    last = NOW - timedelta(hours=2)
    hour = Hour(hour=NOW.replace(minute=0), tally=tally)
    reading = DomainReading(domain="example.com", last_success=last, hours=(hour,))
    found = scored(reading, NOW, TERMS)
    shown = re.search(r"= \*\*(\d+\.\d)\*\*", example)
    assert shown is not None
    assert f"{found.score:.1f}" == shown[1]
    for rate in (tally.bounced, tally.unwanted, tally.deferred):
        part = rate / (rate + tally.delivered + TERMS.benefit_of_doubt)
        assert f"{100 * part:.1f} %" in example
