"""A spot account lends nothing: what it cannot pay is refused, in a backtest as in the node."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backtest.worlds import (
    EXACT,
    QUARTER,
    START,
    A,
    backtest,
    candles,
    flat,
    random_signals,
    share_of_equity,
    signals,
    walk,
)
from tests.examples import examples
from tests.strategies.desk import Desk
from trading_assets.backtest.simulation.engine import BacktestResult
from trading_assets.strategies.host.config import HostConfig

SPOT = [f"sample:{base}/USDT" for base in ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")]
HALF = EXACT.sized(position_share=0.5)


def least_cash(result: BacktestResult, balance: float = EXACT.starting_balance) -> float:
    """The smallest cash between two fills: what was paid, less what came back, all fees counted at the exit."""
    trades = result.trades
    cost = trades["quantity"] * trades["entry_price"]
    paid = pl.DataFrame({"ts": trades["entry_ts"], "moved": -cost})
    back = pl.DataFrame({"ts": trades["exit_ts"], "moved": cost + trades["pnl"]})
    moves = pl.concat([paid, back]).sort("ts", "moved", descending=[False, True])
    return balance + min([0.0, *moves["moved"].cum_sum().to_list()])


def test_six_spot_markets_at_half_of_equity_hold_no_more_than_the_cash() -> None:
    still = candles(flat(120))
    entries = signals(*((market, 0, 0.7) for market in SPOT))
    result = backtest(entries, dict.fromkeys(SPOT, still), settings=HALF)
    assert result.trades.height == 2, "the second half is made smaller by the fees"
    assert result.refusals == {"not enough cash": 4}
    assert result.metrics["refused"] == 4
    assert result.metrics["capped"] == 1
    assert least_cash(result) == pytest.approx(0.0, abs=100)
    third = backtest(entries, dict.fromkeys(SPOT, still), settings=EXACT.sized(position_share=0.33))
    assert third.trades.height == 3
    assert third.refusals == {"not enough cash": 3}, "what is left would be a crumb of what is wanted"
    assert least_cash(third) > 0


@pytest.mark.parametrize("slippage_bps", [0.0, 20.0])
def test_an_entry_with_all_of_the_cash_leaves_room_for_its_costs(slippage_bps: float) -> None:
    whole = EXACT.model_copy(update={"slippage_bps": slippage_bps}).sized(position_share=1.0)
    entries = signals((SPOT[0], 0, 0.7), (SPOT[0], 5, 0.7))
    result = backtest(entries, {SPOT[0]: candles(flat(240))}, settings=whole)
    assert result.refusals == {}
    paid = result.trades["quantity"] * result.trades["entry_price"] * (1 + whole.market_order_bps / 1e4)
    assert 99_990 < paid[0] <= 100_000
    assert 99_990 < paid[1] + (100_000 - (100_000 + result.trades["pnl"][0])) <= 100_000
    assert result.metrics["capped"] == 2


def test_perpetuals_are_margined_as_before() -> None:
    perpetuals = [f"{market}:USDT" for market in SPOT]
    entries = signals(*((market, 0, 0.7) for market in perpetuals))
    result = backtest(entries, dict.fromkeys(perpetuals, candles(flat(120))), settings=HALF)
    assert result.trades.height == 6
    assert result.refusals == {}


@examples(12)
@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 1.0), markets=st.integers(1, 4))
def test_cash_is_never_below_zero_by_more_than_a_candles_gap(seed: int, share: float, markets: int) -> None:
    minutes = 360
    frames = {market: walk(minutes, seed=seed + n) for n, market in enumerate(SPOT[:markets])}
    entries = pl.concat(random_signals(m, minutes, seed=seed + n, share=0.8) for n, m in enumerate(frames))
    result = backtest(entries, frames, settings=EXACT.sized(position_share=share))
    gap = EXACT.starting_balance * 0.005  # the price moves between a decision and its fill
    assert least_cash(result) > -gap


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_spot_market_alone_trades_like_its_perpetual(share: float) -> None:
    frame = walk(600, seed=5)
    settings = EXACT.sized(position_share=share)
    spot, perpetual = (
        backtest(random_signals(market, 600, seed=5), {market: frame}, settings=settings) for market in (SPOT[0], A)
    )
    columns = ["entry_ts", "exit_ts", "quantity", "entry_price", "exit_price", "pnl"]
    assert spot.trades.select(columns).equals(perpetual.trades.select(columns))
    assert spot.start == START
    assert spot.refusals == {}


def test_a_restarted_node_knows_what_its_open_coins_cost() -> None:
    both = (SPOT[0], SPOT[1])
    config = HostConfig(both, share_of_equity(0.6), dict.fromkeys(both, ("15m",)), taker_fee_bps=EXACT.taker_fee_bps)
    desk = Desk(flat(180), markets=both, config=config)
    desk.start(signals((SPOT[0], 0, 0.7)))
    desk.run(START + 2 * QUARTER)
    assert not desk.strategy.is_flat()
    desk.start(signals((SPOT[1], 2, 0.7)), plans=desk.plans()[-1:])
    desk.run(START + 4 * QUARTER)
    assert [action for action, _ in desk.actions()] == ["enter", "enter"]
    assert desk.actions()[-1][1].endswith("not enough cash: 39,970.00 free, with fees enough for 399.5 of 599.82")
    config = HostConfig(both, share_of_equity(0.7), dict.fromkeys(both, ("15m",)), taker_fee_bps=EXACT.taker_fee_bps)
    desk = Desk(flat(180), markets=both, config=config)
    desk.start(signals((SPOT[0], 0, 0.7)))
    desk.run(START + 2 * QUARTER)
    desk.start(signals((SPOT[1], 2, 0.7)), plans=desk.plans()[-1:])
    desk.run(START + 4 * QUARTER)
    assert [action for action, _ in desk.actions()] == ["enter", "refuse"]
    assert desk.actions()[-1][1].startswith("not enough cash: 70,0")
