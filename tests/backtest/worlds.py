"""Small made-up markets for the backtest's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from trading_assets.backtest.simulation.engine import BacktestResult, run_backtest
from trading_assets.backtest.simulation.venue import EngineBars, Feed
from trading_assets.core.sides import Side
from trading_assets.settings import BacktestSettings, EquityShareSettings, LabelSettings, ModelSettings, RiskSettings

A = "sample:AAA/USDT:USDT"
B = "sample:BBB/USDT:USDT"
START = datetime(2025, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)

EXACT = BacktestSettings(
    slippage_probability=0.0, slippage_bps=0.0, maker_fee_bps=2.0, taker_fee_bps=5.0, latency_ms=100.0
)
FREE = EXACT.model_copy(update={"maker_fee_bps": 0.0, "taker_fee_bps": 0.0})


def share_of_equity(share: float) -> EquityShareSettings:
    """All positions the same share of equity, whatever the volume."""
    return EquityShareSettings(position_share=share, max_volume_share=None)


ANY_EDGE = -1e6
"""With it the threshold alone decides."""

GENEROUS = RiskSettings(max_position_notional=1e9, max_daily_loss=1e9, max_orders_per_minute=10_000)
LABELS = LabelSettings(take_profit_pct=2.0, stop_loss_pct=1.0, horizon_bars=4)


def candles(rows: Sequence[tuple[float, float, float, float]], *, start: datetime = START) -> pl.DataFrame:
    """One-minute candles from (open, high, low, close), with plenty of volume."""
    return pl.DataFrame(
        [(start + n * MINUTE, *row, 1e6) for n, row in enumerate(rows)],
        schema={"ts": pl.Datetime("us", "UTC")} | dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64),
        orient="row",
    )


def flat(minutes: int, price: float = 100.0) -> list[tuple[float, float, float, float]]:
    """Minutes without a move."""
    return [(price, price, price, price)] * minutes


def signals(*bars: tuple[str, int, float], side: Side = Side.LONG, bar: timedelta = QUARTER) -> pl.DataFrame:
    """Predictions of one side from (market, number of the bar, probability)."""
    return pl.DataFrame(
        [(market, START + n * bar, START + (n + 1) * bar, p, side.value) for market, n, p in bars],
        schema={
            "market": pl.String,
            "ts": pl.Datetime("us", "UTC"),
            "known_at": pl.Datetime("us", "UTC"),
            "probability": pl.Float64,
            "side": pl.Int8,
        },
        orient="row",
    )


def walk(minutes: int, *, seed: int, volatility: float = 1e-3, gap_share: float = 0.0) -> pl.DataFrame:
    """A random walk with two decimals; ``gap_share`` of its minutes are missing, some of them in long runs."""
    rng = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, volatility, minutes))), 2)
    jump = np.round(rng.normal(0, 0.05, minutes) * (rng.random(minutes) < 0.1), 2)
    opens = np.maximum(np.round(np.concatenate(([100.0], close[:-1])) + jump, 2), 0.01)
    spread = 100 * volatility / 2
    high = np.round(np.maximum(opens, close) + np.abs(rng.normal(0, spread, minutes)), 2)
    low = np.maximum(np.round(np.minimum(opens, close) - np.abs(rng.normal(0, spread, minutes)), 2), 0.01)
    frame = candles(list(zip(opens.tolist(), high.tolist(), low.tolist(), close.tolist(), strict=True)))
    keep = rng.random(minutes) >= gap_share / 2
    if gap_share:
        hole = int(minutes * gap_share / 2)
        begin = int(rng.integers(0, minutes - hole))
        keep[begin : begin + hole] = False
    keep[:15] = True
    return frame.filter(pl.Series(keep))


def engine_bars(feed: Feed) -> list[Any]:
    """All of a feed as the engine gets it."""
    return EngineBars(feed)(0, feed.bars.height)


def random_signals(
    market: str,
    minutes: int,
    *,
    seed: int,
    share: float = 0.3,
    side: Side = Side.LONG,
    bar: timedelta = QUARTER,
) -> pl.DataFrame:
    """A prediction for each bar, ``share`` of them above 0.55."""
    rng = np.random.default_rng(seed)
    count = minutes * MINUTE // bar
    odds = np.where(rng.random(count) < share, rng.uniform(0.55, 0.9, count), 0.4)
    return signals(*((market, n, float(p)) for n, p in enumerate(odds)), side=side, bar=bar)


def random_sides(market: str, minutes: int, *, seed: int, share: float = 0.3) -> pl.DataFrame:
    """A prediction of each side for each 15-minute bar."""
    return pl.concat(random_signals(market, minutes, seed=seed + 1 + side, share=share, side=side) for side in Side)


def backtest(
    predictions: pl.DataFrame,
    frames: dict[str, pl.DataFrame],
    *,
    settings: BacktestSettings = EXACT,
    labels: LabelSettings = LABELS,
    risk: RiskSettings = GENEROUS,
    timeframe: str = "1m",
    reckoned_bps: float | None = None,
    funding: Mapping[str, pl.DataFrame] = MappingProxyType({}),
) -> BacktestResult:
    """Run with exact settings, threshold 0.55."""
    return run_backtest(
        predictions,
        frames,
        candle_timeframe=timeframe,
        model=ModelSettings(markets=list(frames), threshold=0.55, min_edge_bps=ANY_EDGE),
        labels=labels,
        settings=settings,
        risk=risk,
        name="test",
        reckoned_bps=reckoned_bps,
        funding=funding,
    )
