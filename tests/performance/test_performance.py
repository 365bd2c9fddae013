"""What the journal says of the node's trades and account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.exits.plan import ExitPlan
from trading_assets.journal.events import SCHEMAS, frame
from trading_assets.performance import by_period, live_trades
from trading_assets.settings.sections.trading import CostSettings
from trading_assets.store.tables import ACCOUNT_EQUITY, CANDLES, LIVE_TRADES, PERFORMANCE
from trading_assets.strategies.orders.journal_rows import plan_row
from trading_assets.strategies.plans.plan import TradePlan

MARKET = "sample:A/USDT:USDT"
T0 = datetime(2025, 5, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COSTS = CostSettings(taker_fee_bps=5.0, slippage_bps=1.0)


def minutes(*closes: float) -> pl.DataFrame:
    """Candles from half an hour before the decision on; each is one tenth high and low of its close."""
    rows = [
        (MARKET, "1m", T0 + n * MINUTE - 30 * MINUTE, close, close + 0.1, close - 0.1, close, 1.0)
        for n, close in enumerate(closes)
    ]
    return pl.DataFrame(rows, schema=CANDLES.columns, orient="row")


def events(*rows: tuple[str, dict[str, Any]]) -> dict[str, pl.DataFrame]:
    """Events as a journal gives them back."""
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {kind: [] for kind in SCHEMAS}
    for seq, (kind, row) in enumerate(rows, 1):
        told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        found[kind].append((seq, {name: value for name, value in told.items() if name != "event_id"}))
    return {kind: frame(kind, "n", these) for kind, these in found.items()}


def traded(
    signal: str = "m-v3-" + MARKET + "-20250520T1145", *, filled_by: str | None = "live", stage: Any = "closed"
) -> list[tuple[str, dict[str, Any]]]:
    """Ten ordered, eight entered at 100.02 and closed at 101 after twenty minutes, half of it earlier."""
    plan = TradePlan(
        *(MARKET, signal, 0.6, T0, T0 + timedelta(hours=2), ExitPlan.bracket(0.01, 0.01, timedelta(hours=2)), 10.0),
        "e",
        bar=timedelta(minutes=15),
    ).filled(8.0, 100.02)
    plan = TradePlan.from_json(plan.to_json().replace('"open"', f'"{stage}"'))
    base = {"market": MARKET, "signal_id": signal}
    decided = {**base, "model": "m", "model_version": 3, "action": "enter", "bar_ts": T0 - 15 * MINUTE, "side": 1}

    def order(name: str, purpose: str, quantity: float) -> tuple[str, dict[str, Any]]:
        row = {**base, "ts": T0, "order_id": name, "purpose": purpose, "quantity": quantity, "status": "initialized"}
        return "orders", row

    def fill(
        name: str, at: datetime, side: str, quantity: float, price: float, fee: float
    ) -> tuple[str, dict[str, Any]]:
        row = {**base, "ts": at, "order_id": name, "trade_id": f"{name}-{at}", "side": side, "quantity": quantity}
        return "fills", {**row, "price": price, "fee": fee, "fee_currency": "USDT", "filled_by": filled_by}

    return [
        ("signals", {**decided, "ts": T0}),
        order("e", "entry", 10.0),
        order("t", "take_profit", 8.0),
        fill("e", T0 + timedelta(seconds=1), "buy", 8.0, 100.02, 0.4),
        fill("t", T0 + 10 * MINUTE, "sell", 4.0, 101.0, 0.1),
        fill("x", T0 + 20 * MINUTE, "sell", 4.0, 101.0, 0.2),
        order("x", "exit", 4.0),
        ("plans", plan_row(plan, T0)),
    ]


def test_a_closed_trade_is_told_with_duration_excursions_and_slippage() -> None:
    prices = [100.0] * 32 + [99.0] + [101.5] * 5 + [101.0] * 30
    found = live_trades(events(*traded()), {MARKET: minutes(*prices)}, COSTS)
    assert found.columns == list(LIVE_TRADES.columns)
    (row,) = found.to_dicts()
    assert (row["model"], row["model_version"], row["timeframe"], row["side"]) == ("m", 3, "15m", "long")
    assert row["signal_ts"] == T0 - 15 * MINUTE
    assert row["duration_s"] == 1199
    assert (row["quantity"], row["ordered"]) == (8.0, 10.0)
    assert row["decision_price"] == 100.0
    assert row["slippage_bps"] == pytest.approx(2.0)
    assert row["mae"] == pytest.approx(1 - 98.9 / 100.02)
    assert row["mfe"] == pytest.approx(101.6 / 100.02 - 1)
    assert row["slippage_fees"] == 0.0, "a venue filled it: slippage is in the price"
    assert row["pnl"] == pytest.approx(8 * 0.98 - 0.7)


def test_on_paper_the_fees_of_orders_at_the_market_hold_their_slippage() -> None:
    for filled_by in (None, "paper", "shadow"):
        found = live_trades(events(*traded(filled_by=filled_by)), {MARKET: minutes(*[100.0] * 60)}, COSTS)
        assert found["slippage_fees"].item() == pytest.approx(1e-4 * (8 * 100.02 + 4 * 101.0)), "not of the target"


def test_funding_is_what_the_venue_booked_or_what_was_reckoned() -> None:
    paid = [
        ("payments", {"ts": T0 + at * MINUTE, "market": MARKET, "kind": kind, "amount": -0.25})
        for at, kind in ((5, "funding"), (25, "funding"), (5, "fee"))
    ]
    reckoned = pl.DataFrame({"signal_id": [traded()[0][1]["signal_id"]], "amount": [-0.5]})
    booked = live_trades(events(*traded(), *paid), {}, COSTS, reckoned=reckoned)
    assert booked["funding"].item() == -0.25
    assert booked["decision_price"].item() is None
    on_paper = live_trades(events(*traded(filled_by="paper"), *paid), {}, COSTS, reckoned=reckoned)
    assert on_paper["funding"].item() == -0.5
    assert on_paper["pnl"].item() == pytest.approx(booked["pnl"].item() - 0.25)


def test_what_is_open_or_was_never_filled_is_no_trade_yet() -> None:
    assert live_trades(events(*traded(stage="exiting")), {}, COSTS).is_empty()
    assert live_trades(events(traded()[0], traded()[-1]), {}, COSTS).is_empty()
    assert live_trades(events(), {}, COSTS).is_empty()


# -- periods ----------------------------------------------------------------------------------------------------------

EQUITY_0 = 1_000.0


def equity(*rows: tuple[float, float]) -> pl.DataFrame:
    """(days after the first, equity)."""
    told = [("n", n, T0 + timedelta(days=day), "USDT", worth, 0.0) for n, (day, worth) in enumerate(rows)]
    return pl.DataFrame(told, schema=ACCOUNT_EQUITY.columns, orient="row")


def closed(*rows: tuple[float, float]) -> pl.DataFrame:
    """(days after the first, profit) as trades."""
    blank = dict.fromkeys(LIVE_TRADES.columns)
    told = [
        blank
        | {
            "node": "n",
            "signal_id": str(n),
            "exit_ts": T0 + timedelta(days=day),
            "pnl": pnl,
            "fees": 1.0,
            "funding": 0.0,
        }
        for n, (day, pnl) in enumerate(rows)
    ]
    return pl.DataFrame(told, schema=LIVE_TRADES.columns)


def test_periods_hold_their_trades_and_what_the_account_did() -> None:
    curve = equity((0, 1_000), (0.1, 990), (0.2, 1_010), (1, 1_020), (13, 1_000))
    found = by_period(closed((0.2, 10), (1, 10), (13, -20)), curve, node="n", starting_balance=5.0)
    assert found.columns == list(PERFORMANCE.columns)
    assert found.group_by("period", maintain_order=True).len().rows() == [
        ("day", 14),
        ("week", 3),
        ("month", 2),
        ("all", 1),
    ]
    first, *_, last = found.filter(period="day").to_dicts()
    assert (first["start_equity"], first["end_equity"], first["trades"], first["won"]) == (1_000, 1_010, 1, 1)
    assert first["max_drawdown"] == pytest.approx(0.01), "within the day"
    assert first["sharpe"] is None
    assert (last["pnl"], last["return"]) == (-20, pytest.approx(1_000 / 1_020 - 1))
    (whole,) = found.filter(period="all").to_dicts()
    assert (whole["trades"], whole["pnl"], whole["return"]) == (3, 0, 0)
    assert whole["max_drawdown"] == pytest.approx(20 / 1_020)
    assert whole["profit_factor"] == pytest.approx(1.0)
    assert whole["sharpe"] is not None
    weeks = found.filter(period="week")
    assert weeks["ts"].dt.weekday().unique().to_list() == [1]


def test_without_a_journalled_curve_closed_trades_make_one() -> None:
    found = by_period(closed((0, 10), (2, -5)), equity(), node="n", starting_balance=EQUITY_0)
    (whole,) = found.filter(period="all").to_dicts()
    assert (whole["start_equity"], whole["end_equity"]) == (1_000, 1_005)
    assert by_period(closed(), equity(), node="n", starting_balance=EQUITY_0).is_empty()


def test_trades_from_before_a_curve_was_journalled_and_from_after_it_belong_to_it() -> None:
    found = by_period(closed((0, 10), (4, -5)), equity((2, 1_010), (3, 1_020)), node="n", starting_balance=5.0)
    assert found.filter(period="day")["end_equity"].to_list() == [1_010, 1_010, 1_010, 1_020, 1_015]
    (whole,) = found.filter(period="all").to_dicts()
    assert (whole["start_equity"], whole["trades"], whole["pnl"]) == (1_000, 2, 5)


@given(
    worth=st.lists(st.tuples(st.floats(0, 60), st.floats(2_500, 10_000)), min_size=1, max_size=30),
    pnl=st.lists(st.tuples(st.floats(0, 60), st.floats(-100, 100)), max_size=20),
)
def test_days_chain_to_all_whatever_happened(worth: list[tuple[float, float]], pnl: list[tuple[float, float]]) -> None:
    curve = equity(*sorted(worth))
    found = by_period(closed(*pnl), curve, node="n", starting_balance=EQUITY_0)
    (whole,) = found.filter(period="all").to_dicts()
    for period in ("day", "week", "month"):
        rows = found.filter(period=period)
        assert rows.select((pl.col("return") + 1).product()).item() == pytest.approx(1 + whole["return"], rel=1e-6)
        assert rows["trades"].sum() == whole["trades"] == len(pnl)
        assert rows["pnl"].sum() == pytest.approx(whole["pnl"], abs=1e-6)
        assert rows["max_drawdown"].max() <= whole["max_drawdown"] + 1e-9
