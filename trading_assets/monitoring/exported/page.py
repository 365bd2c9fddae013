"""A metric by name, and one page of measured values: what an exporter shows at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["gauge", "counter", "histogram"]

MOST_SERIES: Final = 1_000
"""Of one metric on one page: a hundred markets of ten reasons. More is a defect, and would fill the database."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One exported metric.

    Attributes
    ----------
    name
        By Prometheus' conventions: base units, ``_total`` behind what only grows, ``_info`` where the labels tell.
    kind
        How it behaves.
    help
        What it means, in a sentence.
    labels
        What tells its series apart; each of few values.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


@dataclass(slots=True)
class Catalogue:
    """The metrics of one exporter, in the order of their declaration."""

    metrics: list[Metric] = field(default_factory=list)

    def gauge(self, name: str, text: str, *labels: str) -> Metric:
        """Declare what goes up and down."""
        return self._add(Metric(name, "gauge", text, labels))

    def counter(self, name: str, text: str, *labels: str) -> Metric:
        """Declare what only grows while the process lives."""
        return self._add(Metric(name, "counter", text, labels))

    def histogram(self, name: str, text: str, *labels: str) -> Metric:
        """Declare a distribution."""
        return self._add(Metric(name, "histogram", text, labels))

    def _add(self, metric: Metric) -> Metric:
        self.metrics.append(metric)
        return metric


Labels = tuple[str, ...]


@dataclass(slots=True)
class Page:
    """Values of gauges, measured at one moment.

    Attributes
    ----------
    values
        Metric -> labels -> value.
    begun
        Likewise the monotonic second since when something lasts: its age is told by who shows the page.
    dropped
        Series that a metric had beyond :data:`MOST_SERIES`.
    """

    values: dict[Metric, dict[Labels, float]] = field(default_factory=dict)
    begun: dict[Metric, dict[Labels, float]] = field(default_factory=dict)
    dropped: int = 0

    def set(self, metric: Metric, value: float | None, *labels: object) -> None:
        """Note a value; None is left out."""
        if value is not None:
            self._put(self.values, metric, float(value), labels)

    def set_all(self, metric: Metric, values: Mapping[str, float]) -> None:
        """Note the values of a metric with one label."""
        for label, value in values.items():
            self.set(metric, value, label)

    def since(self, metric: Metric, monotonic: float | None, *labels: object) -> None:
        """Note since when something lasts, in seconds of the monotonic clock; None is left out."""
        if monotonic is not None:
            self._put(self.begun, metric, monotonic, labels)

    def at(self, monotonic: float) -> Iterator[tuple[Metric, dict[Labels, float]]]:
        """Every metric with its series, ages as of a moment of the monotonic clock."""
        yield from self.values.items()
        for metric, begun in self.begun.items():
            yield metric, {labels: max(monotonic - since, 0.0) for labels, since in begun.items()}

    def _put(
        self, into: dict[Metric, dict[Labels, float]], metric: Metric, value: float, labels: tuple[object, ...]
    ) -> None:
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has the labels {metric.labels}, not {labels}")
        series = into.setdefault(metric, {})
        key = tuple(map(str, labels))
        if key not in series and len(series) >= MOST_SERIES:
            self.dropped += 1
        else:
            series[key] = value
