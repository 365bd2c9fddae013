"""Where TA-Lib defines an indicator, our value is its value."""

from __future__ import annotations

import numpy as np
import pytest
import talib

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
