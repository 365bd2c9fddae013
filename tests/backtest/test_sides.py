"""Long and short: known answers, mirrored worlds, and candles that touch both barriers of whatever is open.

A world is mirrored in a price: ``p`` becomes ``center - p``. That keeps steps of the price and every difference, so
that a trade of the other side earns the same on each coin; distances in percent are of another entry price, and are
adapted to it. The other mirror, ``center**2 / p``, keeps the percent of both barriers the same for all entries (a
target of ``t`` becomes one of ``t / (1 + t)``, a stop of ``s`` one of ``s / (1 - s)``) and returns as logarithms.

Fees are a share of what is traded, at other prices: they are no part of what mirrors, and neither is how many coins
are traded. Exits are compared by their candle: which half of it they are in depends on its height in percent.
"""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backtest.worlds import (
    EXACT,
    LABELS,
    MINUTE,
    QUARTER,
    START,
    A,
    B,
    backtest,
    candles,
    flat,
    random_sides,
    random_signals,
    signals,
    walk,
)
from tests.examples import examples
from trading_assets.backtest.metrics import UNBOUNDED
from trading_assets.core.sides import Side
from trading_assets.settings import LabelSettings

CENTER = 200.0
OHLC = ("open", "high", "low", "close")
SAME = ("trade", "market", "signal_ts", "probability", "entry_ts", pl.col("exit_ts").dt.truncate("1m"), "exit_reason")


Row = tuple[float, float, float, float]


def one_trade(side: Side, *after: Row, tail: int = 120, **kwargs: object) -> dict[str, object]:
    """The only trade of a market that stands at 100 for its first bar, then does what is given."""
    frame = candles([*flat(15), *after, *flat(tail, after[-1][3])])
    (trade,) = backtest(signals((A, 0, 0.7), side=side), {A: frame}, **kwargs).trades.iter_rows(named=True)  # type: ignore[arg-type]
    return trade


def test_a_short_that_reaches_its_target_earns_the_fall_less_its_costs() -> None:
    slips = EXACT.model_copy(update={"slippage_bps": 3.0})  # taker 5 + 3, maker 2
    trade = one_trade(Side.SHORT, (100, 100, 100, 100), (100, 100.5, 97.5, 99), settings=slips)
    assert (trade["side"], trade["exit_reason"]) == ("short", "take_profit")
    assert (trade["entry_price"], trade["exit_price"], trade["quantity"]) == (100, 98, 100)
    assert trade["fees"] == pytest.approx(100 * 100 * 8e-4 + 100 * 98 * 2e-4)  # 8.00 + 1.96
    assert trade["pnl"] == pytest.approx(200 - 9.96)
    assert trade["return"] == pytest.approx((200 - 9.96) / 10_000)
    assert trade["exit_ts"] == START + QUARTER + 2 * MINUTE - MINUTE / 60_000


def test_a_long_that_reaches_its_target_earns_the_rise_less_its_costs() -> None:
    slips = EXACT.model_copy(update={"slippage_bps": 3.0})
    trade = one_trade(Side.LONG, (100, 100, 100, 100), (100, 102.5, 99.5, 101), settings=slips)
    assert (trade["side"], trade["exit_price"]) == ("long", 102)
    assert trade["pnl"] == pytest.approx(200 - (100 * 100 * 8e-4 + 100 * 102 * 2e-4))  # 200 - 8 - 2.04


def test_a_short_is_stopped_above_its_entry_and_slips_a_tick_upwards() -> None:
    always = EXACT.model_copy(update={"slippage_probability": 1.0})
    usual = one_trade(Side.SHORT, (100, 101.5, 100, 101.2))
    assert (usual["exit_reason"], usual["exit_price"]) == ("stop_loss", 101)
    assert usual["pnl"] == pytest.approx(-100 - 100 * (100 + 101) * 5e-4)  # 100 coins lose 1 each, taker fee twice
    slipped = one_trade(Side.SHORT, (100, 100, 100, 100), (100, 101.5, 100, 101.21), settings=always)
    assert slipped["entry_price"] == pytest.approx(99.99)
    assert slipped["exit_price"] == pytest.approx(101.0)  # the stop is 1 % above 99.99, 100.9899, so 100.99, and a tick


def test_a_short_that_gaps_over_its_stop_is_closed_at_the_open() -> None:
    trade = one_trade(Side.SHORT, (100, 100, 100, 100), (103, 104, 102, 102))
    assert (trade["exit_reason"], trade["exit_price"]) == ("stop_loss", 103)


@pytest.mark.parametrize(("policy", "reason"), [("worst_case", "stop_loss"), ("best_case", "take_profit")])
@pytest.mark.parametrize("side", list(Side))
def test_the_labels_policy_decides_for_both_sides_also_where_one_run_has_both(
    side: Side, policy: str, reason: str
) -> None:
    labels = LABELS.model_copy(update={"ambiguous": policy})
    both_barriers = (100.0, 103.0, 97.0, 100.0)
    assert one_trade(side, both_barriers, labels=labels)["exit_reason"] == reason
    # the other side's signal comes while the trade is open: the guess from the signals is wrong
    late = pl.concat([signals((A, 0, 0.7), side=side), signals((A, 1, 0.9), side=side.opposite)])
    frame = candles([*flat(40), both_barriers, *flat(90)])
    (trade,) = backtest(late, {A: frame}, labels=labels).trades.iter_rows(named=True)
    assert (trade["side"], trade["exit_reason"]) == (side.word, reason)
    assert trade["exit_ts"] < START + 41 * MINUTE


def test_of_two_sides_the_better_one_is_entered_and_of_two_equal_ones_none() -> None:
    frame = {A: candles(flat(240))}
    for long, short, entered in ((0.7, 0.6, ["long"]), (0.6, 0.7, ["short"]), (0.4, 0.7, ["short"]), (0.7, 0.7, [])):
        both = pl.concat([signals((A, 0, long)), signals((A, 0, short), side=Side.SHORT)])
        assert backtest(both, frame).trades["side"].to_list() == entered


def test_a_signal_of_the_other_side_does_not_turn_an_open_trade() -> None:
    both = pl.concat([signals((A, 0, 0.7)), signals((A, 2, 0.9), side=Side.SHORT)])
    (trade,) = backtest(both, {A: candles(flat(240))}).trades.iter_rows(named=True)
    assert (trade["side"], trade["exit_reason"]) == ("long", "time")


def mirrored(frame: pl.DataFrame, center: float = CENTER) -> pl.DataFrame:
    """The world whose prices fall where these rise: high and low change places."""
    turned = frame.with_columns((center - pl.col(name)).round(2).alias(name) for name in OHLC)
    return turned.rename({"high": "low", "low": "high"}).select(frame.columns)


def adapted(predictions: pl.DataFrame, frame: pl.DataFrame, labels: LabelSettings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Predictions with their distances, and those of the other side in the mirror: as far in price from its entry."""
    entries = frame.select("ts", entry="open")
    told = predictions.sort("known_at").join_asof(entries, left_on="known_at", right_on="ts", strategy="forward")
    here = told.with_columns(
        pl.col("entry").fill_null(CENTER / 2),
        take_profit=pl.lit(labels.take_profit_pct / 100),
        stop_loss=pl.lit(labels.stop_loss_pct / 100),
    )
    scale = pl.col("entry") / (CENTER - pl.col("entry"))
    there = here.with_columns(pl.col("take_profit", "stop_loss") * scale, side=-pl.col("side"))
    return here, there


@pytest.mark.slow
@examples(15)
@given(
    seed=st.integers(0, 10_000),
    volatility=st.sampled_from([5e-4, 2e-3]),
    gap_share=st.sampled_from([0.0, 0.3]),
    barriers=st.sampled_from([(2.0, 1.0), (0.4, 0.3), (0.13, 0.11)]),
    policy=st.sampled_from(["worst_case", "best_case"]),
)
def test_a_mirrored_world_has_the_mirrored_trades(
    seed: int, volatility: float, gap_share: float, barriers: tuple[float, float], policy: str
) -> None:
    labels = LabelSettings.model_validate(
        {"take_profit_pct": barriers[0], "stop_loss_pct": barriers[1], "horizon_bars": 5, "ambiguous": policy}
    ).model_copy(update={"barriers": "atr"})  # distances are those of each prediction
    frame = walk(1200, seed=seed, volatility=volatility, gap_share=gap_share)
    here, there = adapted(random_sides(A, 1100, seed=seed), frame, labels)
    ours = backtest(here, {A: frame}, labels=labels)
    theirs = backtest(there, {A: mirrored(frame)}, labels=labels)
    assert ours.trades.height > 0
    assert theirs.trades.select(SAME).equals(ours.trades.select(SAME))
    assert [Side.parse(word) for word in theirs.trades["side"]] == [
        Side.parse(word).opposite for word in ours.trades["side"]
    ]
    for name in ("entry_price", "exit_price"):
        assert (theirs.trades[name] + ours.trades[name] - CENTER).abs().max() < 1e-9  # type: ignore[operator]
    gross = [(run.trades["pnl"] + run.trades["fees"]) / run.trades["quantity"] for run in (ours, theirs)]
    assert (gross[0] - gross[1]).abs().max() < 1e-6  # type: ignore[operator]
    for word in ("long", "short"):
        assert theirs.metrics[f"{word}_trades"] == ours.metrics[f"{Side.parse(word).opposite.word}_trades"]


@examples(8)
@given(seed=st.integers(0, 10_000), fraction=st.sampled_from([0.02003, 0.00407]))
def test_in_a_world_of_reciprocal_prices_fixed_percents_mirror_too(seed: int, fraction: float) -> None:
    # no stop lies on a whole tick: a candle that touches it to the last digit need not do so in reciprocals
    target, stop = 2 * fraction, fraction
    frame = walk(1200, seed=seed, volatility=1e-3)
    turned = frame.with_columns((1e4 / pl.col(name)).round(9).alias(name) for name in OHLC)
    turned = turned.rename({"high": "low", "low": "high"}).select(frame.columns)
    labels, other = (
        LabelSettings(take_profit_pct=100 * t, stop_loss_pct=100 * s, horizon_bars=5)
        for t, s in ((target, stop), (target / (1 + target), stop / (1 - stop)))
    )
    predictions = random_signals(A, 1100, seed=seed)
    ours = backtest(predictions, {A: frame}, labels=labels).trades
    theirs = backtest(predictions.with_columns(side=-pl.col("side")), {A: turned}, labels=other).trades
    assert theirs.select(SAME).equals(ours.select(SAME))
    logs = [(one["exit_price"] / one["entry_price"]).log() for one in (ours, theirs)]
    tick = 0.01 / float(frame["low"].min())  # type: ignore[arg-type]
    assert (logs[0] + logs[1]).abs().max() < 2 * tick  # type: ignore[operator]


def test_figures_are_told_for_each_side() -> None:
    predictions, frame = random_sides(A, 6000, seed=5), walk(6000, seed=5)
    result = backtest(predictions, {A: frame})
    assert result.metrics["long_trades"] + result.metrics["short_trades"] == result.metrics["trades"]
    assert result.metrics["long_pnl"] + result.metrics["short_pnl"] == pytest.approx(result.metrics["total_pnl"])
    for side in Side:
        pnl = result.trades.filter(pl.col("side") == side.word)["pnl"].to_list()
        won, lost = sum(p for p in pnl if p > 0), -sum(p for p in pnl if p < 0)
        assert len(pnl) > 10
        assert result.metrics[f"{side.word}_win_rate"] == pytest.approx(sum(p > 0 for p in pnl) / len(pnl))
        assert result.metrics[f"{side.word}_profit_factor"] == pytest.approx(min(won / lost, UNBOUNDED))
    alone = backtest(random_signals(A, 6000, seed=5), {A: frame}).metrics
    assert (alone["short_trades"], alone["short_pnl"], alone["short_win_rate"]) == (0, 0, 0)


def test_an_open_short_is_marked_with_the_prices_against_it() -> None:
    day = 24 * 60
    labels = LABELS.model_copy(update={"take_profit_pct": 50.0, "stop_loss_pct": 50.0, "horizon_bars": 200})
    frame = candles([*flat(day - 30), *flat(day, 110), *flat(day, 95)])
    result = backtest(signals((A, 0, 0.7), side=Side.SHORT), {A: frame}, labels=labels)
    fee = 100 * 100 * 5e-4
    assert result.equity["equity"][0] == pytest.approx(100_000 - 100 * 10 - fee)
    assert result.equity["drawdown"][0] == pytest.approx((1000 + fee) / 100_000)


def test_a_short_on_a_spot_market_is_refused_by_name() -> None:
    spot = "sample:AAA/USDT"
    result = backtest(signals((spot, 0, 0.7), side=Side.SHORT), {spot: candles(flat(60))})
    assert result.trades.is_empty()
    assert result.refusals == {f"{spot} is a spot market: nothing can be sold short there": 1}


def test_long_and_short_markets_share_one_account() -> None:
    rise = candles([*flat(20), (100, 103, 100, 103), *flat(100, 103)])
    both = pl.concat([signals((A, 0, 0.7)), signals((B, 0, 0.7), side=Side.SHORT)])
    result = backtest(both, {A: rise, B: mirrored(rise)})
    assert result.trades["exit_reason"].to_list() == ["take_profit", "take_profit"]
    assert sorted(result.trades["exit_price"]) == [98, 102]
    assert math.isclose(result.metrics["total_pnl"], 400 - result.metrics["total_fees"])
