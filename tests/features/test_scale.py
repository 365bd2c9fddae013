"""Features do not depend on the units of price and volume."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest

from tests.scaling import rescaled
from trading_assets import features
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.proofs.proving import made_up_bars, made_up_companions

M15 = Timeframe.parse("15m")

KEYS = ("market", "ts", "known_at")
ROWS = 2_600
PRICED = ("leader", "second_exchange")
"""Companions that are prices."""

TIES = {"directional_movement", "directional_rating", "directional_trend", "supertrend"}
"""Compare differences of prices, and on a tick such differences tie: the last bit decides, as in TA-Lib."""


def bars_of(*, ticks: bool) -> pl.DataFrame:
    """Bars with two decimals, or with prices that never tie."""
    bars = made_up_bars(ROWS, M15, tick=0.01 if ticks else 1e-9)
    decimals = 2 if ticks else 9
    return bars.with_columns(pl.col("open", "high", "low", "close").round(decimals), pl.col("volume").round(3))


def computed(bars: pl.DataFrame, companions: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    return features.compute(bars, companions=companions, timeframe=M15).drop(KEYS)


def in_other_units(bars: pl.DataFrame, price: int, volume: int) -> pl.DataFrame:
    companions = made_up_companions(bars, M15)
    scaled = {
        name: companions[name].with_columns(
            close=pl.Series([None if one is None else float(f"{one!r}e{price}") for one in companions[name]["close"]])
        )
        for name in PRICED
    }
    return computed(rescaled(bars, price, volume), companions | scaled)


@pytest.mark.parametrize(("price", "volume"), [(2.0**-40, 1.0), (2.0**20, 2.0**40), (1.0, 2.0**-20)])
def test_powers_of_two_change_no_feature(price: float, volume: float) -> None:
    bars = bars_of(ticks=True)
    companions = made_up_companions(bars, M15)
    priced = {name: companions[name].with_columns(pl.col("close") * price) for name in PRICED}
    scaled = bars.with_columns(pl.col("open", "high", "low", "close") * price, pl.col("volume") * volume)
    assert differing(computed(bars, companions), computed(scaled, companions | priced), 1e-9) == {}


@pytest.mark.parametrize(("price", "volume"), [(-12, 12), (6, -6)])
@pytest.mark.parametrize("ticks", [True, False])
def test_a_market_in_other_units_has_the_same_features(price: int, volume: int, ticks: bool) -> None:
    bars = bars_of(ticks=ticks)
    found = differing(in_other_units(bars, 0, 0), in_other_units(bars, price, volume), 1e-9)
    if not ticks:
        assert found == {}
    else:
        tied = {name for name in found if name.startswith("pattern_") or features.registry(M15)[name].indicator in TIES}
        assert found.keys() - tied == set()


def differing(one: pl.DataFrame, other: pl.DataFrame, tolerance: float) -> dict[str, float]:
    """Feature -> the share of the rows in which two frames differ."""
    shares = {}
    for name in one.columns:
        ours, theirs = (frame[name].cast(pl.Float64).to_numpy() for frame in (one, other))
        shares[name] = 1 - np.isclose(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True).mean()
    return {name: float(share) for name, share in shares.items() if share}
