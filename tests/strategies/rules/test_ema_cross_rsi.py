"""The rule of crossing means, against a plain implementation, and its way through the host."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.backtest.worlds import ANY_EDGE, EXACT, GENEROUS, MINUTE, START, A, walk
from tests.examples import examples
from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.backtest.simulation.slices import decision_bars
from trading_assets.core.sides import Side
from trading_assets.features.framework.bars import ema_memory
from trading_assets.features.framework.windows import ewma_memory
from trading_assets.labels import triple_barrier
from trading_assets.settings import EmaCrossRsiSettings, LabelSettings, ModelSettings
from trading_assets.strategies.asked import AskedStrategy, predictions
from trading_assets.strategies.base import Strategy
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.rule_strategy import RuleStrategy
from trading_assets.strategies.rules import rule_of
from trading_assets.strategies.rules.ema_cross_rsi import EmaCrossRsi
from trading_assets.strategies.signals import ClosedBar

QUICK = EmaCrossRsi(EmaCrossRsiSettings(fast=3, slow=6, rsi=4, overbought=90, oversold=10))
LABELS = LabelSettings(take_profit_pct=0.6, stop_loss_pct=0.5, horizon_bars=6)
RECORD = {Side.LONG: 0.7, Side.SHORT: 0.7}


def bars_of(minutes: int, seed: int, center: float | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decision bars of a random walk and its candles, or of its mirror."""
    candles = walk(minutes, seed=seed, volatility=1e-3)
    if center is not None:
        turned = candles.with_columns((center - pl.col(n)).round(2).alias(n) for n in ("open", "high", "low", "close"))
        candles = turned.rename({"high": "low", "low": "high"}).select(candles.columns)
    until = START + minutes * MINUTE
    bars = decision_bars(candles, timeframe="1m", decision_timeframe="15m", until=until)
    return bars.with_columns(market=pl.lit(A)), candles


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


def test_it_is_a_rule_and_with_a_record_a_strategy() -> None:
    rule = rule_of(EmaCrossRsiSettings())
    strategy: Strategy = RuleStrategy(rule, RECORD)
    assert rule.parameters == {"fast": 12, "slow": 26, "rsi": 14, "overbought": 70.0, "oversold": 30.0}
    assert (strategy.inputs, strategy.lookback_bars) == (("close",), rule.lookback_bars)
    assert "Wilder" in rule.source


@pytest.mark.parametrize("seed", range(3))
def test_it_says_what_a_plain_implementation_says(seed: int) -> None:
    bars, _ = bars_of(15 * (QUICK.lookback_bars + 200), seed)
    said = QUICK.sides(bars)
    assert said.to_list() == plainly(QUICK, bars["close"].to_list())
    assert {1, -1} <= set(said)


@examples(10)
@given(seed=st.integers(0, 1000), cut=st.integers(0, 150))
def test_no_later_bar_and_none_before_its_lookback_changes_an_answer(seed: int, cut: int) -> None:
    bars, _ = bars_of(15 * (QUICK.lookback_bars + 150), seed)
    whole = QUICK.sides(bars)
    end = QUICK.lookback_bars + cut
    assert QUICK.sides(bars[:end]).to_list() == whole[:end].to_list()
    assert QUICK.sides(bars[end - QUICK.lookback_bars : end])[-1] == whole[end - 1]


@examples(10)
@given(seed=st.integers(0, 1000))
def test_in_a_mirrored_world_it_says_the_other_side(seed: int) -> None:
    minutes = 15 * (QUICK.lookback_bars + 150)
    here, there = bars_of(minutes, seed)[0], bars_of(minutes, seed, center=200.0)[0]
    assert (QUICK.sides(here) == -QUICK.sides(there)).all()


def test_its_record_is_the_share_of_its_signals_that_reached_their_target() -> None:
    bars, candles = bars_of(6000, seed=4)
    sides = QUICK.sides(bars)
    until = candles["ts"][-1] + MINUTE
    labels = pl.concat(
        triple_barrier(
            bars.with_columns(side=pl.lit(side.value)), candles.with_columns(market=pl.lit(A)), candle_timeframe="1m",
            settings=LABELS, until=until,
        ).select("ts", side=pl.lit(side.value, pl.Int8), label="label")
        for side in Side
    )  # fmt: skip
    strategy = RuleStrategy.of_past(QUICK, bars, labels)
    for side in Side:
        mine = bars.filter(sides == side).join(labels.filter(pl.col("side") == side), on="ts")
        assert mine.height > 5
        assert strategy.record[side] == pytest.approx(((mine["label"] == 1).sum() + 1) / (mine.height + 2))
    nothing = RuleStrategy.of_past(QUICK, bars, labels.filter(pl.col("side") == 1))
    assert set(nothing.record) == {Side.LONG}
    assert nothing.answers(bars)["short"].null_count() == bars.height


@examples(5)
@given(seed=st.integers(0, 1000))
def test_asked_bar_by_bar_it_says_what_is_stored_of_all_bars_at_once(seed: int) -> None:
    bars, candles = bars_of(15 * (QUICK.lookback_bars + 150), seed)
    strategy = RuleStrategy(QUICK, RECORD)
    stored = predictions(strategy, bars, LABELS)
    assume(stored["side"].n_unique() == 2)
    source = AskedStrategy(strategy, entry=EntryRule(min_edge_bps=ANY_EDGE), labels=LABELS, name="rule")
    live = []
    for row in bars.iter_rows(named=True):
        (signal,) = source.on_bars([ClosedBar(timeframe="15m", **row)])
        if signal is not None:
            live.append((signal.ts, signal.side, signal.probability, round(signal.take_profit_pct, 9)))
            assert signal.enters
    assert live == [
        (row["ts"], row["side"], row["probability"], round(100 * row["take_profit"], 9))
        for row in stored.iter_rows(named=True)
    ]
    trades = run_backtest(
        stored,
        {A: candles},
        candle_timeframe="1m",
        model=ModelSettings(markets=[A], min_edge_bps=ANY_EDGE),
        labels=LABELS,
        settings=EXACT,
        risk=GENEROUS,
        name="rule",
    ).trades
    assert set(trades["signal_ts"]) <= set(stored["ts"])
    assert set(trades["side"]) <= {"long", "short"}
    assert trades.height > 0
