"""Barriers as wide as the market moves, bets on both sides, costs, and other outcomes than barriers."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import SettingsError
from trading_assets.core.timeframes import Timeframe
from trading_assets.labels import forward_return, scale_lookback, trend_scanning, triple_barrier, widths
from trading_assets.settings import LabelSettings

START = datetime(2025, 3, 1, tzinfo=UTC)
BAR = timedelta(minutes=15)
QUARTERS = Timeframe(15)
TS = pl.Datetime("us", "UTC")


def walk(rows: int, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, rows)))
    opens = np.concatenate(([100.0], close[:-1]))
    wick = np.abs(rng.normal(0, 0.002, (2, rows)))
    ts = pl.datetime_range(START, START + rows * BAR, BAR, closed="left", time_unit="us", eager=True)
    return pl.DataFrame({"market": ["m"] * rows, "ts": ts}).with_columns(
        known_at=pl.col("ts") + BAR,
        open=pl.Series(opens),
        high=pl.Series(np.maximum(opens, close) * (1 + wick[0])),
        low=pl.Series(np.minimum(opens, close) * (1 - wick[1])),
        close=pl.Series(close),
    )


def label(bars: pl.DataFrame, **kwargs: object) -> pl.DataFrame:
    chosen = LabelSettings(**{"horizon_bars": 8, **kwargs})  # type: ignore[arg-type]
    return triple_barrier(bars, bars, candle_timeframe="15m", settings=chosen, until=bars["known_at"][-1])


def test_atr_barriers_are_multiples_of_the_mean_true_range() -> None:
    bars = walk(12)
    made = widths(bars, LabelSettings(barriers="atr", scale_bars=3, take_profit_multiple=2, stop_loss_multiple=0.5))
    high, low, close = (bars[name].to_list() for name in ("high", "low", "close"))
    ranges = [max(high[i], close[i - 1]) - min(low[i], close[i - 1]) for i in (9, 10, 11)]
    assert made["take_profit"][11] == pytest.approx(2 * sum(ranges) / 3 / close[11], rel=1e-12)
    assert made["stop_loss"][11] == pytest.approx(0.5 * sum(ranges) / 3 / close[11], rel=1e-12)
    assert made["take_profit"].null_count() == 3


def test_volatility_barriers_are_what_a_random_walk_covers_within_the_horizon() -> None:
    bars = walk(30)
    made = widths(bars, LabelSettings(barriers="volatility", scale_bars=10, horizon_bars=16, stop_loss_multiple=1))
    returns = np.diff(np.log(bars["close"].to_numpy()))[-10:]
    assert made["stop_loss"][29] == pytest.approx(returns.std(ddof=1) * math.sqrt(16), rel=1e-9)


@pytest.mark.parametrize("kind", ["fixed", "atr", "volatility"])
def test_a_width_depends_on_its_look_back_alone(kind: str) -> None:
    bars, chosen = walk(300), LabelSettings(barriers=kind, scale_bars=20)  # type: ignore[arg-type]
    whole = widths(bars, chosen)
    for row in (60, 200, 299):
        tail = widths(bars.head(row + 1).tail(scale_lookback(chosen)), chosen)
        assert tail.row(-1) == pytest.approx(whole.row(row), rel=1e-9)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, None])
@pytest.mark.parametrize("column", ["high", "low", "close"])
@pytest.mark.parametrize("kind", ["atr", "volatility"])
def test_a_price_that_is_none_leaves_no_width_that_it_would_be_part_of(
    kind: str, column: str, bad: float | None
) -> None:
    bars, chosen = walk(30), LabelSettings(barriers=kind, scale_bars=4)  # type: ignore[arg-type]
    broken = bars.with_columns(
        pl.when(pl.int_range(pl.len()) == 15).then(pl.lit(bad, pl.Float64)).otherwise(column).alias(column)
    )
    last = {"atr": {"close": 19, "high": 18, "low": 18}, "volatility": {"close": 19}}[kind].get(column, 14)
    whole = widths(bars, chosen)
    for name in ("take_profit", "stop_loss"):
        found = widths(broken, chosen)[name].to_list()
        assert found == [None if 15 <= row <= last else one for row, one in enumerate(whole[name].to_list())]


def test_a_market_that_stands_still_has_no_scaled_barriers_and_no_label() -> None:
    bars = walk(60).with_columns(open=100.0, high=100.0, low=100.0, close=100.0)
    assert widths(bars, LabelSettings(barriers="atr", scale_bars=5))["stop_loss"].is_null().all()
    assert label(bars, barriers="volatility", scale_bars=5).is_empty()


def test_a_scaled_label_is_the_fixed_one_of_the_same_width() -> None:
    bars = walk(200)
    scaled = label(bars, barriers="atr", scale_bars=14)
    for row in scaled.gather_every(17).iter_rows(named=True):
        one = bars.filter(pl.col("ts") >= row["ts"])
        same = label(one, take_profit_pct=100 * row["take_profit"], stop_loss_pct=100 * row["stop_loss"]).row(
            0, named=True
        )
        assert {n: same[n] for n in ("label", "label_end", "barrier")} == {
            n: row[n] for n in ("label", "label_end", "barrier")
        }
        assert same["return"] == pytest.approx(row["return"], rel=1e-9)


def mirrored(bars: pl.DataFrame) -> pl.DataFrame:
    """The market upside down: what rose by a factor falls by it."""
    return bars.with_columns(
        open=1 / pl.col("open"), close=1 / pl.col("close"), high=1 / pl.col("low"), low=1 / pl.col("high")
    )


@examples(25)
@given(seed=st.integers(0, 1000), policy=st.sampled_from(["worst_case", "best_case"]))
def test_a_short_touches_in_a_market_what_a_long_touches_in_its_mirror(seed: int, policy: str) -> None:
    bars = walk(80, seed)
    # In the mirror a rise of w becomes a fall of w / (1 + w).
    target, stop = 0.012, 0.006
    short = label(
        bars.with_columns(side=pl.lit(-1)), take_profit_pct=100 * target, stop_loss_pct=100 * stop, ambiguous=policy
    )
    long = label(
        mirrored(bars),
        take_profit_pct=100 * (1 / (1 - target) - 1),
        stop_loss_pct=100 * (1 - 1 / (1 + stop)),
        ambiguous=policy,
    )
    assert short["label"].to_list() == long["label"].to_list()
    assert short["label_end"].to_list() == long["label_end"].to_list()
    assert short["ambiguous"].to_list() == long["ambiguous"].to_list()
    assert set(short["side"]) == {-1}


def test_a_short_earns_the_fall() -> None:
    bars = walk(40).with_columns(side=pl.lit(-1))
    found = label(bars, take_profit_pct=1, stop_loss_pct=1)
    hit = found.filter(pl.col("barrier") == "take_profit", pl.col("return") < 0.0101)
    assert hit.height
    assert hit["return"].to_numpy() == pytest.approx(0.01)


def test_costs_come_off_every_return_and_a_target_that_they_eat_is_no_win() -> None:
    bars = walk(200)
    free, costly = label(bars, take_profit_pct=0.3), label(bars, take_profit_pct=0.3, cost_bps=10)
    assert (free["return"] - costly["return"]).to_numpy() == pytest.approx(0.001)
    assert free["label"].equals(costly["label"])
    eaten = label(bars, take_profit_pct=0.3, cost_bps=2000)
    assert not (eaten["label"] == 1).any()
    assert eaten["barrier"].equals(free["barrier"])


def test_a_forward_return_is_measured_in_time_and_a_missing_end_gives_none() -> None:
    bars = walk(10)
    found = forward_return(bars, horizon_bars=3, timeframe=QUARTERS, until=bars["known_at"][-1])
    close = bars["close"].to_list()
    assert found.height == 7
    assert found["return"][2] == pytest.approx(close[5] / close[2] - 1)
    assert found["label_end"][2] == bars["known_at"][5]
    gap = forward_return(
        bars.filter(pl.col("ts") != bars["ts"][5]), horizon_bars=3, timeframe=QUARTERS, until=bars["known_at"][-1]
    )
    assert bars["ts"][2] not in gap["ts"].to_list()
    assert gap["ts"].to_list() == [bars["ts"][i] for i in (0, 1, 3, 4, 6)]


def test_bars_known_at_the_same_time_give_each_bar_one_forward_return() -> None:
    bars = walk(10).with_columns(
        known_at=pl.when(pl.int_range(pl.len()) == 4).then(pl.col("known_at") + BAR).otherwise("known_at")
    )
    found = forward_return(bars, horizon_bars=3, timeframe=QUARTERS, until=bars["known_at"][-1])
    assert found["ts"].is_unique().all()
    assert found.filter(pl.col("ts") == bars["ts"][2])["return"].item() == pytest.approx(
        bars["close"][5] / bars["close"][2] - 1
    )


def slope_t(y: np.ndarray) -> float:
    """The textbook way: least squares with a constant."""
    x = np.column_stack([np.ones(len(y)), np.arange(len(y))])
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    residual = y - x @ beta
    variance = residual @ residual / (len(y) - 2) * np.linalg.inv(x.T @ x)[1, 1]
    return float(beta[1] / math.sqrt(variance))


def test_trend_scanning_takes_the_span_with_the_most_significant_slope() -> None:
    bars, spans = walk(60), (5, 8, 13)
    found = trend_scanning(bars, spans=spans, until=bars["known_at"][-1])
    assert found.height == 60 - 13 + 1
    y = np.log(bars["close"].to_numpy())
    for row, (span, t) in enumerate(found.select("span", "t_value").iter_rows()):
        values = {s: slope_t(y[row : row + s]) for s in spans}
        best = max(values, key=lambda s: abs(values[s]))
        assert (span, t) == (best, pytest.approx(values[best], rel=1e-6))
        close = bars["close"]
        assert found["return"][row] == pytest.approx(close[row + span - 1] / close[row] - 1)
    assert (found["label"] == found["t_value"].sign().cast(pl.Int8)).all()


def test_a_trend_is_known_when_no_longer_one_can_win_any_more() -> None:
    bars, spans = walk(60), range(3, 20)
    found = trend_scanning(bars, spans=spans, until=bars["known_at"][-1])
    assert found["label_end"].to_list() == bars["known_at"][18:].to_list()
    for row in range(0, found.height, 5):
        future = pl.when(pl.col("known_at") > found["label_end"][row]).then(50.0).otherwise("close")
        changed = trend_scanning(bars.with_columns(close=future), spans=spans, until=bars["known_at"][-1])
        assert changed.row(row) == found.row(row)


def test_a_perfect_trend_and_a_flat_market_have_finite_t_values() -> None:
    bars = walk(20)
    rising = trend_scanning(
        bars.with_columns(close=pl.lit(1.01).pow(pl.int_range(pl.len()))), spans=[5], until=bars["known_at"][-1]
    )
    assert (rising["t_value"] > 1e3).all()
    assert rising["t_value"].is_finite().all()
    single = trend_scanning(bars.with_columns(pl.col("close").cast(pl.Float32)), spans=[5], until=bars["known_at"][-1])
    assert single.schema == rising.schema
    flat = trend_scanning(bars.with_columns(close=pl.lit(7.0)), spans=[5], until=bars["known_at"][-1])
    assert (flat["label"] == 0).all()
    assert trend_scanning(bars.head(4), spans=[5], until=bars["known_at"][-1]).schema == rising.schema
    with pytest.raises(SettingsError, match="at least 3"):
        trend_scanning(bars, spans=[2], until=bars["known_at"][-1])


def test_no_outcome_ends_after_what_is_known() -> None:
    bars = walk(60)
    until = bars["known_at"][40]
    for found in (
        forward_return(bars, horizon_bars=4, timeframe=QUARTERS, until=until),
        trend_scanning(bars, spans=range(3, 9), until=until),
    ):
        assert found.height
        assert (found["label_end"] <= until).all()
