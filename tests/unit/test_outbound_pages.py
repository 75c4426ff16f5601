"""What the pages of outbound mail are made of: charts, bars, filters as they are typed."""

from datetime import UTC, datetime

import pytest

from mailroom.bridge.pages_outbound_charts import chart_of, depths_of
from mailroom.bridge.pages_outbound_events import Seldom
from mailroom.bridge.pages_outbound_filter import filter_of, query_of, words_of
from mailroom.models.outbound.queue_figures import QueueSeries


def series(step: int, submitted: list[int]) -> QueueSeries:
    none = [0] * len(submitted)
    return QueueSeries(
        step_seconds=step,
        at=[step * n for n in range(len(submitted))],
        submitted=submitted,
        delivered=none,
        bounced=none,
        deferred=none,
        expired=none,
        cancelled=none,
    )


def test_a_chart_is_per_minute_the_newest_first() -> None:
    chart = chart_of(series(60, [3, 0, 7]))
    assert [point.values[0] for point in chart.points] == [7, 0, 3]
    assert chart.points[0].at == datetime(1970, 1, 1, 0, 2, tzinfo=UTC)
    assert chart.totals == [10, 0, 0, 0]


def test_a_long_step_that_is_not_over_is_no_fall() -> None:
    chart = chart_of(series(1_800, [30, 60, 1]))
    assert [point.values[0] for point in chart.points] == [2, 1]
    assert chart.totals[0] == 91


def test_bars_are_as_long_as_the_deepest_allows() -> None:
    depths = depths_of({"a.test": 1, "b.test": 1_000, "c.test": 500, "none.test": 0})
    assert [(one.domain, one.width) for one in depths] == [
        ("b.test", 100),
        ("c.test", 50),
        ("a.test", 0.8),
    ]
    assert depths_of({}) == []


def test_what_is_told_seldom_is_told_at_last() -> None:
    seldom = Seldom("figures", 5)
    told = [bool(list(seldom.after(changed, now))) for changed, now in _MOMENTS]
    assert told == [True, False, False, True, False]


_MOMENTS = [(True, 0.0), (True, 1.0), (False, 2.0), (False, 5.0), (False, 20.0)]


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ({"domain": " Example.COM ", "queue_name": "", "limit": "7"}, "domain=example.com"),
        ({"domain": "bücher.example"}, "domain=xn--bcher-kva.example"),
        ({"tags": "a, b\n c,,"}, "tags=a&tags=b&tags=c"),
        ({"created_after": "2026-01-01T00:00"}, "created_after=2026-01-01T00%3A00Z"),
        (
            {"created_after": "2026-01-01T00:00:00+02:00"},
            "created_after=2026-01-01T00%3A00%3A00%2B02%3A00",
        ),
    ],
)
def test_what_is_typed_is_a_query_of_the_api(typed: dict[str, str], query: str) -> None:
    found = filter_of(typed.items())
    assert not found.problems
    assert found.query == query


def test_a_moment_is_shown_as_the_field_takes_it() -> None:
    found = filter_of([("created_after", "2026-01-01T00:00:00+02:00")])
    assert found.text("created_after") == "2025-12-31T22:00:00"
    wrong = filter_of([("created_after", "yesterday")])
    assert wrong.text("created_after") == "yesterday"
    [problem] = wrong.problems
    assert problem.startswith("Submitted after: ")


def test_an_order_alone_is_no_filter() -> None:
    assert not filter_of([("sort_by", "domain"), ("sort_order", "asc")]).is_narrow
    assert filter_of([("status", "ready")]).is_narrow


def test_a_column_is_turned_by_its_second_click() -> None:
    once = filter_of([("status", "ready")])
    assert "sort_by=priority&sort_order=desc" in once.sorted_by("priority")
    assert "sort_by=domain&sort_order=asc" in once.sorted_by("domain")
    assert "sort_by=created_at&sort_order=asc" in once.sorted_by("created_at")
    twice = filter_of([("sort_by", "priority"), ("sort_order", "desc")])
    assert twice.sorted_by("priority") == "sort_by=priority&sort_order=asc"
    assert twice.direction("priority") == "descending"
    assert twice.direction("domain") is None


def test_a_saved_filter_is_words_and_a_link() -> None:
    saved = {"status": ["ready", "deferred"], "domain": "a.test", "sort_by": "domain"}
    assert words_of(saved) == [("Status", "ready, deferred"), ("Domain", "a.test")]
    assert query_of(saved) == "status=ready&status=deferred&domain=a.test&sort_by=domain"
