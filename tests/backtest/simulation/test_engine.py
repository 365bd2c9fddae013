"""The simulated exchange: known answers for entries, exits, costs and limits."""

from __future__ import annotations

import math
from datetime import timedelta

import polars as pl
import pytest

from tests.backtest.simulation.single_trades import ONE_SIGNAL, QUANTITY, one_trade
from tests.backtest.worlds import (
    EXACT,
    FREE,
    GENEROUS,
    LABELS,
    MINUTE,
    QUARTER,
    START,
    A,
    B,
    backtest,
    candles,
    flat,
    random_signals,
    signals,
    walk,
)
from trading_assets.settings import RiskSettings
from trading_assets.store.tables import BACKTEST_METRICS, EQUITY, TRADES
from trading_assets.strategies.entry_rule import EntryRule


def test_an_order_never_fills_inside_the_bar_that_it_was_decided_on() -> None:
    trade = one_trade((103, 103, 103, 103))
    assert trade["signal_ts"] == START
    assert trade["entry_ts"] == START + QUARTER + timedelta(milliseconds=100)
    assert trade["entry_price"] == 103  # the next candle's open, not the 100 that the decision saw


def test_a_take_profit_trade_has_the_expected_profit() -> None:
    trade = one_trade((100, 100, 100, 100), (100, 102.5, 99.5, 101))
    assert (trade["exit_reason"], trade["exit_price"]) == ("take_profit", 102)
    assert trade["fees"] == pytest.approx(QUANTITY * 100 * 5e-4 + QUANTITY * 102 * 2e-4)
    assert trade["pnl"] == pytest.approx(QUANTITY * 2 - trade["fees"])  # type: ignore[operator]
    assert trade["return"] == pytest.approx(trade["pnl"] / 10_000)  # type: ignore[operator]
    assert trade["exit_ts"] == START + QUARTER + 2 * MINUTE - timedelta(milliseconds=1)


def test_a_stop_fills_at_its_price_where_the_market_trades_through_it() -> None:
    trade = one_trade((100, 100, 98, 98.5))
    assert (trade["exit_reason"], trade["exit_price"]) == ("stop_loss", 99)
    assert trade["pnl"] == pytest.approx(-QUANTITY * 1 - QUANTITY * (100 + 99) * 5e-4)


def test_a_stop_fills_at_the_open_where_the_market_gaps_through_it() -> None:
    trade = one_trade((100, 100, 100, 100), (97, 98, 96, 98))
    assert (trade["exit_reason"], trade["exit_price"]) == ("stop_loss", 97)


def test_a_target_never_fills_better_than_its_price() -> None:
    trade = one_trade((100, 100, 100, 100), (105, 106, 104, 105))
    assert (trade["exit_reason"], trade["exit_price"]) == ("take_profit", 102)


def test_stop_and_target_rest_in_the_candle_of_the_entry() -> None:
    assert one_trade((100, 103, 99.5, 101))["exit_reason"] == "take_profit"
    assert one_trade((100, 101, 98.5, 100))["exit_reason"] == "stop_loss"


@pytest.mark.parametrize(("policy", "reason"), [("worst_case", "stop_loss"), ("best_case", "take_profit")])
def test_a_candle_that_touches_both_barriers_goes_by_the_labels_policy(policy: str, reason: str) -> None:
    labels = LABELS.model_copy(update={"ambiguous": policy})
    assert one_trade((100, 103, 98, 100), labels=labels)["exit_reason"] == reason


def test_a_trade_ends_with_its_horizon_at_the_next_open() -> None:
    quiet = flat(60)
    trade = one_trade(*quiet, (100.5, 100.5, 100.5, 100.5))
    assert (trade["exit_reason"], trade["exit_price"]) == ("time", 100.5)
    assert trade["exit_ts"] == START + 5 * QUARTER + timedelta(milliseconds=100)  # known_at + 4 bars


def test_what_is_open_when_the_data_ends_is_closed_at_the_last_price() -> None:
    trade = one_trade((100, 100, 100, 100), (100, 100.7, 100, 100.7), tail=13)
    assert (trade["exit_reason"], trade["exit_price"]) == ("end", 100.7)


def test_a_trade_that_ends_with_the_data_at_midnight_counts_in_full_on_its_last_day() -> None:
    last_bar = 24 * 4 - 3
    result = backtest(signals((A, last_bar, 0.7)), {A: candles([*flat(24 * 60 - 2), *flat(2, 100.5)])})
    trade = result.trades.row(0, named=True)
    assert trade["exit_ts"] > START + timedelta(days=1)
    assert trade["exit_reason"] == "end"
    assert result.equity.height == 1
    assert result.metrics["final_equity"] == pytest.approx(100_000 + trade["pnl"], abs=1e-6)


def test_a_trade_over_a_gap_in_the_data_ends_at_the_first_price_after_it() -> None:
    frame = candles([*flat(20), *flat(300), (99.5, 99.5, 99.5, 99.5), *flat(60, 99.5)])
    holed = frame.filter((pl.col("ts") < START + 20 * MINUTE) | (pl.col("ts") >= START + 320 * MINUTE))
    trade = backtest(ONE_SIGNAL, {A: holed}).trades.row(0, named=True)
    assert (trade["exit_reason"], trade["exit_price"]) == ("time", 99.5)


def test_an_entry_into_a_gap_fills_at_the_first_price_after_it() -> None:
    holed = candles([*flat(15), *flat(30), *flat(60, 101)]).filter(
        (pl.col("ts") < START + 15 * MINUTE) | (pl.col("ts") >= START + 45 * MINUTE)
    )
    trade = backtest(ONE_SIGNAL, {A: holed}).trades.row(0, named=True)
    assert trade["entry_price"] == 101
    assert trade["entry_ts"] == START + 45 * MINUTE + timedelta(milliseconds=100)


def test_costs_reduce_the_profit_by_exactly_themselves() -> None:
    after = ((100, 100, 100, 100), (100, 102.5, 99.5, 101))
    free, fees = one_trade(*after, settings=FREE), one_trade(*after)
    assert free["fees"] == 0
    assert free["pnl"] - fees["pnl"] == pytest.approx(fees["fees"])  # type: ignore[operator]
    slipping = FREE.model_copy(update={"slippage_probability": 1.0})
    slipped = one_trade((100.0, 100, 100, 100), (100, 100, 97.55, 98), settings=slipping)
    assert (slipped["entry_price"], slipped["exit_price"]) == (100.01, 98.99)  # one tick worse than 100 and 99.00


def test_several_markets_share_one_account() -> None:
    up, down = [*flat(15), (100, 103, 100, 103), *flat(90, 103)], [*flat(15), (100, 100, 98, 98), *flat(90, 98)]
    result = backtest(signals((A, 0, 0.7), (B, 0, 0.7), (A, 3, 0.7)), {A: candles(up), B: candles(down)})
    assert result.trades["market"].to_list() == [A, B, A]
    assert result.metrics["final_equity"] == pytest.approx(EXACT.starting_balance + result.trades["pnl"].sum())
    equity = EXACT.starting_balance + result.trades["pnl"][:2].sum()
    assert result.trades["quantity"][2] == pytest.approx(0.1 * equity / 103, abs=1e-3)


@pytest.mark.slow
def test_sixty_markets_that_enter_on_one_bar_all_get_their_stop_and_target() -> None:
    markets = [f"sample:{first}{second}X/USDT:USDT" for first in "ABCDEF" for second in "ABCDEFGHIJ"]
    frames = {market: candles(flat(100)) for market in markets}
    small = EXACT.sized(position_share=0.01)
    result = backtest(signals(*((market, 0, 0.7) for market in markets)), frames, settings=small)
    assert result.trades["exit_reason"].to_list() == ["time"] * 60
    usual = backtest(signals(*((market, 0, 0.7) for market in markets)), frames, settings=small, risk=RiskSettings())
    assert (usual.trades.height, usual.refusals) == (60, {})


def test_a_surer_signal_is_larger_up_to_the_share_of_a_position() -> None:
    careful = EXACT.sized(position_share=0.5, kelly_fraction=0.01)
    rows = signals((A, 0, 0.56), (A, 60, 0.7))
    result = backtest(rows, {A: candles(flat(2_000))}, settings=careful)
    less, more = (quantity * 100 / EXACT.starting_balance for quantity in result.trades["quantity"])
    rule = EntryRule(careful.round_trip_bps)
    stakes = [0.01 * rule.kelly_share(p, 2.0, 1.0) for p in (0.56, 0.7)]
    assert (less, more) == pytest.approx(stakes, rel=2e-3)
    bounded = backtest(rows, {A: candles(flat(2_000))}, settings=careful.sized(kelly_fraction=1.0))
    assert [quantity * 100 / EXACT.starting_balance for quantity in bounded.trades["quantity"]] == pytest.approx(
        [0.5, 0.5], rel=2e-3
    )


def test_the_second_signal_waits_while_a_trade_is_open() -> None:
    result = backtest(signals((A, 0, 0.7), (A, 1, 0.9)), {A: candles(flat(200))})
    assert result.trades.height == 1


def test_probabilities_below_the_threshold_are_not_traded() -> None:
    result = backtest(signals((A, 0, 0.5499), (A, 1, 0.55)), {A: candles(flat(200))})
    assert result.trades["signal_ts"].to_list() == [START + QUARTER]


def test_risk_limits_refuse_entries_and_are_counted() -> None:
    limits = GENEROUS.model_copy(update={"max_daily_loss": 50.0})
    frame = candles([*flat(15), (100, 100, 98, 98), *flat(200, 98)])
    result = backtest(signals((A, 0, 0.7), (A, 4, 0.7)), {A: frame}, risk=limits)
    assert result.trades.height == 1
    assert result.metrics["refused"] == 1
    assert result.refusals == {"daily loss": 1}


def test_no_signal_means_no_trade_and_finite_metrics() -> None:
    result = backtest(signals((A, 0, 0.1)), {A: candles(flat(100))})
    assert result.trades.is_empty()
    assert result.metrics["final_equity"] == EXACT.starting_balance
    assert not any(math.isinf(value) for value in result.metrics.values())


def test_the_frames_fit_their_tables() -> None:
    result = backtest(random_signals(A, 3000, seed=3), {A: walk(3000, seed=3)})
    for frame, table in (
        (result.trades, TRADES),
        (result.equity, EQUITY),
        (result.metrics_frame("m", 1), BACKTEST_METRICS),
    ):
        assert dict(frame.schema) == {
            name: pl.DataFrame(schema={name: t}).schema[name] for name, t in table.columns.items()
        }
        assert frame.null_count().sum_horizontal().item() == 0


def test_the_same_run_gives_the_same_trades() -> None:
    predictions, frame = random_signals(A, 3000, seed=4), walk(3000, seed=4)
    slipping = EXACT.model_copy(update={"slippage_probability": 0.5})
    first, again = (backtest(predictions, {A: frame}, settings=slipping) for _ in range(2))
    assert first.trades.equals(again.trades)
    assert first.equity.equals(again.equity)
