"""Made-up markets, and the trades that the event-driven backtest makes of a rule's signals on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from trading_assets.backtest.simulation.engine import BacktestResult, run_backtest
from trading_assets.core.candles import timeframe_delta
from trading_assets.core.sides import Side
from trading_assets.labels import widths
from trading_assets.screening.frames import Screening
from trading_assets.settings import BacktestSettings, LabelSettings, RiskSettings, RuleSettings, RuleStrategySettings
from trading_assets.strategies.base import Rule
from trading_assets.strategies.rules import rule_of
from trading_assets.strategies.rules.rows import rule_rows

MARKET = "sample:A/USDT:USDT"
START = datetime(2025, 1, 1, tzinfo=UTC)
_NOTHING = BacktestSettings(maker_fee_bps=0, taker_fee_bps=0, slippage_bps=0, slippage_probability=0)
FREE = _NOTHING.sized(max_volume_share=None)
"""Nothing costs anything."""

NO_LIMITS = RiskSettings(max_position_notional=1e9, max_daily_loss=1e9, max_orders_per_minute=1000)


def candles(
    rows: int, *, timeframe: str = "15m", seed: int = 1, scale: float = 4e-3, price: float = 100.0
) -> pl.DataFrame:
    """A random walk with two decimals."""
    rng, step = np.random.default_rng(seed), timeframe_delta(timeframe)
    close = price * np.exp(np.cumsum(rng.normal(0, scale, rows)))
    open_ = np.concatenate([[price], close[:-1]])
    high = np.maximum(open_, close) * (1 + rng.exponential(scale / 3, rows))
    low = np.minimum(open_, close) * (1 - rng.exponential(scale / 3, rows))
    ts = pl.datetime_range(START, START + step * (rows - 1), step, time_unit="us", time_zone="UTC", eager=True)
    prices = {name: one.round(2) for name, one in (("open", open_), ("high", high), ("low", low), ("close", close))}
    return pl.DataFrame({"ts": ts, **prices, "volume": np.full(rows, 1e6)})


def path(*prices: tuple[float, float, float, float], timeframe: str = "1m") -> pl.DataFrame:
    """Candles by hand: open, high, low, close of each."""
    ts = [START + n * timeframe_delta(timeframe) for n in range(len(prices))]
    frame = pl.DataFrame(prices, schema=dict.fromkeys(("open", "high", "low", "close"), pl.Float64), orient="row")
    return (
        pl.DataFrame({"ts": ts}, schema={"ts": pl.Datetime("us", "UTC")}).hstack(frame).with_columns(volume=pl.lit(1e6))
    )


def signals(bars: pl.DataFrame, rule: RuleSettings, sides: Sequence[Side], labels: LabelSettings) -> pl.DataFrame:
    """Predictions that are always entered on, where the rule wants a trade."""
    made = rule_of(rule)
    distances = bars.select("ts").hstack(widths(bars, labels))
    return (
        rule_rows(bars, made)
        .filter(pl.col("wanted").is_in([float(side) for side in sides]))
        .join(distances, on="ts")
        .filter(pl.col("take_profit").is_not_null())
        .select(
            "market", "ts", "known_at", "take_profit", "stop_loss", side=pl.col("wanted").cast(pl.Int8), probability=1.0
        )
    )


def by_events(
    frames: Mapping[str, pl.DataFrame],
    bars: Mapping[str, pl.DataFrame],
    rule: RuleSettings,
    *,
    candle_timeframe: str,
    labels: LabelSettings,
    sides: Sequence[Side],
    settings: BacktestSettings,
    risk: RiskSettings = NO_LIMITS,
) -> BacktestResult | None:
    """The backtest of every signal of a rule; None where there is none."""
    said = pl.concat(signals(one, rule, sides, labels) for one in bars.values())
    if said.is_empty():
        return None
    spec: dict[str, Any] = {"markets": list(frames), "sides": [side.word for side in sides], "rule": rule}
    return run_backtest(
        said,
        frames,
        candle_timeframe=candle_timeframe,
        model=RuleStrategySettings.model_validate(spec | {"min_edge_bps": -1e6}),
        labels=labels,
        settings=settings,
        risk=risk,
    )


def known(bars: pl.DataFrame, market: str, length: timedelta) -> pl.DataFrame:
    """Candles as the bars that are decided on."""
    return bars.with_columns(market=pl.lit(market), known_at=pl.col("ts") + length)


class SaysVolume(RuleSettings):
    """Says by the volume: 1 long, 2 short."""

    kind: str = "says_volume"
    other: int = 0


class OfVolume(Rule[SaysVolume]):
    """A rule whose signals a test writes into the candles."""

    section = SaysVolume
    inputs = ("volume",)
    source = "a test"

    @property
    def lookback_bars(self) -> int:
        """The bar itself."""
        return 1

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """By the volume."""
        said = pl.when(pl.col("volume") == 1).then(1).when(pl.col("volume") == 2).then(-1).otherwise(0)
        return bars.select(said.cast(pl.Int8).alias("side"))["side"]


def at(frame: pl.DataFrame, sides: Mapping[int, int]) -> pl.DataFrame:
    """Candles on which :class:`OfVolume` wants trades: row -> 1 or -1."""
    volume = np.full(frame.height, 1e6)
    for row, side in sides.items():
        volume[row] = 1 if side > 0 else 2
    return frame.with_columns(volume=volume)


def screening(frame: pl.DataFrame | Mapping[str, pl.DataFrame], **how: Any) -> Screening:
    """Minute by minute, both sides, without costs or limits where nothing else is said."""
    frames = {MARKET: frame} if isinstance(frame, pl.DataFrame) else frame
    labels = LabelSettings(timeframe="1m", take_profit_pct=2.0, stop_loss_pct=1.0, horizon_bars=4)
    usual = {"candle_timeframe": "1m", "labels": labels, "sides": tuple(Side), "settings": FREE, "risk": NO_LIMITS}
    return Screening(frames, **usual | how)
