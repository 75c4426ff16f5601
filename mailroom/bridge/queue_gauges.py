"""Metrics of outbound mail for Prometheus."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mailroom.models.outbound.transitions import WAITING
from mailroom.models.outbound.words import MessageQueueStatus

_EVENTS = ("submitted", "delivered", "bounced", "deferred", "expired", "cancelled")


def queue_gauges(
    statuses: Mapping[MessageQueueStatus, int], totals: Mapping[str, int]
) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counted(statuses, totals))
    return registry


class _Counted(Collector):
    def __init__(
        self, statuses: Mapping[MessageQueueStatus, int], totals: Mapping[str, int]
    ) -> None:
        self._statuses = statuses
        self._totals = totals

    def collect(self) -> Iterable[Metric]:
        messages = GaugeMetricFamily(
            "mailroom_outbound_messages", "Outbound messages by status", labels=["status"]
        )
        for status in MessageQueueStatus:
            messages.add_metric([status], self._statuses.get(status, 0))
        yield messages
        depth = sum(self._statuses.get(status, 0) for status in WAITING)
        yield GaugeMetricFamily("mailroom_outbound_queue_depth", "That wait, in all", depth)
        events = CounterMetricFamily(
            "mailroom_outbound_events", "What happened to outbound messages", labels=["type"]
        )
        for event in _EVENTS:
            events.add_metric([event], self._totals.get(event, 0))
        yield events
