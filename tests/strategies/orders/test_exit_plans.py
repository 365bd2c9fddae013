"""Known answers by hand for each element of an exit plan, on the engine that the backtest and the sandbox run on.

Entries are at 100, and a short trade lives in the world mirrored there (``200 - p``): all distances are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from tests.backtest.worlds import ANY_EDGE, FREE, GENEROUS, LABELS, START, A, candles, flat, signals
from tests.strategies.test_pure import SIGNAL
from trading_assets.backtest.simulation.engine import BacktestResult, run_backtest
from trading_assets.core.sides import Side
from trading_assets.exits.plan import Target
from trading_assets.settings import ModelSettings
from trading_assets.settings.sections.exits import ExitSettings, TargetSettings, TrailingSettings
from trading_assets.strategies.orders.limits import OrderLimits
from trading_assets.strategies.plans.funding_exit import costs_more_than_is_left
from trading_assets.strategies.plans.parts import parts_of
from trading_assets.strategies.plans.plan import TradePlan

Row = tuple[float, float, float, float]
THREE = [TargetSettings(at=1, share=0.3), TargetSettings(at=2, share=0.4), TargetSettings(at=3, share=0.3)]
QUIET: dict[str, Any] = {
    "unit": "percent",
    "stop": 1.5,
    "targets": THREE,
    "break_even_after": None,
    "trailing": None,
    "hold_hours": 2,
    "on_opposite": False,
}
ENTRY = 20
"""Minutes of the market before what happens: the entry fills at minute 15."""


def world(side: Side, *happens: Row, after: float, before: int = ENTRY) -> pl.DataFrame:
    rows = [*flat(before), *happens, *flat(300, after)]
    if side is Side.SHORT:
        rows = [(200 - o, 200 - low, 200 - high, 200 - c) for o, high, low, c in rows]
    return candles(rows)


def run(
    frame: pl.DataFrame,
    side: Side,
    *,
    cost_bps: float = 0.0,
    more: Sequence[pl.DataFrame] = (),
    ambiguous: str = "worst_case",
    **plan: Any,
) -> BacktestResult:
    spec = ModelSettings(
        markets=[A],
        threshold=0.55,
        min_edge_bps=ANY_EDGE,
        sides=[Side.LONG, Side.SHORT],
        exit="p",
        exit_plan=ExitSettings(**(QUIET | plan)),
    )
    return run_backtest(
        pl.concat([signals((A, 0, 0.9), side=side), *more]),
        {A: frame},
        candle_timeframe="1m",
        model=spec,
        labels=LABELS.model_copy(update={"ambiguous": ambiguous}),
        settings=FREE,
        risk=GENEROUS,
        name="test",
        reckoned_bps=cost_bps,
    )


def only(result: BacktestResult, side: Side) -> tuple[str, float]:
    """How the only trade ended, and at which price on average, as a long trade would tell it."""
    (row,) = result.trades.iter_rows(named=True)
    assert row["entry_price"] == 100
    price = row["exit_price"]
    return row["exit_reason"], round(price if side is Side.LONG else 200 - price, 4)


BOTH = pytest.mark.parametrize("side", Side)


@BOTH
def test_all_targets_that_one_candle_reaches_fill_in_it(side: Side) -> None:
    frame = world(side, (100, 103.5, 100, 103.5), after=103.5)
    assert only(run(frame, side), side) == ("take_profit", 102.0)


@BOTH
def test_the_stop_closes_all_that_is_left(side: Side) -> None:
    frame = world(side, (100, 101.2, 100, 101), (101, 101, 98, 98), after=98)
    assert only(run(frame, side), side) == ("stop_loss", round(0.3 * 101 + 0.7 * 98.5, 4))


@BOTH
def test_the_stop_goes_to_where_costs_are_earned_after_the_first_target(side: Side) -> None:
    frame = world(side, (100, 101.2, 100, 101), (101, 101, 99, 99), after=99)
    ended = only(run(frame, side, break_even_after=1, cost_bps=10), side)
    assert ended == ("break_even", round(0.3 * 101 + 0.7 * 100.1, 4))


@BOTH
def test_a_stop_that_a_candle_moves_is_in_force_from_the_next_one_on(side: Side) -> None:
    """The candle that fills the target ends below break-even: the next one's open is the first price that counts."""
    frame = world(side, (100, 101.2, 99.8, 99.9), (99.7, 99.8, 99.6, 99.7), after=99.7)
    ended = only(run(frame, side, break_even_after=1), side)
    assert ended == ("break_even", round(0.3 * 101 + 0.7 * 99.7, 4))
    rises = world(side, (100, 101.2, 99.8, 99.9), (100.4, 103.5, 100.4, 103.5), after=103.5)
    assert only(run(rises, side, break_even_after=1), side) == ("take_profit", 102.0)


@BOTH
def test_the_stop_follows_the_best_price_when_a_decision_bar_ends(side: Side) -> None:
    trailing = TrailingSettings(distance=1.0)
    up = (100, 101.8, 100, 101.5)
    falls = world(side, up, *flat(9, 101.5), (101.5, 101.5, 100, 100), after=100)
    assert only(run(falls, side, trailing=trailing), side) == ("trailing", round(0.3 * 101 + 0.7 * 100.8, 4))
    early = world(side, up, *flat(8, 101.5), (101.5, 101.5, 100, 100), after=100)  # before the bar ends nothing follows
    assert only(run(early, side, trailing=trailing), side) == ("trailing", round(0.3 * 101 + 0.7 * 100.0, 4))


@BOTH
def test_a_stop_that_follows_from_the_entry_on_never_goes_back(side: Side) -> None:
    trailing = TrailingSettings(distance=1.0, after="entry")
    up, down = (100, 100.9, 100, 100.5), (100.5, 100.5, 100.2, 100.2)
    frame = world(side, up, *flat(20, 100.5), down, *flat(20, 100.2), (100.2, 100.2, 99, 99), after=99)
    assert only(run(frame, side, trailing=trailing), side) == ("trailing", 99.9)


@BOTH
def test_what_is_left_when_time_is_up_is_closed_at_the_market(side: Side) -> None:
    frame = world(side, (100, 101.2, 100, 100.5), after=100.5)
    result = run(frame, side)
    assert only(result, side) == ("time", round(0.3 * 101 + 0.7 * 100.5, 4))
    assert result.trades["exit_ts"][0] - START == timedelta(minutes=15, hours=2, milliseconds=100)


@BOTH
def test_a_wanted_trade_of_the_other_side_closes_this_one(side: Side) -> None:
    frame = world(side, after=100.5)
    other = signals((A, 2, 0.8), side=side.opposite)
    first = run(frame, side, more=[other], on_opposite=True).trades.row(0, named=True)
    assert (first["exit_reason"], first["exit_ts"] - START) == ("opposite", timedelta(minutes=45, milliseconds=100))
    assert run(frame, side, more=[other]).trades["exit_reason"][0] == "time"


@BOTH
def test_a_candle_that_touches_stop_and_target_follows_the_policy(side: Side) -> None:
    frame = world(side, (100, 101.2, 98, 99), after=99)
    assert only(run(frame, side), side) == ("stop_loss", 98.5)
    assert only(run(frame, side, ambiguous="best_case"), side) == ("stop_loss", round(0.3 * 101 + 0.7 * 98.5, 4))


@BOTH
def test_a_rest_without_a_target_waits_for_time(side: Side) -> None:
    frame = world(side, (100, 102, 100, 101.5), after=101.5)
    half = [TargetSettings(at=1, share=0.5)]
    assert only(run(frame, side, targets=half), side) == ("time", round(0.5 * 101 + 0.5 * 101.5, 4))


@BOTH
def test_a_plan_without_targets_is_a_stop_that_follows(side: Side) -> None:
    frame = world(side, (100, 105, 100, 105), *flat(9, 105), (105, 105, 103, 103), after=103)
    ended = run(frame, side, targets=[], break_even_after=None, trailing=TrailingSettings(after="entry"))
    assert only(ended, side) == ("trailing", 104.0)


@BOTH
def test_a_trade_is_closed_before_a_payment_that_costs_more_than_is_left_to_gain(side: Side) -> None:
    frame = world(side, after=100, before=16 * 60)
    paid = pl.DataFrame(
        {
            "market": A,
            "ts": [START + timedelta(hours=hours) for hours in (0, 8)],
            "known_at": [START + timedelta(hours=hours) for hours in (0, 8)],
            "rate": side * 0.04,
            "mark_price": 100.0,
            "interval_hours": 8.0,
        }
    ).with_columns(pl.col("ts", "known_at").cast(pl.Datetime("us", "UTC")))
    spec = {"targets": [TargetSettings(at=3, share=1.0)], "hold_hours": 12}
    plan = ExitSettings(**(QUIET | spec))
    for chosen, reason, hours in ((True, "funding", 8), (False, "time", 12.25)):
        model = ModelSettings(
            markets=[A],
            threshold=0.55,
            min_edge_bps=ANY_EDGE,
            sides=[Side.LONG, Side.SHORT],
            exit="p",
            exit_plan=plan.model_copy(update={"before_funding": chosen}),
        )
        row = run_backtest(
            signals((A, 0, 0.9), side=side),
            {A: frame},
            candle_timeframe="1m",
            model=model,
            labels=LABELS,
            settings=FREE,
            risk=GENEROUS,
            funding={A: paid},
        ).trades.row(0, named=True)
        assert row["exit_reason"] == reason
        assert abs(row["exit_ts"] - START - timedelta(hours=hours)) <= timedelta(minutes=15, seconds=1)


# -- pure parts ----------------------------------------------------------------------------------------------------

TARGETS = [Target(0.01, 0.3), Target(0.02, 0.4), Target(0.03, 0.3)]
PRICES = [101.0, 102.0, 103.0]


@pytest.mark.parametrize(
    ("quantity", "limits", "shares", "parts"),
    [
        (10.0, OrderLimits(0.001, 0.01, 0.001), (0.3, 0.4, 0.3), [3.0, 4.0, 3.0]),
        (0.007, OrderLimits(0.001, 0.01, 0.001), (0.3, 0.4, 0.3), [0.002, 0.002, 0.003]),  # the last takes the rest
        (0.007, OrderLimits(0.001, 0.01, 0.003), (0.3, 0.4, 0.3), [0.0, 0.004, 0.003]),  # the first joins the next
        (0.006, OrderLimits(0.001, 0.01, 0.003), (0.3, 0.5, 0.2), [0.0, 0.006, 0.0]),  # and the last the one before
        (0.003, OrderLimits(0.001, 0.01, 0.003), (0.3, 0.4, 0.3), [0.0, 0.0, 0.003]),
        (0.001, OrderLimits(0.001, 0.01, 0.001), (0.3, 0.4, 0.3), [0.0, 0.0, 0.001]),
        (1.0, OrderLimits(0.001, 0.01, 0.001, min_notional=30.5), (0.3, 0.4, 0.3), [0.0, 0.7, 0.3]),
        (1.0, OrderLimits(0.1, 0.01, 0.1), (0.3, 0.4, 0.2), [0.3, 0.4, 0.2]),  # a tenth is left to the stop
        (1.0, OrderLimits(0.1, 0.01, 0.2), (0.3, 0.4, 0.2), [0.3, 0.4, 0.3]),  # too little to be left
    ],
)
def test_shares_become_lots_that_a_venue_takes(
    quantity: float, limits: OrderLimits, shares: tuple[float, ...], parts: list[float]
) -> None:
    targets = [one._replace(share=share) for one, share in zip(TARGETS, shares, strict=True)]
    assert parts_of(quantity, targets, PRICES, limits) == pytest.approx(parts)


@BOTH
def test_a_payment_is_weighed_against_the_targets_that_are_left(side: Side) -> None:
    plan = TradePlan.of(SIGNAL, quantity=1, entry_order_id="e")
    plan = replace(plan, side=side, exits=replace(plan.exits, targets=tuple(TARGETS))).filled(1.0, 100.0)
    left = 0.3 * 0.01 + 0.4 * 0.02 + 0.3 * 0.03
    assert costs_more_than_is_left(plan, 100.0, side * (left + 1e-6))
    assert not costs_more_than_is_left(plan, 100.0, side * (left - 1e-6))
    assert not costs_more_than_is_left(plan, 100.0, -side * 0.5)  # what is received is no reason
    assert not costs_more_than_is_left(replace(plan, targets=()), 100.0, side * 0.5)
