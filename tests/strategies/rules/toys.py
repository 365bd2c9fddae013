"""Rules that only tests have: one that finds what is planted, one that looks ahead, and a small world for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from tests.seats import registered_here
from trading_assets.settings import RuleSettings
from trading_assets.strategies.rules import Rule, register, registry


class DriftSettings(RuleSettings):
    """Of :class:`Drift`."""

    kind: Literal["drift"] = "drift"
    bars: int = Field(4, ge=1)
    per_mille: float = 4.0


class Drift(Rule[DriftSettings]):
    """The way that the price has gone: long after a rise over some bars, short after a fall."""

    section = DriftSettings
    inputs = ("close",)
    source = "this test"

    @property
    def lookback_bars(self) -> int:
        """The bars of the move, and the one before."""
        return self.settings.bars + 1

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 after a rise by more than the threshold, -1 after such a fall."""
        move = (pl.col("close").log() - pl.col("close").log().shift(self.settings.bars)) * 1000
        limit = self.settings.per_mille
        wanted = (move > limit).cast(pl.Int8) - (move < -limit).cast(pl.Int8)
        return bars.select(side=wanted.fill_null(0))["side"]


class AheadSettings(RuleSettings):
    """Of the leaking rules."""

    kind: Literal["ahead"] = "ahead"


class Ahead(Rule[AheadSettings]):
    """Long before the price rises: it has seen the next bar."""

    section = AheadSettings
    inputs = ("close",)
    source = "this test"
    lookback_bars = 2

    def sides(self, bars: pl.DataFrame) -> pl.Series:
        """1 where the next close is higher, -1 where it is lower."""
        after = np.sign(np.diff(bars["close"].to_numpy(), append=bars["close"][-1])).astype(np.int8)
        after[:1] = 0
        return pl.Series("side", after)


@contextmanager
def known(*rules: type[Rule[Any]]) -> Iterator[None]:
    """The rules are registered within."""
    with registered_here(registry._RULES):
        for rule in rules:
            register(rule)
        yield


def start() -> datetime:
    """Of every made-up history."""
    return datetime(2025, 1, 1, tzinfo=UTC)


def drifting(days: int, *, seed: int, market: str, edge: float = 0.25) -> pl.DataFrame:
    """Candles of 15 minutes whose price keeps its way for hours: what :class:`Drift` finds."""
    rng = np.random.default_rng(seed)
    rows = days * 96
    way = np.repeat(rng.choice([-1.0, 1.0], rows // 16 + 1), 16)[:rows]
    steps = 0.004 * (rng.standard_normal(rows) + edge * 4 * way)
    steps -= steps.mean()
    close = 100 * np.exp(np.cumsum(steps))
    before = np.concatenate(([100.0], close[:-1]))
    wick = 1 + 0.0005 * np.abs(rng.standard_normal((2, rows)))
    ts = pl.datetime_range(start(), start() + timedelta(days=days), "15m", closed="left", eager=True, time_unit="us")
    high, low = np.maximum(before, close) * wick[0], np.minimum(before, close) / wick[1]
    return pl.DataFrame(
        {"market": market, "timeframe": "15m", "ts": ts.cast(pl.Datetime("us", "UTC")), "open": before}
        | {"high": high, "low": low, "close": close, "volume": np.full(rows, 1000.0)}
    )
