"""Trades that can be worked out by hand: what ends them, what they cost, how large they are."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from tests.screening.worlds import FREE, MARKET, NO_LIMITS, START, OfVolume, SaysVolume, at, path, screening
from trading_assets.core.sides import Side
from trading_assets.screening import frames as module
from trading_assets.screening import kernels
from trading_assets.screening.arrays import ENTERED
from trading_assets.settings import BacktestSettings, RiskPerTradeSettings, RiskSettings
from trading_assets.settings.sections.exits import ExitSettings, TargetSettings, TrailingSettings
from trading_assets.settings.sections.trading import FeeSettings, VenueFees

SETS = [SaysVolume()]
FLAT = (100.0, 100.0, 100.0, 100.0)
HOURS = timedelta(hours=1)
COSTLY = FREE.model_copy(update={"maker_fee_bps": 2.0, "taker_fee_bps": 5.0, "slippage_bps": 1.0})


@pytest.fixture(autouse=True)
def _says_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "rule_of", OfVolume)


def plan(**changes: Any) -> ExitSettings:
    """One in percent: targets at 1, 2 and 3, a stop at 1.5, nothing that moves it."""
    usual: dict[str, Any] = {"unit": "percent", "break_even_after": None, "trailing": None, "on_opposite": False}
    return ExitSettings(**usual | changes)


def three_trades() -> pl.DataFrame:
    """A long trade that reaches its target, a short one that is stopped, a long one whose time is up."""
    frame = path(
        FLAT,  # 0: wants a long trade
        (100.0, 101.0, 99.5, 101.0),  # entered at 100
        (101.0, 102.5, 101.0, 101.0),  # target 102
        (101.0, 101.0, 100.0, 100.0),  # 3: wants a short one
        (100.0, 100.5, 99.0, 100.0),  # entered at 100
        (100.0, 103.0, 100.0, 102.0),  # stop 101
        (102.0, 102.0, 102.0, 102.0),  # 6: wants a long one
        (102.0, 102.5, 101.5, 102.0),  # entered at 102
        (102.0, 102.0, 102.0, 102.0),
        (102.0, 102.0, 102.0, 102.0),
        (102.0, 102.0, 102.0, 102.0),
        (103.0, 103.0, 103.0, 103.0),  # four bars later: out at its open
        FLAT,
    )
    return at(frame, {0: 1, 3: -1, 6: 1})


def test_target_stop_and_time_end_trades_where_their_candles_say() -> None:
    found = screening(three_trades()).trades(SETS)
    assert found["exit_reason"].to_list() == ["take_profit", "stop_loss", "time"]
    assert found["side"].to_list() == ["long", "short", "long"]
    assert found["entry_price"].to_list() == [100.0, 100.0, 102.0]
    assert found["exit_price"].to_list() == pytest.approx([102.0, 101.0, 103.0])
    assert found["return"].to_list() == pytest.approx([0.02, -0.01, 1 / 102])
    assert found["entry_ts"].to_list() == [START + timedelta(minutes=row) for row in (1, 4, 7)]
    assert found["known_at"].to_list() == found["entry_ts"].to_list()


def test_an_account_compounds_a_tenth_of_its_equity_and_pays_the_taker_in_and_the_maker_or_taker_out() -> None:
    made = screening(three_trades(), settings=COSTLY)
    found, trades = made.screen(SETS), made.trades(SETS)
    returns = [0.02 - 6e-4 - 2e-4 * 1.02, -0.01 - 6e-4 - 6e-4 * 1.01, 1 / 102 - 6e-4 - 6e-4 * 103 / 102]
    assert trades["return"].to_list() == pytest.approx(returns)
    equity, lot = 100_000.0, made.scene.rules[0].lot
    for entry, earned in zip((100.0, 100.0, 102.0), returns, strict=True):
        quantity = math.floor(equity * 0.1 / entry / lot + 1e-9) * lot
        equity += quantity * entry * earned
    row = found.table.row(0, named=True)
    assert row["net"] == pytest.approx(equity / 100_000 - 1, rel=1e-9)
    assert (row["trades"], row["win_rate"]) == (3, pytest.approx(2 / 3))
    assert row["fees"] == pytest.approx(trades["fees"].sum())
    assert found.returns.sum() == pytest.approx(row["net"])


def test_a_fill_slips_by_its_share_of_a_tick() -> None:
    made = screening(three_trades(), settings=FREE.model_copy(update={"slippage_probability": 0.5}))
    tick = made.scene.rules[0].tick
    assert made.trades(SETS)["return"][0] == pytest.approx(0.02 - 2 * 0.5 * tick / 100)


@pytest.mark.parametrize("side", Side)
def test_three_targets_close_their_shares_and_the_stop_the_rest(side: Side) -> None:
    def moved(percent: float) -> float:
        return 100 * (1 + side * percent / 100)

    def candle(opened: float, best: float, worst: float, closed: float) -> tuple[float, ...]:
        high, low = (best, worst) if side is Side.LONG else (worst, best)
        return moved(opened), moved(high), moved(low), moved(closed)

    frame = at(path(FLAT, candle(0, 1.2, 0, 1), candle(1, 2.5, 1, 2), candle(2, 2, -2, 0), FLAT), {0: int(side)})  # type: ignore[arg-type]
    found = screening(frame, exit_plan=plan()).trades(SETS)
    assert found["return"].to_list() == pytest.approx([0.3 * 0.01 + 0.4 * 0.02 - 0.3 * 0.015])
    assert found["exit_price"].to_list() == pytest.approx([0.3 * moved(1) + 0.4 * moved(2) + 0.3 * moved(-1.5)])


def test_each_part_pays_for_itself_the_targets_as_makers() -> None:
    frame = at(path(FLAT, (100.0, 101.0, 100.0, 101.0), (101.0, 101.0, 98.0, 98.0), FLAT), {0: 1})
    found = screening(frame, exit_plan=plan(), settings=COSTLY).trades(SETS)
    fees = 6e-4 + 0.3 * 2e-4 * 1.01 + 0.7 * 6e-4 * 0.985
    assert found["return"].to_list() == pytest.approx([0.3 * 0.01 - 0.7 * 0.015 - fees])


def test_the_stop_goes_to_break_even_and_follows_from_the_next_candle_on() -> None:
    even = plan(break_even_after=1)
    frame = at(path(FLAT, (100.0, 101.0, 100.0, 101.0), (101.0, 101.0, 98.0, 98.0), FLAT), {0: 1})
    assert screening(frame, exit_plan=even).trades(SETS)["return"].to_list() == pytest.approx([0.003])
    trailing = plan(trailing=TrailingSettings(distance=0.5, after="entry"), targets=[])
    assert screening(frame, exit_plan=trailing).trades(SETS)["return"].to_list() == pytest.approx([0.005])


def test_a_signal_of_the_other_side_closes_a_trade_at_the_next_open_and_opens_none() -> None:
    frame = path(FLAT, (100.0, 101.2, 100.0, 100.5), (100.5, 100.5, 100.5, 100.5), (100.4, 100.4, 100.4, 100.4), FLAT)
    frame = at(frame, {0: 1, 2: -1})
    found = screening(frame, exit_plan=plan(on_opposite=True)).trades(SETS)
    assert found["exit_reason"].to_list() == ["opposite"]
    assert found["return"].to_list() == pytest.approx([0.3 * 0.01 + 0.7 * 0.004])
    stays = screening(frame, exit_plan=plan()).trades(SETS)
    assert stays["exit_reason"].to_list() == ["end"]
    only_long = screening(frame, exit_plan=plan(on_opposite=True), sides=[Side.LONG]).trades(SETS)
    assert only_long["exit_reason"].to_list() == ["end"], "a side that is not traded is not wanted"


@pytest.mark.parametrize(("side", "rate"), [(1, 0.001), (1, -0.001), (-1, 0.001), (-1, -0.001)])
def test_longs_pay_positive_funding_and_shorts_receive_it_on_what_they_still_hold(side: int, rate: float) -> None:
    first = (100.0, 101.0, 99.0, 100.0)  # a third of either side's trade is closed
    frame = at(path(FLAT, FLAT, first, FLAT, FLAT, FLAT, FLAT), {0: side})
    times = [
        START + timedelta(minutes=minute) for minute in (1, 2, 4)
    ]  # as it is entered; before, and after the target
    funding = pl.DataFrame(
        {"ts": times, "rate": [rate, rate, 2 * rate], "mark_price": [None] * 3},
        schema_overrides={"ts": pl.Datetime("us", "UTC"), "mark_price": pl.Float64},
    )
    found = screening(frame, exit_plan=plan(), funding={MARKET: funding}).trades(SETS)
    notional = (found["quantity"] * found["entry_price"])[0]
    assert found["funding"][0] / notional == pytest.approx(side * (rate + 0.7 * 2 * rate))
    assert found["return"][0] == pytest.approx(0.3 * 0.01 - side * (rate + 0.7 * 2 * rate))


def test_equity_of_all_markets_sizes_the_next_trade() -> None:
    rising = path(FLAT, FLAT, (100.0, 101.5, 100.0, 101.5), (101.5,) * 4, (101.5,) * 4, (101.5,) * 4)
    frames = {MARKET: at(rising, {0: 1}), "sample:B/USDT:USDT": at(path(*[FLAT] * 6), {2: 1})}
    made = screening(frames)
    found = made.trades(SETS)
    assert found["market"].to_list() == list(frames)
    gained = 0.1 * 0.015
    assert found["quantity"].to_list() == pytest.approx([100.0, 100.0 * (1 + gained)], rel=1e-3)
    assert made.screen(SETS).table["trades"].to_list() == [2]


def test_a_spot_account_lends_nothing() -> None:
    frames = {f"sample:{name}/USDT": at(path(*[FLAT] * 4), {0: 1}) for name in "ABC"}
    large = FREE.sized(position_share=0.6)
    found = screening(frames, settings=large, sides=[Side.LONG]).trades(SETS)
    worth = (found["quantity"] * found["entry_price"]).to_list()
    assert worth == pytest.approx([60_000, 40_000], rel=1e-6), "the second is made smaller, the third is refused"


def test_limits_make_entries_smaller_or_refuse_them_and_are_counted() -> None:
    thin = at(path(*[FLAT] * 4), {0: 1}).with_columns(pl.col("volume"))
    capped = screening(thin, settings=BacktestSettings().sized(max_volume_share=0.5))
    assert capped.trades(SETS)["quantity"].to_list() == pytest.approx([0.5])
    assert capped.screen(SETS).table["capped"].to_list() == [1]
    notional = screening(thin, risk=NO_LIMITS.model_copy(update={"max_position_notional": 500.0}))
    assert notional.trades(SETS)["quantity"].to_list() == pytest.approx([5.0])
    losing = at(path(FLAT, FLAT, (100.0, 100.0, 98.0, 98.0), *[(98.0,) * 4] * 4), {0: 1, 3: 1})
    stopped = screening(losing, risk=RiskSettings(max_daily_loss=50.0))
    assert stopped.screen(SETS).table.select("trades", "refused").row(0) == (1, 1)
    assert stopped._run(SETS).counts[0, ENTERED] == 1


def test_a_gap_is_entered_after_at_the_first_candle_there_is() -> None:
    frame = at(path(*[FLAT] * 8), {0: 1}).filter(~pl.col("ts").is_in([START + timedelta(minutes=1)]))
    assert screening(frame).trades(SETS)["entry_ts"].to_list() == [START + timedelta(minutes=2)]


def test_a_plan_with_less_than_the_whole_in_targets_leaves_the_rest_to_time() -> None:
    half = plan(targets=[TargetSettings(at=1, share=0.5)], hold_hours=0.05)
    frame = at(path(FLAT, (100.0, 101.0, 100.0, 101.0), *[(101.0,) * 4] * 2, (100.5,) * 4, FLAT), {0: 1})
    found = screening(frame, exit_plan=half).trades(SETS)
    assert found["exit_reason"].to_list() == ["time"]
    assert found["return"].to_list() == pytest.approx([0.5 * 0.01 + 0.5 * 0.005])


def test_days_without_an_exit_are_marked_to_market() -> None:
    rows = 24 * 60 + 3
    flat = path(*[FLAT] * rows).with_columns(
        pl.when(pl.col("ts") >= START + 12 * HOURS).then(101.0).otherwise(100.0).alias(name)
        for name in ("open", "high", "low", "close")
    )
    held = screening(at(flat, {0: 1}), exit_plan=plan(targets=[], stop=5.0)).screen(SETS)
    assert held.returns[0].tolist() == pytest.approx([0.001, 0.0])


def test_each_market_is_charged_the_fees_of_its_venue() -> None:
    dear = VenueFees(derivatives=FeeSettings(maker_bps=20.0, taker_bps=50.0))
    venues = COSTLY.model_copy(update={"fees": {"binance": dear}})
    frames = {MARKET: three_trades(), "binance:B/USDT:USDT": three_trades()}
    found = screening(frames, settings=venues).trades(SETS).filter(pl.col("exit_reason") == "take_profit")
    found = found.sort("market", descending=True)
    assert found["market"].to_list() == list(frames)
    assert found["return"].to_list() == pytest.approx([0.02 - 6e-4 - 2e-4 * 1.02, 0.02 - 51e-4 - 20e-4 * 1.02])
    risky = venues.model_copy(update={"sizing": RiskPerTradeSettings(max_volume_share=None, max_position_share=5)})
    stop, cost = 0.01, 51e-4
    told = screening({"binance:B/USDT:USDT": three_trades()}, settings=risky).trades(SETS)[0]
    lost = told["quantity"][0] * 100 * (stop + cost * (2 - stop))
    assert lost == pytest.approx(risky.sizing.risk * 100_000, rel=1e-3)  # type: ignore[attr-defined]


def test_the_loops_are_compiled_for_one_kind_of_arrays() -> None:
    one = {MARKET: three_trades()}
    for frames in (one, one | {"binance:B/USDT:USDT": three_trades()}):
        for sizing in (COSTLY.sizing, RiskPerTradeSettings()):
            screening(frames, settings=COSTLY.model_copy(update={"sizing": sizing})).trades(SETS)
    assert len(kernels.walk.signatures) == 1
