"""Funding: by hand, against a loop over payments, and in the engine that trades."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backtest.worlds import EXACT, FREE, MINUTE, START, A, backtest, candles, flat, random_sides, signals, walk
from trading_assets.backtest.costs import remarks
from trading_assets.backtest.simulation import engine
from trading_assets.core.sides import Side
from trading_assets.costs.funding import PAYMENTS, charged, payments
from trading_assets.settings import CostSettings, LabelSettings
from trading_assets.store.tables import FUNDING_RATES

REAL = "binance:BTC/USDT:USDT"
LONG_HOLD = LabelSettings(take_profit_pct=50.0, stop_loss_pct=40.0, horizon_bars=48)


def rates(*rows: tuple[int, float, float | None], market: str = A) -> pl.DataFrame:
    """Stored payments from (minutes after the start, rate, mark price)."""
    at = [(START + minute * MINUTE, rate, mark) for minute, rate, mark in rows]
    return pl.DataFrame(
        [(market, ts, ts, rate, 8.0, mark) for ts, rate, mark in at], schema=FUNDING_RATES.columns, orient="row"
    )


@pytest.mark.parametrize(("side", "sign"), [(Side.LONG, -1), (Side.SHORT, 1)])
@pytest.mark.parametrize("rate", [0.0003, -0.0003])
def test_a_long_pays_a_positive_rate_and_a_short_receives_it(side: Side, sign: int, rate: float) -> None:
    stored = rates((0, 0.5, None), (480, rate, 101.5), (960, rate, None))  # the first comes before the entry
    found = backtest(
        signals((A, 0, 0.9), side=side),
        {A: candles(flat(800)).vstack(candles(flat(400, 100.5), start=START + 800 * MINUTE))},
        settings=FREE,
        labels=LONG_HOLD.model_copy(update={"horizon_bars": 72}),
        funding={A: stored},
    )
    (trade,) = found.trades.to_dicts()
    quantity = trade["quantity"]
    by_hand = sign * rate * quantity * (101.5 + 100.5)  # the mark price where there is one, else the last close
    moved = -sign * 0.5 * quantity
    assert trade["funding"] == pytest.approx(by_hand, abs=1e-8)
    assert trade["pnl"] == pytest.approx(moved + by_hand, abs=1e-8)
    assert found.metrics["total_funding"] == pytest.approx(by_hand, abs=1e-8)
    assert found.metrics["assumed_payments"] == 0
    assert found.equity["equity"][-1] == pytest.approx(EXACT.starting_balance + moved + by_hand, abs=1e-6)


def test_a_position_opened_at_the_instant_of_a_payment_or_closed_before_it_takes_no_part() -> None:
    opened = backtest(
        signals((A, 31, 0.9)), {A: candles(flat(600))}, labels=LONG_HOLD, funding={A: rates((480, 0.01, 100.0))}
    )
    closed = backtest(
        signals((A, 0, 0.9)),
        {A: candles(flat(600))},
        labels=LONG_HOLD.model_copy(update={"horizon_bars": 31}),
        funding={A: rates((480, 0.01, 100.0))},
    )
    assert [one.trades["entry_ts"][0] for one in (opened, closed)] == [
        START + 480 * MINUTE + timedelta(milliseconds=100),
        START + 15 * MINUTE + timedelta(milliseconds=100),
    ]
    assert closed.trades["exit_ts"][0] == START + 480 * MINUTE + timedelta(milliseconds=100), "held when it was due"
    assert opened.trades["funding"].to_list() == [0.0]
    assert closed.trades["funding"][0] == pytest.approx(-0.01 * 100 * closed.trades["quantity"][0], abs=1e-8)


def test_the_engines_account_is_charged_as_the_ledger_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random trades of both sides, payments every half an hour: the two know nothing of each other's sums."""
    seen: list[float] = []
    monkeypatch.setattr(
        engine, "_reconcile", lambda trips, balance, start: seen.append(balance - start - trips["pnl"].sum())
    )
    rng = np.random.default_rng(5)
    minutes = 6 * 1440
    stored = rates(*((n, float(r), None) for n, r in zip(range(0, minutes, 30), rng.normal(0, 3e-3, 288), strict=True)))
    world = walk(minutes, seed=11)
    found = backtest(random_sides(A, minutes, seed=3), {A: world}, funding={A: stored})
    assert found.trades.height > 40
    assert set(found.trades["side"]) == {"long", "short"}
    assert found.funding.height > 40
    assert abs(seen[-1]) < 1e-8 * (found.funding.height + 2 * found.trades.height), "the engine rounds to 8 decimals"
    assert found.trades["funding"].sum() == pytest.approx(_loop(found.trades, stored, world), abs=1e-8)


def _loop(trades: pl.DataFrame, stored: pl.DataFrame, world: pl.DataFrame) -> float:
    total = 0.0
    for trade in trades.to_dicts():
        for ts, rate in stored.select("ts", "rate").rows():
            if trade["entry_ts"] < ts <= trade["exit_ts"] and ts < trade["exit_ts"]:
                close = world.filter(pl.col("ts") + pl.duration(minutes=1) <= ts)["close"][-1]
                total -= (1 if trade["side"] == "long" else -1) * trade["quantity"] * close * rate
    return total


def test_payments_of_nothing_change_no_trade() -> None:
    minutes = 2 * 1440
    world, said = walk(minutes, seed=4), random_sides(A, minutes, seed=8)
    usual = EXACT.model_copy(update={"slippage_probability": 0.5})
    without = backtest(said, {A: world}, settings=usual)
    nothing = backtest(
        said, {A: world}, settings=usual, funding={A: rates(*((n, 0.0, 99.0) for n in range(0, minutes, 60)))}
    )
    assert without.trades.equals(nothing.trades)
    assert without.equity.equals(nothing.equity)


def test_a_payment_counts_on_its_day_and_not_on_that_of_the_exit() -> None:
    stored = rates((480, 0.001, 100.0), (1440, 0.002, 100.0), (1920, 0.004, 100.0))
    found = backtest(
        signals((A, 0, 0.9)),
        {A: candles(flat(2 * 1440))},
        settings=FREE,
        labels=LONG_HOLD.model_copy(update={"horizon_bars": 160}),
        funding={A: stored},
    )
    notional = 100 * found.trades["quantity"][0]
    assert found.equity["equity"].to_list() == pytest.approx(
        [EXACT.starting_balance - 0.001 * notional, EXACT.starting_balance - 0.007 * notional], abs=1e-6
    )


@pytest.mark.parametrize("side", list(Side))
def test_what_nobody_stored_is_a_cost_to_either_side_and_of_a_synthetic_market_nothing(side: Side) -> None:
    labels = LONG_HOLD.model_copy(update={"horizon_bars": 72})
    for market, bps, wanted in ((REAL, 1.0, 1.0), (REAL, 2.5, 2.5), (A, 1.0, 0.0)):
        found = backtest(
            signals((market, 0, 0.9), side=side),
            {market: candles(flat(1200))},
            settings=FREE.model_copy(update={"assumed_funding_bps": bps}),
            labels=labels,
        )
        notional = 100 * found.trades["quantity"][0]
        assert found.trades["funding"][0] == pytest.approx(-2 * wanted / 1e4 * notional, abs=1e-8)
        assert found.metrics["assumed_funding"] == found.metrics["total_funding"]
        assert found.metrics["assumed_payments"] == found.metrics["payments"] == 2
        assert found.equity["equity"][-1] == pytest.approx(
            EXACT.starting_balance - 2 * wanted / 1e4 * notional, abs=1e-6
        )


def due(market: str, stored: pl.DataFrame | None, hours: int = 48) -> list[tuple[int, float, bool]]:
    end = START + timedelta(hours=hours)
    found = payments(
        market,
        stored,
        candles(flat(hours * 60), start=START),
        timeframe="1m",
        start=START + MINUTE,
        end=end,
        assumed_bps=1.0,
    )
    assert found.columns == list(PAYMENTS)
    return [(int((ts - START) / timedelta(hours=1)), rate, assumed) for _, ts, rate, _, assumed in found.rows()]


def test_only_what_is_missing_between_stored_payments_is_assumed() -> None:
    hourly = {"market": REAL}
    assert due("binance:BTC/USDT", None) == [], "a spot market has none"
    assert due("binance:BTC/USDT:USDT-250328", None) == [], "nor has a dated future"
    assert due(REAL, None) == [(h, 1e-4, True) for h in (8, 16, 24, 32, 40)]
    every_8 = rates(*((60 * h, 5e-4, None) for h in (0, 8, 16, 32, 40)), **hourly)
    assert due(REAL, every_8) == [(h, 1e-4 if h == 24 else 5e-4, h == 24) for h in (8, 16, 24, 32, 40)]
    odd = rates(*((60 * h, 5e-4, None) for h in (1, 9, 17, 25, 33, 41)), **hourly)
    assert due(REAL, odd) == [(h, 5e-4, False) for h in (1, 9, 17, 25, 33, 41)]
    ends = rates(*((60 * h, 5e-4, None) for h in (0, 4, 8)), **hourly)
    assert due(REAL, ends) == [(4, 5e-4, False), (8, 5e-4, False), *((h, 1e-4, True) for h in (16, 24, 32, 40))]


moves = st.lists(
    st.tuples(st.integers(1, 200), st.sampled_from(["buy", "sell"]), st.integers(1, 50)), min_size=1, max_size=8
)


@given(moves, st.lists(st.tuples(st.integers(0, 220), st.integers(-30, 30)), max_size=12, unique_by=lambda x: x[0]))
def test_the_total_is_the_sum_of_the_stored_payments_on_what_was_held(
    traded: list[tuple[int, str, int]], paid: list[tuple[int, int]]
) -> None:
    at = datetime(2025, 3, 1, tzinfo=UTC)
    fills: list[Mapping[str, Any]] = [
        {"market": A, "ts": at + minute * MINUTE, "signal_id": "one", "side": side, "quantity": lots / 10}
        for minute, side, lots in sorted(traded)
    ]
    rows = [(A, at + minute * MINUTE, bps / 1e4, 100.0 + minute, False) for minute, bps in paid]
    found = charged(fills, pl.DataFrame(rows, schema=PAYMENTS, orient="row"))
    wanted = 0.0
    for minute, bps in paid:
        held = sum(lots / 10 * (1 if side == "buy" else -1) for when, side, lots in traded if when < minute)
        wanted -= held * (100 + minute) * bps / 1e4
    assert found["amount"].sum() == pytest.approx(wanted, abs=1e-8)


def test_a_verdict_says_what_is_assumed() -> None:
    metrics = {"assumed_payments": 5.0, "payments": 5.0, "assumed_funding": -12.5}
    (said,) = remarks(metrics, [REAL], CostSettings(assumed_funding_bps=2))
    assert said.startswith(f"no funding rates are stored of {REAL}: 2 bps every 8 hours")
    assert "12.50 in all" in said
    (said,) = remarks(metrics | {"payments": 8.0}, [REAL], CostSettings())
    assert said.startswith("5 of 8 payments are not stored")
    assert remarks(metrics | {"assumed_payments": 0.0}, [REAL], CostSettings()) == []
    assert remarks(metrics, ["binance:BTC/USDT", A], CostSettings()) == [], "spot, and synthetic, pay nothing"
