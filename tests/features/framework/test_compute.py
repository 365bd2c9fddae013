from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.core.errors import InvalidFrame
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, feature_names, lookback_bars, nullable_features

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = lookback_bars(M15)

SOLID = [name for name in feature_names(M15) if name not in nullable_features()]


def test_there_is_one_finite_row_per_bar_from_the_longest_look_back_on(bars):
    features = compute(bars, timeframe=M15)
    assert features.columns == ["market", "ts", "known_at", *feature_names(M15)]
    assert features.select("market", "ts", "known_at").equals(
        bars.select("market", "ts", "known_at")[LOOKBACK_BARS - 1 :]
    )
    assert set(features.schema.dtypes()[3:]) == {pl.Float64}
    assert all(features[name].is_finite().all() for name in SOLID)
    assert all(features[name].is_null().all() for name in nullable_features())


def test_fewer_bars_than_the_look_back_give_an_empty_frame_of_the_same_columns(bars):
    for rows in (0, 1, LOOKBACK_BARS - 1):
        features = compute(bars[:rows], timeframe=M15)
        assert features.is_empty()
        assert features.columns == ["market", "ts", "known_at", *feature_names(M15)]
    assert compute(bars[:LOOKBACK_BARS], timeframe=M15).height == 1


@pytest.mark.parametrize(("tick", "factor"), [(0.01, 1024), (0.01, 2**-20), (1e-7, 3.7), (1e-7, 1e-8), (1e-7, 1e6)])
def test_neither_the_unit_of_the_price_nor_that_of_the_volume_matters(make_bars, tick, factor):
    # on a coarse tick, moves tie, and the last bit decides: powers of two keep it
    bars = make_bars(3_000, M15, tick=tick)
    scaled = bars.with_columns(pl.col("open", "high", "low", "close") * factor, pl.col("volume") * 7.3 / factor)
    one, other = compute(bars, timeframe=M15), compute(scaled, timeframe=M15)
    for name in SOLID:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9, atol=1e-10, err_msg=name)


def test_a_constant_price_gives_finite_and_neutral_values(bars):
    still = bars.with_columns(pl.lit(0.1).alias(name) for name in ("open", "high", "low", "close"))
    last = compute(still, timeframe=M15).row(-1, named=True)
    neutral = {"rsi_14": 50, "stoch_rsi_14": 50, "stoch_k_14": 50, "williams_r_28": -50, "cci_20": 0, "mfi_14": 50}
    neutral |= {"bollinger_percent_b_20": 0.5, "donchian_position_1d": 0.5, "ultimate_oscillator": 50, "adx_14": 0}
    neutral |= {"realised_volatility_1d": 0, "downside_share_1d": 0.5, "variance_ratio_4_192": 1, "choppiness_14": 100}
    neutral |= {"linear_slope_48": 0, "linear_r2_48": 0, "true_range_ratio_14": 1, "keltner_position_21": 0}
    assert {name: last[name] for name in neutral} == pytest.approx(neutral, abs=1e-9)
    assert [name for name in SOLID if not np.isfinite(last[name])] == []


def test_a_price_that_comes_to_rest_becomes_neutral_not_noise(bars):
    price = pl.col("open", "high", "low", "close")
    resting = bars.with_columns(pl.when(pl.int_range(pl.len()) < 1_000).then(price).otherwise(bars["close"][999]))
    last = compute(resting, timeframe=M15).row(-1, named=True)
    assert last["cci_20"] == 0
    assert last["stoch_rsi_14"] == 50
    assert last["bollinger_width_20"] == 0
    assert last["volume_move_correlation_96"] == 0
    assert [name for name in SOLID if not np.isfinite(last[name])] == []


def test_a_market_without_any_volume_gives_finite_and_neutral_values(bars):
    last = compute(bars.with_columns(volume=pl.lit(0.0)), timeframe=M15).row(-1, named=True)
    neutral = {"obv_slope_20": 0, "vwap_1d_distance": 0, "cmf_20": 0, "mfi_14": 50, "volume_zscore_1d": 0}
    neutral |= {"relative_volume_20": 1, "volume_trend_12_48": 0, "illiquidity_ratio_4h_7d": 0, "force_13": 0}
    neutral |= {"volume_move_correlation_96": 0, "traded_share_1d": 0}
    assert {name: last[name] for name in neutral} == pytest.approx(neutral, abs=1e-9)
    assert [name for name in SOLID if not np.isfinite(last[name])] == []


def test_the_calendar_tells_the_open_of_the_bar(bars):
    row = compute(bars, timeframe=M15).with_columns(hour=pl.col("ts").dt.hour(), day=pl.col("ts").dt.weekday())
    noon = row.filter((pl.col("hour") == 12) & (pl.col("ts").dt.minute() == 0))
    assert noon["day_cos"].round(12).unique().to_list() == [-1]
    assert noon["funding_elapsed"].unique().to_list() == [0.5]
    assert noon["session"].unique().to_list() == [1]
    assert row.filter(pl.col("is_weekend") == 1)["day"].unique().sort().to_list() == [6, 7]
    monday = row.filter((pl.col("day") == 1) & (pl.col("ts").dt.time() == pl.time(0)))
    assert monday["week_cos"].round(12).unique().to_list() == [1]


def test_missing_bars_are_not_filled(bars):
    gap = bars.filter((pl.col("ts") < bars["ts"][2_500]) | (pl.col("ts") >= bars["ts"][2_600]))
    features = compute(gap, timeframe=M15)
    assert features.height == gap.height - LOOKBACK_BARS + 1
    after = features.filter(pl.col("ts") == bars["ts"][2_600])
    assert after["roc_1"][0] == pytest.approx(bars["close"][2_600] / bars["close"][2_499] - 1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda bars: bars.drop("volume"), "no column volume"),
        (lambda bars: bars.reverse(), "ascending"),
        (lambda bars: pl.concat([bars[:10], bars[9:]]), "ascending"),
        (lambda bars: bars.with_columns(ts=pl.col("ts").dt.replace_time_zone(None)), "make it Datetime"),
        (lambda bars: bars.with_columns(pl.col("close").cast(pl.Float32)), "close is Float32"),
        (
            lambda bars: bars.with_columns(close=pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise("close")),
            "close is",
        ),
        (
            lambda bars: bars.with_columns(high=pl.when(pl.int_range(pl.len()) == 7).then(np.nan).otherwise("high")),
            "high is",
        ),
        (
            lambda bars: bars.with_columns(low=pl.when(pl.int_range(pl.len()) == 7).then(np.inf).otherwise("low")),
            "low is",
        ),
        (lambda bars: bars.with_columns(low=pl.lit(0.0)), "low is 0.0"),
        (lambda bars: bars.with_columns(pl.col("known_at") + timedelta(minutes=1)), "not of 15m"),
        (lambda bars: bars.with_columns(volume=pl.lit(-1.0)), "volume is -1.0"),
        (lambda bars: bars.with_columns(volume=pl.lit(1e300)), r"volume is 1e\+300"),
        (lambda bars: bars.with_columns(pl.col("open", "high", "low", "close") * 1e-70), "open is .*e-6"),
        (lambda bars: bars.with_columns(high=pl.col("low"), low=pl.col("high")), "are not between low .* and high"),
        (lambda bars: bars.with_columns(market=pl.lit(None, pl.String)), "market is null"),
        (
            lambda bars: pl.concat([bars, bars.with_columns(pl.col("ts") + timedelta(days=99), market=pl.lit("b"))]),
            "several markets",
        ),
    ],
)
def test_bars_that_cannot_give_honest_features_are_refused_with_the_reason(bars, spoil, message):
    with pytest.raises(InvalidFrame, match=message):
        compute(spoil(bars), timeframe=M15)


def test_the_correlation_of_volume_and_moves_is_pearsons(bars):
    last = compute(bars, timeframe=M15).row(-1, named=True)
    move = np.abs(np.diff(np.log(bars["close"].to_numpy())))[-96:]
    volume = bars["volume"].to_numpy()[-96:]
    assert last["volume_move_correlation_96"] == pytest.approx(np.corrcoef(volume, move)[0, 1], rel=1e-9)


def test_yang_zhang_is_the_published_estimator(bars):
    open_, high, low, close = (bars[name].to_numpy() for name in ("open", "high", "low", "close"))
    jump = np.log(open_[1:] / close[:-1])[-96:].var(ddof=1)
    body = np.log(close / open_)[-96:]
    up, down = np.log(high / open_)[-96:], np.log(low / open_)[-96:]
    shape = (up * (up - body) + down * (down - body)).mean()
    weight = 0.34 / (1.34 + 97 / 95)
    expected = np.sqrt(jump + weight * body.var(ddof=1) + (1 - weight) * shape)
    assert compute(bars, timeframe=M15)["yang_zhang_1d"][-1] == pytest.approx(expected, rel=1e-9)
