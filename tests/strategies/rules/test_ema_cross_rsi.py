"""The rule of crossing means, against a plain implementation."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest

from tests.backtest.worlds import MINUTE, START, A, walk
from trading_assets.backtest.simulation.slices import decision_bars
from trading_assets.features.framework.bars import ema_memory
from trading_assets.features.framework.windows import ewma_memory
from trading_assets.settings import EmaCrossRsiSettings
from trading_assets.strategies.rules import rule_of
from trading_assets.strategies.rules.ema_cross_rsi import EmaCrossRsi
from trading_assets.strategies.rules.proofs import prove

QUICK = EmaCrossRsi(EmaCrossRsiSettings(fast=3, slow=6, rsi=4, overbought=90, oversold=10))


def bars_of(count: int, seed: int) -> pl.DataFrame:
    """Decision bars of a random walk."""
    candles = walk(15 * count, seed=seed, volatility=1e-3)
    bars = decision_bars(candles, timeframe="1m", decision_timeframe="15m", until=START + 15 * count * MINUTE)
    return bars.with_columns(market=pl.lit(A))


def plainly(rule: EmaCrossRsi, close: list[float]) -> list[int]:
    """The same, value by value from the newest bars alone."""
    chosen = rule.settings

    def mean(values: list[float], alpha: float, memory: int) -> float:
        weights = [(1 - alpha) ** age for age in range(memory)]
        newest = values[-memory:][::-1]
        return sum(w * v for w, v in zip(weights, newest, strict=True)) / sum(weights)

    def spread(known: list[float]) -> float:
        fast, slow = (mean(known, 2 / (n + 1), ema_memory(n)) for n in (chosen.fast, chosen.slow))
        return (fast - slow) / slow

    said = []
    for end in range(1, len(close) + 1):
        known = close[:end]
        if end < rule.lookback_bars:
            said.append(0)
            continue
        now, before = spread(known), spread(known[:-1])
        changes = [b - a for a, b in pairwise(known)]
        memory = ewma_memory(1 / chosen.rsi)
        up = mean([max(c, 0.0) for c in changes], 1 / chosen.rsi, memory)
        down = mean([max(-c, 0.0) for c in changes], 1 / chosen.rsi, memory)
        index = 100 * up / (up + down) if up + down else 50.0
        long = now > 1e-9 and before <= 1e-9 and index < chosen.overbought
        short = now < -1e-9 and before >= -1e-9 and index > chosen.oversold
        said.append(int(long) - int(short))
    return said


def test_it_says_what_it_is_made_of_and_where_it_comes_from() -> None:
    rule = rule_of(EmaCrossRsiSettings())
    assert rule.parameters == {"fast": 12, "slow": 26, "rsi": 14, "overbought": 70.0, "oversold": 30.0}
    assert "Wilder" in rule.source


@pytest.mark.parametrize("seed", range(3))
def test_it_says_what_a_plain_implementation_says(seed: int) -> None:
    bars = bars_of(QUICK.lookback_bars + 200, seed)
    said = QUICK.sides(bars)
    assert said.to_list() == plainly(QUICK, bars["close"].to_list())
    assert {1, -1} <= set(said)


def test_it_keeps_what_every_rule_promises() -> None:
    assert prove(QUICK) == {}
    assert prove(EmaCrossRsi(EmaCrossRsiSettings())) == {}
