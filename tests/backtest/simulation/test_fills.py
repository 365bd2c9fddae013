"""How much fills, and at what price: volume, slippage, targets that are touched, stress."""

from __future__ import annotations

import polars as pl
import pytest

from tests.backtest.simulation.single_trades import ONE_SIGNAL
from tests.backtest.worlds import (
    EXACT,
    GENEROUS,
    LABELS,
    MINUTE,
    QUARTER,
    START,
    A,
    backtest,
    candles,
    flat,
    random_signals,
    signals,
    walk,
)
from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.backtest.stress import stress
from trading_assets.settings import BacktestSettings, ModelSettings
from trading_assets.strategies.entry_rule import EntryRule


def thin(per_minute: float) -> pl.DataFrame:
    return candles(flat(200)).with_columns(volume=pl.lit(per_minute))


def test_an_entry_is_cut_to_its_share_of_the_volume_and_the_report_counts_it() -> None:
    result = backtest(ONE_SIGNAL, {A: thin(20.0)})
    assert result.trades["quantity"].to_list() == [30.0]  # of 100, where the bar traded 300
    assert result.metrics["capped"] == 1
    assert backtest(ONE_SIGNAL, {A: thin(1000.0)}).metrics["capped"] == 0


@pytest.mark.parametrize("per_minute", [0.0, 1e-6])
def test_candles_without_enough_volume_are_not_traded_and_the_reason_is_said(per_minute: float) -> None:
    result = backtest(ONE_SIGNAL, {A: thin(per_minute)})
    assert result.trades.is_empty()
    assert result.refusals == {"too little volume in the bar": 1}
    assert result.metrics["refused"] == 1


def test_without_a_cap_volume_is_not_looked_at() -> None:
    uncapped = EXACT.sized(max_volume_share=None)
    result = backtest(ONE_SIGNAL, {A: thin(0.0)}, settings=uncapped)
    assert result.trades["quantity"].to_list() == [100.0]


def test_slippage_in_basis_points_is_charged_on_market_orders_and_not_on_a_target_that_rests() -> None:
    slips = EXACT.model_copy(update={"slippage_bps": 3.0})
    won, lost = [*flat(20), (100, 103, 100, 103), *flat(60, 103)], [*flat(20), (100, 100, 98, 98), *flat(60, 98)]
    for rows, orders_at_market in ((won, 1), (lost, 2)):
        usual, slipped = (
            backtest(signals((A, 0, 0.9)), {A: candles(rows)}, settings=costs).trades.row(0, named=True)
            for costs in (EXACT, slips)
        )
        notional = usual["quantity"] * (100 if orders_at_market == 1 else 199)
        assert slipped["fees"] - usual["fees"] == pytest.approx(notional * 3e-4)
        assert [slipped[name] for name in ("entry_price", "exit_price")] == [
            usual[name] for name in ("entry_price", "exit_price")
        ]


def test_a_target_that_is_touched_fills_and_under_stress_only_one_that_is_passed_by_a_tick() -> None:
    stressed = EXACT.model_copy(update={"target_fill": "through"})
    touched = [*flat(20), (100, 102, 100, 101), *flat(60, 101)]
    passed = [*flat(20), (100, 102.01, 100, 101), *flat(60, 101)]
    ends = [
        backtest(signals((A, 0, 0.9)), {A: candles(rows)}, settings=costs).trades["exit_reason"].to_list()
        for costs in (EXACT, stressed)
        for rows in (touched, passed)
    ]
    assert ends == [["take_profit"], ["take_profit"], ["time"], ["take_profit"]]


@pytest.mark.parametrize("traded", [0.0, 1e-9])
def test_the_price_of_a_candle_without_volume_counts(traded: float) -> None:
    rows = [*flat(20), (100.0, 100.0, 90.0, 90.0), *flat(60, 90)]
    path = candles(rows)
    path = path.with_columns(volume=pl.when(path["ts"] < START + QUARTER).then(1e6).otherwise(traded))
    (trade,) = backtest(ONE_SIGNAL, {A: path}).trades.iter_rows(named=True)
    assert (trade["exit_reason"], trade["exit_price"]) == ("stop_loss", pytest.approx(99, abs=1))
    assert trade["exit_ts"] < START + 21 * MINUTE


def test_entries_are_decided_with_the_costs_reckoned_with() -> None:
    costs = BacktestSettings()
    between = EntryRule.of(ModelSettings(markets=[A]), cost_bps=costs.round_trip_bps).break_even(2.0, 1.0) + 0.003
    assert between < EntryRule(cost_bps=costs.stressed().round_trip_bps).break_even(2.0, 1.0)
    made = [
        run_backtest(
            signals((A, 0, between)),
            {A: candles(flat(120))},
            candle_timeframe="1m",
            model=ModelSettings(markets=[A]),
            labels=LABELS,
            settings=chosen,
            risk=GENEROUS,
            reckoned_bps=reckoned,
        ).trades.height
        for chosen, reckoned in ((costs, None), (costs.stressed(), None), (costs.stressed(), costs.round_trip_bps))
    ]
    assert made == [1, 0, 1]


def test_the_stress_repeats_a_backtest_with_worse_fills() -> None:
    predictions, frames = random_signals(A, 60 * 24 * 4, seed=3), {A: walk(60 * 24 * 4, seed=3)}
    costs = BacktestSettings()
    usual = backtest(predictions, frames, settings=costs)
    found = stress(lambda worse: backtest(predictions, frames, settings=worse, reckoned_bps=12), costs)
    assert found["stress_trades"] > 10
    assert found["stress_total_return"] < usual.metrics["total_return"]
    assert set(found) <= {f"stress_{name}" for name in usual.metrics}
