"""Metrics of agent mail for Prometheus."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mailroom.models.agent_mail import LetterState
from mailroom.models.letter_rows import LetterCounts


def letter_gauges(counts: LetterCounts) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counted(counts))
    return registry


class _Counted(Collector):
    def __init__(self, counts: LetterCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        counts = self._counts
        letters = GaugeMetricFamily(
            "mailroom_letters", "Letters that have not arrived, by status", labels=["status"]
        )
        for status, number in counts.letters.items():
            letters.add_metric([status], number)
        yield letters
        dead = counts.letters[LetterState.DEAD_LETTER]
        yield GaugeMetricFamily("mailroom_letters_queued", "That wait, in all", counts.waiting)
        yield GaugeMetricFamily("mailroom_dead_letters", "That wait for a person", dead)
        yield GaugeMetricFamily("mailroom_sessions_online", "Of agents", counts.sessions)
        circuits = counts.circuits_open
        yield GaugeMetricFamily("mailroom_circuits_open", "Recipients left alone", circuits)
        events = CounterMetricFamily(
            "mailroom_agent_events", "What happened to letters and sessions", labels=["type"]
        )
        for type_, total in counts.events.items():
            events.add_metric([type_], total)
        yield events
