"""The performance summary against a journal written by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from trading_assets.sql import load_models, run_model
from trading_assets.store import Store, Table
from trading_assets.store.tables import FILLS, PERFORMANCE_SUMMARY, POSITIONS, SIGNALS

START = datetime(2025, 1, 1, tzinfo=UTC)


def journal(store: Store, table: Table, *events: dict[str, Any], node: str = "paper") -> None:
    rows = [
        {"node": node, "market": "x:A/B", "ts": START + timedelta(minutes=event["seq"])} | event for event in events
    ]
    columns = {name: [row.get(name) for row in rows] for name in table.columns}
    store.upsert(table, pl.DataFrame(columns, schema=table.columns))


def summary(store: Store) -> dict[tuple[str, str], dict[str, Any]]:
    frame = run_model(store, load_models()["performance_summary"])
    store.replace(PERFORMANCE_SUMMARY, frame, where={})
    return {(row["node"], row["model"]): row for row in store.read(PERFORMANCE_SUMMARY).rows(named=True)}


def signal(seq: int, action: str, model: str = "m", version: int = 1) -> dict[str, Any]:
    return {"seq": seq, "signal_id": f"s{seq}", "action": action, "model": model, "model_version": version}


def position(seq: int, event: str, quantity: float, pnl: float, signal: str | None, **more: str) -> dict[str, Any]:
    return {"seq": seq, "event": event, "quantity": quantity, "realized_pnl": pnl, "signal_id": signal} | more


def test_an_empty_journal_gives_no_rows(store: Store) -> None:
    assert summary(store) == {}


def test_the_summary_counts_what_the_journal_holds(store: Store) -> None:
    decisions = [
        signal(1, "hold"),
        signal(2, "enter"),
        signal(9, "enter"),
        signal(16, "refuse"),
        signal(20, "enter", version=2),
    ]
    journal(store, SIGNALS, *decisions)
    fills = [(4, "s2", 1.5), (7, "s2", 1.0), (11, "s9", 2.0), (14, "s9", 2.0), (22, "s20", 0.5)]
    journal(store, FILLS, *({"seq": seq, "signal_id": owner, "fee": fee} for seq, owner, fee in fills))
    journal(
        store,
        POSITIONS,
        position(5, "opened", 1.0, -1.5, "s2"),
        position(8, "closed", 0.0, 30.0, "s2"),
        position(12, "opened", 1.0, -2.0, "s9"),
        position(15, "closed", 0.0, -20.0, "s9"),
        position(23, "opened", 2.0, -0.5, "s20"),
    )
    assert summary(store) == {
        ("paper", "m"): {
            "node": "paper",
            "model": "m",
            "model_version": 2,
            "first_ts": START + timedelta(minutes=1),
            "last_ts": START + timedelta(minutes=23),
            "decisions": 5,
            "signals_taken": 3,
            "signals_refused": 1,
            "fills": 5,
            "fees": 7.0,
            "fees_unvalued": 0,
            "funding": 0.0,
            "trades_closed": 2,
            "trades_won": 1,
            "win_rate": 0.5,
            "realized_pnl": 10.0,
            "profit_factor": 1.5,
            "best_trade": 30.0,
            "worst_trade": -20.0,
            "open_positions": 1,
        }
    }


def test_models_and_nodes_are_kept_apart_though_signals_share_their_names(store: Store) -> None:
    journal(store, SIGNALS, signal(1, "enter"), signal(2, "enter", model="other"))
    journal(store, SIGNALS, signal(1, "enter", model="other"), node="second")
    journal(store, FILLS, {"seq": 3, "signal_id": "s1", "fee": 1.0}, {"seq": 4, "signal_id": "s2", "fee": 2.0})
    journal(store, FILLS, {"seq": 3, "signal_id": "s1", "fee": 4.0}, node="second")
    fees = {key: row["fees"] for key, row in summary(store).items()}
    assert fees == {("paper", "m"): 1.0, ("paper", "other"): 2.0, ("second", "other"): 4.0}


def test_fees_in_coins_count_at_their_price_and_those_without_one_are_counted(store: Store) -> None:
    journal(store, SIGNALS, signal(1, "enter"))
    fee = {"signal_id": "s1", "market": "x:A/B:B", "price": 50.0, "fee": 2.0}
    coins = (("B", None), ("A", None), ("C", 7.0), ("C", None), (None, None))
    rows = ({**fee, "seq": 3 + n, "fee_currency": coin, "fee_price": price} for n, (coin, price) in enumerate(coins))
    journal(store, FILLS, *rows)
    row = summary(store)["paper", "m"]
    assert (row["fees"], row["fees_unvalued"]) == (2.0 + 100.0 + 14.0 + 2.0, 1)


def test_a_position_open_on_one_market_and_closed_on_another_counts_once(store: Store) -> None:
    journal(store, SIGNALS, signal(1, "enter"), signal(2, "enter"))
    journal(
        store,
        POSITIONS,
        position(3, "opened", 1.0, 0.0, "s1"),
        position(4, "opened", -1.0, 0.0, "s2", market="x:C/B"),
        position(5, "closed", 0.0, 7.0, "s1"),
    )
    row = summary(store)["paper", "m"]
    assert (row["open_positions"], row["trades_closed"], row["profit_factor"]) == (1, 1, None)


def test_what_no_signal_caused_is_shown_under_no_model(store: Store) -> None:
    journal(store, POSITIONS, position(1, "closed", 0.0, -3.0, None))
    journal(store, FILLS, {"seq": 2, "signal_id": "lost", "fee": 1.0})
    row = summary(store)["paper", "(none)"]
    assert (row["realized_pnl"], row["fees"], row["decisions"]) == (-3.0, 1.0, 0)
    assert row["win_rate"] == pytest.approx(0.0)
    assert row["model_version"] is None
