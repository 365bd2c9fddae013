"""Which markets move together: clusters of the correlations of their returns, known the day before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.timeframes import Timeframe
from trading_assets.strategies.risk.closes import LEAST_RETURNS, Closes
from trading_assets.strategies.risk.exposure import Holding
from trading_assets.strategies.signals import Stream

_HOUR: Final = timedelta(hours=1)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clusters:
    """What moves with what.

    Attributes
    ----------
    of
        Market -> its cluster; markets whose returns are not known are in none.
    inverse
        Pairs of markets of one cluster that move against each other.
    """

    of: Mapping[str, int]
    inverse: frozenset[frozenset[str]] = frozenset()

    def same_move(self, one: Holding, other: Holding) -> bool:
        """Whether two positions bet on the same move.

        Those of one cluster on the same side do, and those on opposite sides where their markets move against each
        other. What is not known to be apart counts as together.
        """
        if one.market not in self.of or other.market not in self.of:
            return one.side is other.side
        if self.of[one.market] != self.of[other.market]:
            return False
        return (one.side is other.side) != (frozenset((one.market, other.market)) in self.inverse)


def find_clusters(returns: Mapping[str, Floats], correlated_from: float) -> Clusters:
    """Clusters of markets whose returns are correlated, positively or negatively.

    Hierarchical clustering with the average linkage over the distance ``1 - |correlation|``, cut where the mean
    correlation between two clusters is ``correlated_from``. A market is left out that has fewer than twenty returns, or
    none that is not 0.

    Parameters
    ----------
    returns
        Market -> its returns of the same times, nan where one is not known.
    correlated_from
        Of a correlation, above 0 and at most 1.

    References
    ----------
    R. N. Mantegna, "Hierarchical structure in financial markets", *European Physical Journal B* 11, 1999.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    told = {market: series for market, series in returns.items() if _tells(series)}
    names = sorted(told)
    if len(names) < 2:
        return Clusters(dict.fromkeys(names, 1))
    correlation = np.array([[_correlation(told[a], told[b]) for b in names] for a in names])
    distance = 1 - np.abs(correlation)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average")
    found = fcluster(tree, 1 - correlated_from + 1e-12, criterion="distance")
    negative = ((a, b) for i, a in enumerate(names) for j, b in enumerate(names) if i < j and correlation[i, j] < 0)
    return Clusters(
        dict(zip(names, (int(one) for one in found), strict=True)), frozenset(frozenset(pair) for pair in negative)
    )


def _tells(series: Floats) -> bool:
    known = series[~np.isnan(series)]
    return len(known) >= LEAST_RETURNS and bool(np.any(known != 0))


def _correlation(one: Floats, other: Floats) -> float:
    """Of the times at which both are known; 1 where these are too few: nothing says that they are apart."""
    both = ~(np.isnan(one) | np.isnan(other))
    x, y = one[both], other[both]
    if len(x) < LEAST_RETURNS or not (np.std(x) > 0 and np.std(y) > 0):
        return 1.0
    return float(np.corrcoef(x, y)[0, 1])


class DailyClusters:
    """The clusters of some markets, found once a day from the closes of the days before.

    Node and backtest ask at other moments of a day and have heard other bars by then: up to midnight both know the
    same.

    Parameters
    ----------
    streams
        The bars that markets are decided on; of each market the finest count.
    closes
        Of the past.
    days
        Over how many days returns are correlated.
    correlated_from
        See :func:`find_clusters`.
    """

    def __init__(self, streams: Iterable[Stream], closes: Closes, *, days: float, correlated_from: float) -> None:
        self._streams: dict[str, Stream] = {}
        for stream in streams:
            held = self._streams.get(stream.market)
            if held is None or _length(stream) < _length(held):
                self._streams[stream.market] = stream
        self._step = max((_length(stream) for stream in self._streams.values()), default=_HOUR)
        self._step = max(self._step, _HOUR)
        self._closes = closes
        self._window = timedelta(days=days)
        self._correlated_from = correlated_from
        self._known: tuple[date, Clusters] | None = None

    def at(self, moment: datetime) -> Clusters:
        """Those known at midnight (UTC) before a moment."""
        day = moment.astimezone(UTC).date()
        if self._known is None or self._known[0] != day:
            until = datetime.combine(day, time(), UTC)
            returns = {market: self._returns(stream, until) for market, stream in self._streams.items()}
            self._known = day, find_clusters(returns, self._correlated_from)
        return self._known[1]

    def _returns(self, stream: Stream, until: datetime) -> Floats:
        """Log returns from step to step of the window, nan where no bar closed in a step."""
        steps = int(self._window / self._step)
        grid = [until - (steps - number) * self._step for number in range(steps + 1)]
        closes = self._closes(stream, grid[0] - self._step, until)
        points = pl.DataFrame({"known_at": grid}, schema={"known_at": pl.Datetime("us", "UTC")})
        tolerance = self._step - timedelta(microseconds=1)
        found = points.join_asof(closes.sort("known_at"), on="known_at", strategy="backward", tolerance=tolerance)
        return np.diff(np.log(found["close"].cast(pl.Float64).fill_null(float("nan")).to_numpy()))


def _length(stream: Stream) -> timedelta:
    return Timeframe.parse(stream.timeframe).length
