"""The simulated exchange: known answers, an independent simulation, and what costs do."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backtest.oracle import simulate
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
from tests.examples import examples
from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.backtest.simulation.slices import MarketRules, decision_bars
from trading_assets.backtest.stress import stress
from trading_assets.core.errors import InvalidFrame, MissingCandles, ModelError, SettingsError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.labels import triple_barrier
from trading_assets.settings import BacktestSettings, LabelSettings, ModelSettings, RiskSettings
from trading_assets.store.tables import BACKTEST_METRICS, EQUITY, TRADES
from trading_assets.strategies.entry_rule import EntryRule

ONE_SIGNAL = signals((A, 0, 0.7))
QUANTITY = 100.0
"""A tenth of 100,000 at a decision price of 100."""


def one_trade(*after: tuple[float, float, float, float], tail: int = 120, **kwargs: object) -> dict[str, object]:
    """The only trade of a market that stands at 100 for its first bar, then does what is given."""
    last = after[-1][3]
    result = backtest(ONE_SIGNAL, {A: candles([*flat(15), *after, *flat(tail, last)])}, **kwargs)  # type: ignore[arg-type]
    assert result.trades.height == 1
    return result.trades.row(0, named=True)


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
    uncapped = EXACT.model_copy(update={"max_volume_share": None})
    result = backtest(ONE_SIGNAL, {A: thin(0.0)}, settings=uncapped)
    assert result.trades["quantity"].to_list() == [100.0]


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
    small = EXACT.model_copy(update={"position_share": 0.01})
    result = backtest(signals(*((market, 0, 0.7) for market in markets)), frames, settings=small)
    assert result.trades["exit_reason"].to_list() == ["time"] * 60
    usual = backtest(signals(*((market, 0, 0.7) for market in markets)), frames, settings=small, risk=RiskSettings())
    assert (usual.trades.height, usual.refusals) == (60, {})


def test_a_surer_signal_is_larger_up_to_the_share_of_a_position() -> None:
    careful = EXACT.model_copy(update={"position_share": 0.5, "kelly_fraction": 0.01})
    rows = signals((A, 0, 0.56), (A, 60, 0.7))
    result = backtest(rows, {A: candles(flat(2_000))}, settings=careful)
    less, more = (quantity * 100 / EXACT.starting_balance for quantity in result.trades["quantity"])
    rule = EntryRule(careful.round_trip_bps)
    stakes = [careful.kelly_fraction * rule.kelly_share(p, 2.0, 1.0) for p in (0.56, 0.7)]
    assert (less, more) == pytest.approx(stakes, rel=2e-3)
    bounded = backtest(rows, {A: candles(flat(2_000))}, settings=careful.model_copy(update={"kelly_fraction": 1.0}))
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
    assert all(abs(value) < float("inf") for value in result.metrics.values())


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


def test_the_engine_counts_the_same_trades() -> None:
    result = backtest(random_signals(A, 6000, seed=5), {A: walk(6000, seed=5)})
    theirs = result.engine_statistics
    assert theirs["Win Rate"] == pytest.approx(result.metrics["win_rate"])
    assert theirs["PnL (total)"] == pytest.approx(result.metrics["total_pnl"], abs=1e-6)
    assert theirs["Expectancy"] == pytest.approx(result.metrics["avg_trade_pnl"], abs=1e-6)


@pytest.mark.slow
@examples(25)
@given(
    seed=st.integers(0, 10_000),
    gap_share=st.sampled_from([0.0, 0.0, 0.3]),
    volatility=st.sampled_from([5e-4, 2e-3]),
    horizon=st.integers(1, 12),
    barriers=st.sampled_from([(2.0, 1.0), (0.4, 0.3), (0.1, 0.1)]),
    sides=st.sampled_from([(Side.LONG,), (Side.SHORT,), (Side.LONG, Side.SHORT)]),
    minutes=st.sampled_from([15, 15, 1, 5, 60, 90, 120]),
)
def test_it_agrees_with_an_independent_simulation(
    seed: int,
    gap_share: float,
    volatility: float,
    horizon: int,
    barriers: tuple[float, float],
    sides: tuple[Side, ...],
    minutes: int,
) -> None:
    timeframe = Timeframe(minutes)
    frame = walk(1500, seed=seed, volatility=volatility, gap_share=gap_share)
    predictions = pl.concat(
        random_signals(A, 1200, seed=seed + 1 + side, side=side, bar=timeframe.length) for side in sides
    )
    labels = LabelSettings(
        timeframe=timeframe, take_profit_pct=barriers[0], stop_loss_pct=barriers[1], horizon_bars=horizon
    )
    result = backtest(predictions, {A: frame}, labels=labels)
    lot = MarketRules.of(frame).lot
    expected = simulate(predictions, A, frame, threshold=0.55, labels=labels, settings=EXACT, lot=lot)
    found = result.trades.rows(named=True)
    assert [t["side"] for t in found] == ["long" if t.side > 0 else "short" for t in expected]
    assert [t["exit_reason"] for t in found] == [t.exit_reason for t in expected]
    assert [t["entry_ts"] for t in found] == [t.entry_ts + timedelta(milliseconds=100) for t in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["entry_price"] == pytest.approx(theirs.entry_price, abs=1e-9)
        assert ours["exit_price"] == pytest.approx(theirs.exit_price, abs=1e-9)
        assert ours["quantity"] == pytest.approx(theirs.quantity, abs=1.01 * lot)
        assert ours["fees"] == pytest.approx(theirs.fees, rel=1e-3)
        assert ours["pnl"] == pytest.approx(theirs.pnl, rel=1e-3, abs=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_trade_ends_as_its_label_says(seed: int) -> None:
    frame = walk(4000, seed=seed, volatility=2e-3)
    labels = LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.6, horizon_bars=8)
    until = frame["ts"][-1] + MINUTE
    bars = decision_bars(frame, timeframe="1m", decision_timeframe="15m", until=until).with_columns(market=pl.lit(A))
    known = triple_barrier(
        bars, frame.with_columns(market=pl.lit(A)), candle_timeframe="1m", settings=labels, until=until
    )
    trades = backtest(random_signals(A, 3500, seed=seed), {A: frame}, labels=labels).trades
    both = trades.join(known, left_on="signal_ts", right_on="ts", suffix="_label")
    assert both.height > 20
    assert both["exit_reason"].to_list() == both["barrier"].to_list()
    assert both["entry_price"].to_list() == both["entry_price_label"].to_list()


def test_coarse_candles_work_too() -> None:
    frame = (
        walk(6000, seed=7)
        .group_by_dynamic("ts", every="15m")
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
    )
    result = backtest(random_signals(A, 5000, seed=7), {A: frame}, timeframe="15m")
    assert result.trades.height > 5
    opens = dict(frame.select("ts", "open").iter_rows())
    for trade in result.trades.iter_rows(named=True):
        assert trade["entry_price"] == opens[trade["signal_ts"] + QUARTER]


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
        backtest(ONE_SIGNAL, {A: broken}, settings=EXACT.model_copy(update={"max_volume_share": None}))


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
