"""Indicators per bar of a timeframe: pure functions, each with a declared look-back.

Training, backtest and the live node call the same :func:`compute` on the same kind of frame.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import polars as pl

from trading_assets.core.plugins.seats import Owners
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework import computation, newest, windows
from trading_assets.features.framework.feature_set import Feature, FeatureSet
from trading_assets.features.framework.newest import FeatureRow
from trading_assets.features.framework.registry import REGISTRY
from trading_assets.features.framework.spans import DAY, WEEK, Span
from trading_assets.features.indicators import (
    averages,
    channels,
    levels,
    microstructure,
    momentum,
    oscillators,
    regime,
    statistics,
    trend,
    volatility,
    volume,
)
from trading_assets.features.indicators.context import calendar, higher, leader, second_exchange, stored
from trading_assets.features.indicators.patterns import double, multiple, single, triple

__all__ = [
    "DAY",
    "LIVE_ENVIRONMENT",
    "Feature",
    "FeatureRow",
    "FeatureSet",
    "Span",
    "WEEK",
    "compute",
    "compute_newest",
    "feature_names",
    "fingerprint",
    "lookback_bars",
    "nullable_features",
    "registry",
    "required_companions",
    "select",
    "warm_up",
]

_MODULES: Final = (
    (trend, averages, channels, momentum, oscillators, volatility, volume, levels, microstructure, regime, statistics),
    (calendar, higher, single, double, triple, multiple, leader, second_exchange, stored),
)

LIVE_ENVIRONMENT: Final = MappingProxyType({"POLARS_MAX_THREADS": "1"})
"""Of a process that computes one bar at a time, set before it uses Polars: to wake another thread for its part of so
little takes longer than the part, at times by milliseconds."""


def compute(
    bars: pl.DataFrame,
    companions: Mapping[str, pl.DataFrame] | None = None,
    *,
    timeframe: Timeframe,
    features: Sequence[str] | None = None,
    plugins: Owners | None = None,
) -> pl.DataFrame:
    """Features of each bar, from that bar and those before it.

    A value depends on the declared look-back alone, so a day, a year and the live tail give the same numbers.
    Look-backs count rows: where bars are missing, they reach further back in time.

    Parameters
    ----------
    bars
        Bars of ONE market, ascending by ``ts`` (open time): ``market, ts, known_at, open, high, low, close, volume``;
        other columns are ignored.
    companions
        What else some features read (:data:`auxiliary_series.COMPANIONS`), by name; joined as of
        ``known_at``.
    timeframe
        Of the bars.
    features
        Names, families and patterns (:func:`select`); by default all.
    plugins
        Whose features there are beside the project's own (``settings.plugged``); by default those of the settings read
        last.

    Returns
    -------
    polars.DataFrame
        ``market, ts, known_at`` and one Float64 column per feature; one row for each bar from the
        :func:`lookback_bars`-th on. Values are finite, and null only in :func:`nullable_features`: where a companion is
        not given or had nothing to say.

    Raises
    ------
    InvalidFrame
        Columns, types or order are wrong, or values are null, infinite or negative.
    SettingsError
        A feature is not there.
    """
    return computation.compute(bars, select(features, timeframe, plugins), companions)


def compute_newest(
    held: Sequence[pl.DataFrame],
    companions: Sequence[Mapping[str, pl.DataFrame]] | None = None,
    *,
    timeframe: Timeframe,
    features: Sequence[str] | None = None,
    plugins: Owners | None = None,
) -> list[FeatureRow]:
    """The newest row of :func:`compute` for each of many markets, in one call; to the bit what each alone gives.

    Parameters
    ----------
    held
        The bars of one market each, at least :func:`lookback_bars` of them.
    companions
        For each market, as :func:`compute` takes them.
    timeframe, features, plugins
        As in :func:`compute`.

    Returns
    -------
    list
        One row for each market, in the order given.

    Raises
    ------
    InvalidFrame
        As :func:`compute`, and where a market has fewer bars.
    """
    return newest.compute_newest(held, select(features, timeframe, plugins), companions)


def warm_up() -> None:
    """Load the compiled loops, which the first call of :func:`compute` would do: a node does not let a bar wait."""
    windows.kernels()


def select(features: Sequence[str] | None, timeframe: Timeframe, plugins: Owners | None = None) -> FeatureSet:
    """The features of a timeframe that are chosen by name, family or pattern; None chooses all that it has.

    >>> minutes = Timeframe.parse("1m")
    >>> select(["rsi_*", "roc_4"], minutes).names
    ('roc_4', 'rsi_14', 'rsi_28')
    >>> select(["roc_4"], minutes).lookback
    datetime.timedelta(seconds=300)

    Raises
    ------
    SettingsError
        A name, family or pattern means no feature of the timeframe.
    """
    return REGISTRY.seen_by(plugins).select(features, timeframe)


def feature_names(
    timeframe: Timeframe, features: Sequence[str] | None = None, plugins: Owners | None = None
) -> tuple[str, ...]:
    """The features' column names, in order."""
    return select(features, timeframe, plugins).names


def lookback_bars(timeframe: Timeframe, features: Sequence[str] | None = None, plugins: Owners | None = None) -> int:
    """The longest look-back of any of the features in bars, the present one included."""
    return select(features, timeframe, plugins).lookback_bars


def registry(timeframe: Timeframe, plugins: Owners | None = None) -> Mapping[str, Feature]:
    """What is known of each feature of a timeframe, by name."""
    return MappingProxyType(REGISTRY.seen_by(plugins).on(timeframe).features)


def nullable_features(plugins: Owners | None = None) -> frozenset[str]:
    """The features, of any timeframe, that are null where a companion is missing; all others are always finite."""
    return REGISTRY.seen_by(plugins).nullable


def required_companions(names: Iterable[str], plugins: Owners | None = None) -> tuple[str, ...]:
    """The companions that some features read, e.g. those of a model."""
    known = REGISTRY.seen_by(plugins).declared
    return tuple(sorted({one for name in names if name in known for one in known[name].companions}))


def fingerprint(names: Collection[str] | None = None, plugins: Owners | None = None) -> str:
    """sha256 over names, parameters, look-backs and code: a model trusts only the features that it was trained on.

    Parameters
    ----------
    names
        The features of a model: a plug-in with none of them does not count. None counts every plug-in.
    """
    return REGISTRY.seen_by(plugins).fingerprint(names)
