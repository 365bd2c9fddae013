"""What a trial is worth: traded one at a time, after costs, less its error, and less where trades are few."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.search.objective import Period, measured, trades, worth
from trading_assets.settings import LabelSettings
from trading_assets.strategies.entry_rule import EntryRule

START = datetime(2025, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LABELS = LabelSettings(take_profit_pct=2.0, stop_loss_pct=1.0, cost_bps=4.0)
RULE = EntryRule(cost_bps=10.0)
SURE = 0.9


def said(*rows: tuple[str, int, int, float | None, float, int]) -> pl.DataFrame:
    """Market, hour of the decision, hours until the outcome, probability, return, side."""
    return pl.DataFrame(
        [
            (market, START + begin * HOUR, START + begin * HOUR, START + (begin + lasted) * HOUR, p, earned, side)
            for market, begin, lasted, p, earned, side in rows
        ],
        schema={
            "market": pl.String,
            "ts": pl.Datetime("us", "UTC"),
            "known_at": pl.Datetime("us", "UTC"),
            "label_end": pl.Datetime("us", "UTC"),
            "probability": pl.Float64,
            "return": pl.Float64,
            "side": pl.Int8,
        },
        orient="row",
    )


def test_one_position_at_a_time_in_each_market_at_the_accounts_own_costs() -> None:
    rows = said(
        ("A", 0, 5, SURE, 0.02, 1),
        ("A", 2, 9, SURE, 0.02, 1),  # the first is open
        ("A", 5, 3, SURE, -0.01, 1),
        ("B", 2, 9, SURE, 0.02, 1),
        ("B", 30, 2, 0.1, 0.02, 1),  # not worth a trade
        ("B", 31, 2, None, 0.02, 1),
    )
    taken = trades(rows, RULE, LABELS)
    assert taken.select("market", (pl.col("known_at") - START).dt.total_hours()).rows() == [
        ("A", 0),
        ("A", 5),
        ("B", 2),
    ]
    assert taken["net"].to_list() == pytest.approx([0.0194, -0.0106, 0.0194])


def test_of_two_sides_the_better_one_is_taken_and_neither_where_both_promise_the_same() -> None:
    rows = said(
        ("A", 0, 1, SURE, 0.02, 1), ("A", 0, 1, 0.8, 0.01, -1), ("A", 3, 1, SURE, 0.02, 1), ("A", 3, 1, SURE, 0.0, -1)
    )
    assert trades(rows, RULE, LABELS)["net"].to_list() == pytest.approx([0.0194])


def test_days_without_a_trade_count_and_markets_share_what_is_traded_with() -> None:
    rows = said(("A", 0, 5, SURE, 0.02, 1), ("B", 24, 2, SURE, 0.02, 1))
    found = worth(rows, RULE, LABELS, Period(START, START + timedelta(days=4)))
    assert found.returns.tolist() == pytest.approx([0.0097, 0.0097, 0.0, 0.0])
    assert found.trades == 2


def test_a_steady_record_is_worth_more_than_a_lucky_handful_of_the_same_sharpe_ratio() -> None:
    rng = np.random.default_rng(1)
    steady = rng.normal(0.001, 0.004, 200)
    lucky = np.zeros(200)
    lucky[::50] = 0.03
    sharpe = {name: one.mean() / one.std(ddof=1) for name, one in (("steady", steady), ("lucky", lucky))}
    found = {"steady": measured(steady, 120, 30), "lucky": measured(lucky, 4, 30)}
    assert found["lucky"].value / sharpe["lucky"] < 0.25 * found["steady"].value / sharpe["steady"]
    assert found["lucky"].value > 0


def test_a_trial_that_never_trades_is_worth_less_than_nothing_and_more_than_one_that_loses() -> None:
    idle, losing = measured(np.zeros(100), 0, 30), measured(np.tile([-0.01, 0.004], 50), 50, 30)
    assert losing.value < idle.value < 0
    assert idle.value == pytest.approx(-math.sqrt(365 / 99))
    assert idle.blocks.tolist() == [0.0] * 14


def test_weeks_are_compared_at_the_deviation_of_a_day() -> None:
    returns = np.tile([0.01, -0.005, 0.002, 0.0, 0.0, 0.001, 0.003], 6)
    one, doubled = measured(returns, 60, 0), measured(2 * returns, 60, 0)
    assert one.blocks.tolist() == pytest.approx(doubled.blocks.tolist())
    assert len(one.blocks) == 6
