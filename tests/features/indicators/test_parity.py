"""Where TA-Lib defines an indicator, our value is its value."""

from __future__ import annotations

import numpy as np
import pytest
import talib

from tests.features.conftest import recorded_bars
from tests.features.talib_peer import TOLERANCE, WARM_UP, deviations
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, lookback_bars, registry
from trading_assets.features.proofs.proving import RARITIES, made_up_jumps, made_up_rarity

M15 = Timeframe.parse("15m")

PATTERNS = {name: feature for name, feature in registry(M15).items() if feature.family == "patterns"}


def _above(found: dict[str, tuple[str, float]]) -> dict[str, tuple[str, float]]:
    return {name: one for name, one in found.items() if not one[1] <= TOLERANCE}


@pytest.mark.parametrize(("seed", "tick"), [(1, 0.01), (4, 0.05)])
def test_values_equal_talib_on_random_walks_also_with_many_equal_prices(make_bars, seed, tick):
    assert _above(deviations(make_bars(12_000, M15, seed=seed, tick=tick), M15)) == {}


@pytest.mark.parametrize(("timeframe", "seed"), [("1m", 2), ("5m", 3), ("1h", 5), ("4h", 6), ("1d", 7)])
def test_values_equal_talib_on_every_timeframe(make_bars, timeframe, seed):
    bar = Timeframe.parse(timeframe)
    found = deviations(make_bars(WARM_UP + lookback_bars(bar) + 500, bar, seed=seed), bar)
    assert _above(found) == {}
    assert len(found) > 100


def test_values_equal_talib_on_recorded_candles(real_bars):
    for name, candles in real_bars.items():
        assert _above(deviations(candles, M15, warm_up=min(WARM_UP, candles.height - 1_000))) == {}, name


ROUNDED_BY_TALIB = {"bollinger_percent_b_20", "bollinger_width_20", "cci_20", "trima_20_distance"}
"""Moves of a minute are small against the price: TA-Lib's running sums and squares show their rounding there."""


def _in_extended_precision(bars):
    """The same of windows of 20 bars, each from its own prices in long double."""

    def windows(values):
        return np.lib.stride_tricks.sliding_window_view(values.astype(np.longdouble), 20)

    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    closes = windows(close)
    typical = windows((high.astype(np.longdouble) + low + close) / 3)
    mean, half = closes.mean(axis=1), 2 * closes.std(axis=1)
    apart = np.abs(typical - typical.mean(axis=1, keepdims=True)).mean(axis=1)
    weights = np.minimum(np.arange(1, 21), np.arange(20, 0, -1)).astype(np.longdouble)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "bollinger_percent_b_20": np.where(half == 0, 0.5, 0.5 + (closes[:, -1] - mean) / (2 * half)),
            "bollinger_width_20": 2 * half / mean,
            "cci_20": np.where(apart == 0, 0, (typical[:, -1] - typical.mean(axis=1)) / (0.015 * apart)),
            "trima_20_distance": closes[:, -1] / ((closes * weights).sum(axis=1) / weights.sum()) - 1,
        }


@pytest.mark.parametrize(("file", "timeframe"), [("1m", "1m"), ("5m", "1h"), ("15m", "4h")])
def test_values_equal_talib_on_recorded_candles_of_other_timeframes(real_candles, file, timeframe):
    bar = Timeframe.parse(timeframe)
    candles = recorded_bars(real_candles / f"binance_BTC-USDT_{file}.parquet", bar)
    found = deviations(candles, bar, warm_up=min(WARM_UP, candles.height - 100))
    assert len(found) > 100
    assert _above(found).keys() <= (ROUNDED_BY_TALIB if timeframe == "1m" else set())
    ours = compute(candles, timeframe=bar, features=sorted(ROUNDED_BY_TALIB))
    for name, exact in _in_extended_precision(candles).items():
        size = np.maximum(np.abs(exact), np.median(np.abs(exact)))
        rounded_before = 100 if name == "cci_20" else 1  # of a third of three prices the last digit is rounded
        assert (np.abs(ours[name].to_numpy() - exact) / size).max() < rounded_before * TOLERANCE, name


def test_every_feature_that_names_talib_is_compared_with_it(make_bars):
    compared = set(deviations(make_bars(6_000, M15), M15))
    named = {name for name, feature in registry(M15).items() if "TA-Lib" in feature.source}
    slow_or_on_other_bars = {"ema_200_distance", "ema_200_slope"} | {name for name in named if name.startswith("h")}
    assert named - compared <= slow_or_on_other_bars | {"linear_r2_48"}


def test_patterns_equal_talib_on_candles_full_of_them():
    bars = made_up_jumps(60_000, M15)
    candles = [bars[name].to_numpy() for name in ("open", "high", "low", "close")]
    ours, seen = compute(bars, timeframe=M15), set()
    for name, feature in PATTERNS.items():
        theirs = getattr(talib, feature.source.split()[1])(*candles)[-ours.height :] / 100
        assert np.array_equal(ours[name], theirs), name
        seen |= {name} if theirs.any() else set()
    assert len(PATTERNS) == 61
    assert len(seen) >= 55


@pytest.mark.parametrize("name", RARITIES)
def test_rare_patterns_are_seen_as_talib_sees_them(name):
    bars = made_up_rarity(name, M15)
    candles = [bars[column].to_numpy() for column in ("open", "high", "low", "close")]
    theirs = getattr(talib, PATTERNS[name].source.split()[1])(*candles)[-1] / 100
    assert theirs != 0
    assert compute(bars, timeframe=M15)[name][-1] == theirs
