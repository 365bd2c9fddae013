"""Pages and counts as Prometheus' text format. The only module that knows how its client names things."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from trading_assets.monitoring.exported.page import Metric, Page

disable_created_metrics()  # type: ignore[no-untyped-call]
# else a second series for each counter says when the process began


class PageCollector:
    """Shows the newest page of an exporter.

    Parameters
    ----------
    page
        The newest one; it is replaced, never changed, once it is shown.
    monotonic
        Seconds that only grow, the clock of the page's ages.
    """

    def __init__(self, page: Callable[[], Page], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._page = page
        self._monotonic = monotonic

    def describe(self) -> Iterable[Family]:
        """Nothing: the registry need not ask for a page to learn names."""
        return []

    def collect(self) -> Iterable[Family]:
        """The page's metrics, ages as of now."""
        for metric, series in self._page().at(self._monotonic()):
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=metric.labels)
            for labels, value in series.items():
                family.add_metric(labels, value)
            yield family


def counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    """A counter that the engine's thread adds to."""
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def histogram(metric: Metric, registry: CollectorRegistry, buckets: tuple[float, ...]) -> Histogram:
    """A distribution that the engine's thread observes."""
    return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=buckets)


def text_of(registry: CollectorRegistry) -> str:
    """What a scrape gets."""
    return generate_latest(registry).decode()


def text_of_page(page: Page, monotonic: float) -> str:
    """A page alone."""
    registry = CollectorRegistry()
    registry.register(PageCollector(lambda: page, lambda: monotonic))
    return text_of(registry)
