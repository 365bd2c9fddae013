"""Candles that cannot be traded are refused before the run, by name."""

from __future__ import annotations

import polars as pl
import pytest

from tests.backtest.simulation.single_trades import ONE_SIGNAL
from tests.backtest.worlds import (
    EXACT,
    GENEROUS,
    LABELS,
    MINUTE,
    START,
    A,
    B,
    backtest,
    candles,
    flat,
    signals,
)
from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.core.errors import InvalidFrame, MissingCandles, ModelError, SettingsError
from trading_assets.settings import ModelSettings


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("close", 101.0, "2025-01-01 00:03: open 100, high 100, low 100, close 101, volume 1000000"),
        ("open", 99.0, "open 99"),
        ("close", float("nan"), "close nan"),
        ("high", float("inf"), "high inf"),
        ("low", 0.0, "low 0"),
        ("open", None, "open missing"),
        ("volume", -1.0, "volume -1"),
        ("volume", float("nan"), "volume nan"),
    ],
)
def test_an_impossible_candle_is_refused_by_name_before_the_run(column: str, value: float | None, said: str) -> None:
    sound = candles(flat(60))
    third = sound["ts"] == START + 3 * MINUTE
    broken = sound.with_columns(pl.when(third).then(pl.lit(value, pl.Float64)).otherwise(column).alias(column))
    with pytest.raises(InvalidFrame, match=said) as refused:
        backtest(ONE_SIGNAL, {A: broken})
    assert refused.value.where == A
    if column == "volume":
        backtest(ONE_SIGNAL, {A: broken}, settings=EXACT.sized(max_volume_share=None))


def test_candles_out_of_order_are_refused() -> None:
    sound = candles(flat(60))
    for wrong in (sound.reverse(), pl.concat([sound, sound[-1:]])):
        with pytest.raises(InvalidFrame, match="ascending"):
            backtest(ONE_SIGNAL, {A: wrong})


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ModelError, match="walk_forward"):
        backtest(signals((B, 0, 0.7)), {A: candles(flat(60))})
    with pytest.raises(MissingCandles, match=B):
        backtest(ONE_SIGNAL, {A: candles(flat(60)), B: candles(flat(60)).clear()})
    slow = EXACT.model_copy(update={"latency_ms": 20_000.0})
    with pytest.raises(SettingsError, match="latency"):
        backtest(ONE_SIGNAL, {A: candles(flat(60))}, settings=slow)
    with pytest.raises(SettingsError, match="quote"):
        run_backtest(
            ONE_SIGNAL,
            {A: candles(flat(60)), "x:C/EUR": candles(flat(60))},
            candle_timeframe="1m",
            model=ModelSettings(markets=[A, "x:C/EUR"]),
            labels=LABELS,
            settings=EXACT,
            risk=GENEROUS,
        )
