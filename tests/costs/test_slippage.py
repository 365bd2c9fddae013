"""Slippage models: by hand, point in time, and in the engine's fees."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.backtest.worlds import EXACT, MINUTE, QUARTER, START, A, backtest, candles, flat, signals, walk
from trading_assets.costs.slippage import Slippage, corwin_schultz
from trading_assets.settings import BacktestSettings
from trading_assets.settings.sections.slippage import ImpactSlippageSettings, SpreadSlippageSettings


def bars(*rows: tuple[float, float, float, float]) -> pl.DataFrame:
    """Bars of 15 minutes of (high, low, close, volume)."""
    return pl.DataFrame(
        [(START + (n + 1) * QUARTER, *row) for n, row in enumerate(rows)],
        schema={"known_at": pl.Datetime("us", "UTC"), "high": pl.Float64, "low": pl.Float64}
        | {"close": pl.Float64, "volume": pl.Float64},
        orient="row",
    )


def test_the_estimate_of_corwin_and_schultz_by_hand() -> None:
    spread = corwin_schultz(bars((101, 99, 100, 1), (101, 99, 100, 1)))
    # both bars and the two together have one range: beta is twice gamma, and alpha = log(high / low)
    r = math.log(101 / 99)
    root = 3 - 2 * math.sqrt(2)
    alpha = (2 * r - math.sqrt(2) * r) / root - r / math.sqrt(root)
    assert spread.to_list() == [None, pytest.approx(2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha)))]
    assert spread[1] == pytest.approx(0.02, abs=1e-5), "a price that jumps between bid and ask: the spread is its range"
    trending = corwin_schultz(bars((101, 100, 101, 1), (103, 102, 103, 1)))
    assert trending[1] == 0, "what the estimate says below nothing is nothing"


def test_the_estimate_finds_the_spread_of_a_market_that_bounces() -> None:
    rng = np.random.default_rng(2)
    mid = 100 * np.exp(np.cumsum(rng.normal(0, 1e-4, 40_000)))
    price = (mid * (1 + 0.002 * rng.choice([-1, 1], mid.size))).reshape(-1, 100)
    rows = [(float(one.max()), float(one.min()), float(one[-1]), 1.0) for one in price]
    found = corwin_schultz(bars(*rows)).mean()
    assert found == pytest.approx(0.004, rel=0.2)


def test_the_square_root_law_by_hand_and_only_of_what_was_known() -> None:
    held = bars((101, 99, 100, 400), (102, 99, 101, 400), (102, 99, 100, 400), (110, 90, 90, 1))
    model = Slippage(ImpactSlippageSettings(bars=2), 1.0, {A: held})
    moves = [math.log(101 / 100), math.log(100 / 101)]
    by_hand = 1.0 + 1e4 * float(np.std(moves, ddof=1)) * math.sqrt(25 / 400)
    known = START + 3 * QUARTER
    assert model.bps(A, known, 25.0) == pytest.approx(by_hand)
    assert model.bps(A, known + QUARTER - MINUTE, 25.0) == pytest.approx(by_hand), "the next bar is not known yet"
    assert model.bps(A, known, 100.0) - 1 == pytest.approx(2 * (by_hand - 1)), (
        "four times as much moves it twice as far"
    )
    assert model.bps(A, START + QUARTER, 25.0) == 1.0, "too few bars"
    assert model.bps("x:B/USDT", known, 25.0) == 1.0
    double = Slippage(ImpactSlippageSettings(bars=2, scale=2.0), 1.0, {A: held})
    assert double.bps(A, known, 25.0) - 1 == pytest.approx(2 * (by_hand - 1))


def test_a_recorded_book_goes_before_the_estimate_for_an_hour() -> None:
    held = bars((101, 99, 100, 1), (101, 99, 100, 1), (101, 99, 100, 1))
    book = pl.DataFrame({"known_at": [START + 2 * QUARTER + MINUTE], "bid": [99.9], "ask": [100.1]}).cast(
        {"known_at": pl.Datetime("us", "UTC")}
    )
    model = Slippage(SpreadSlippageSettings(bars=2), 1.0, {A: held}, {A: book})
    estimated = pytest.approx(100.0, rel=1e-3)  # half of 2 %
    assert model.bps(A, START + 3 * QUARTER, 1.0) == pytest.approx(10.0)
    assert model.bps(A, START + 2 * QUARTER, 1.0) == 1.0, "neither is known yet"
    assert model.bps(A, START + 3 * QUARTER + timedelta(hours=2), 1.0) == estimated


@pytest.mark.parametrize("kind", ["spread", "impact"])
def test_the_engine_charges_what_the_model_says_of_each_order_at_the_market(kind: str) -> None:
    asked = {"kind": kind, "bars": 4}
    settings = BacktestSettings.model_validate({**EXACT.model_dump(), "slippage_bps": 1.0, "slippage": asked})
    world = walk(240, seed=5)
    found = backtest(signals((A, 10, 0.9)), {A: world}, settings=settings)
    usual = backtest(signals((A, 10, 0.9)), {A: world}, settings=EXACT.model_copy(update={"slippage_bps": 1.0}))
    (trade,), (before,) = found.trades.to_dicts(), usual.trades.to_dicts()
    assert trade["entry_price"] == before["entry_price"]
    rows = world.group_by_dynamic("ts", every="15m").agg(
        pl.max("high"), pl.min("low"), pl.last("close"), pl.sum("volume")
    )
    held = rows.select((pl.col("ts") + QUARTER).alias("known_at"), "high", "low", "close", "volume")
    model = Slippage(settings.slippage, 1.0, {A: held})
    entered = START + 11 * QUARTER
    by_hand = trade["quantity"] * trade["entry_price"] * (5 + model.bps(A, entered, trade["quantity"])) / 1e4
    entry_fee = trade["fees"] - trade["quantity"] * trade["exit_price"] * _exit_bps(trade, model) / 1e4
    assert entry_fee == pytest.approx(by_hand, abs=1e-5)
    assert trade["fees"] > before["fees"]


def _exit_bps(trade: dict[str, object], model: Slippage) -> float:
    """Of the exit: a target rests and pays the maker's; a stop was sent with the entry, others as they came."""
    if trade["exit_reason"] == "take_profit":
        return 2.0
    sent = START + 11 * QUARTER + timedelta(seconds=1)
    if trade["exit_reason"] != "stop_loss":
        sent = trade["exit_ts"]  # type: ignore[assignment]
    return 5 + model.bps(A, sent, trade["quantity"])  # type: ignore[arg-type]


def test_dearer_costs_scale_what_is_measured() -> None:
    measured = BacktestSettings(slippage=SpreadSlippageSettings(scale=1.5))
    assert measured.dearer(2).slippage.scale == 3.0  # type: ignore[attr-defined]
    assert "slippage" not in BacktestSettings().model_dump(), "settings without it are what they were: in hashes too"
    assert backtest(signals((A, 0, 0.9)), {A: candles(flat(60))}, settings=measured).trades.height == 1
