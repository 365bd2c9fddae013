"""Where a model trades: how many predictions are worth it, whether they come true, and what a verdict says of it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.entries import entries, remarks
from trading_assets.settings import LabelSettings
from trading_assets.strategies.entry_rule import EntryRule

START = datetime(2025, 3, 1, tzinfo=UTC)
LABELS = LabelSettings(cost_bps=12)
RULE = EntryRule(12)


def predictions(said: float, happens: float, *, days: int = 60, seed: int = 1) -> pl.DataFrame:
    """Twenty predictions a day; one of ten says ``said`` and reaches its target as often as ``happens``."""
    rng, rows = np.random.default_rng(seed), days * 20
    known = [START + i * timedelta(hours=1.2) for i in range(rows)]
    sure = np.arange(rows) % 10 == 3
    hit = rng.random(rows) < np.where(sure, happens, 0.25)
    return pl.DataFrame(
        {
            "probability": np.where(sure, said, 0.25),
            "known_at": pl.Series(known, dtype=pl.Datetime("us", "UTC")),
            "label": np.where(hit, 1, -1).astype(np.int8),
            "return": np.where(hit, 0.02, -0.01) - 12e-4,
        }
    )  # fmt: skip


def test_the_entries_are_compared_with_what_happened() -> None:
    found = entries(predictions(0.5, 0.3), RULE, LABELS)
    assert found["entries"] == 120
    assert found["break_even"] == found["required"] == pytest.approx(1.12 / 3)
    assert (found["tail_predicted"], found["max_probability"]) == (pytest.approx(0.5), 0.5)
    assert found["tail_low"] < found["tail_observed"] < found["tail_high"] < 0.45
    assert found["edge_predicted_bps"] == pytest.approx(38)
    assert found["edge_observed_bps"] == pytest.approx(found["tail_observed"] * 300 - 112)


def test_an_overconfident_tail_is_said_and_an_honest_one_is_not() -> None:
    (said,) = remarks(entries(predictions(0.5, 0.3), RULE, LABELS), RULE, {})
    assert said.startswith("the model is overconfident where it trades: 120 predictions say 50.0%, ")
    assert "a trade is expected to earn +38.0 bps" in said
    assert remarks(entries(predictions(0.5, 0.5), RULE, LABELS), RULE, {}) == []
    (cautious,) = remarks(entries(predictions(0.4, 0.7), RULE, LABELS), RULE, {})
    assert cautious.startswith("the model is too cautious")


@pytest.mark.slow
def test_the_interval_of_the_tail_holds_what_is_true() -> None:
    found = [entries(predictions(0.5, 0.4, seed=seed), RULE, LABELS) for seed in range(60)]
    missed = sum(not one["tail_low"] <= 0.4 <= one["tail_high"] for one in found)
    assert missed <= 9  # 3 expected


def test_a_model_that_never_says_enough_is_told_what_it_would_need() -> None:
    found = entries(predictions(0.36, 0.36), RULE, LABELS)
    assert (found["entries"], math.isnan(found["tail_observed"])) == (0, True)
    assert remarks(found, RULE, {}) == [
        "no prediction is worth a trade: the largest probability is 0.360, 0.373 is needed (break-even 0.373)"
    ]


def test_a_threshold_is_placed_between_break_even_and_what_is_predicted() -> None:
    rows = predictions(0.5, 0.5)
    bold, high, idle = (EntryRule(12, threshold=value) for value in (0.45, 0.55, 0.3))
    assert remarks(entries(rows, bold, LABELS), bold, {}) == [
        "the threshold of 0.45 lies +0.077 from break-even (0.373); 10.00% of the predictions reach it, "
        "the largest is 0.500"
    ]
    said = remarks(entries(rows, high, LABELS), high, {})
    assert "0.00% of the predictions reach it, the largest is 0.500" in said[0]
    assert said[1].startswith("no prediction is worth a trade")
    (nothing,) = remarks(entries(rows, idle, LABELS), idle, {})
    assert nothing == "the threshold of 0.3 decides nothing: the expected return asks for 0.373"


def test_refused_entries_and_a_profit_that_stress_takes_are_said() -> None:
    metrics = entries(predictions(0.5, 0.5), RULE, LABELS) | {
        "trades": 370.0, "refused": 830.0, "total_return": 0.05, "stress_total_return": -0.01,
    }  # fmt: skip
    assert remarks(metrics, RULE, {"daily loss": 700, "orders": 130}) == [
        "830 entries were refused by limits beside 370 trades (daily loss 700, orders 130): the figures are those of "
        "what was left",
        "the profit is one of the fills: +5.0% becomes -1.0% where fills are stressed",
    ]


def test_returns_that_are_gross_are_made_net() -> None:
    rows = predictions(0.5, 0.5)
    gross = rows.with_columns(pl.col("return") + 12e-4)
    net, made = entries(rows, RULE, LABELS), entries(gross, RULE, LabelSettings(cost_bps=0))
    assert made["edge_observed_bps"] == pytest.approx(net["edge_observed_bps"])


def test_barriers_of_their_own_decide_each_prediction() -> None:
    rows = predictions(0.5, 0.5).with_columns(
        take_profit=pl.when(pl.int_range(pl.len()) % 20 == 3).then(0.04).otherwise(0.004), stop_loss=0.01
    )
    scaled = LabelSettings(barriers="atr", cost_bps=12)
    assert entries(rows, RULE, scaled)["entries"] == 60


def test_bars_on_which_a_rule_wants_no_trade_do_not_move_what_its_trades_need() -> None:
    own = pl.DataFrame({"take_profit": [0.02, 0.04], "stop_loss": [0.01, 0.01]})
    rows = predictions(0.5, 0.4).head(30).join(own, how="cross")
    wide = pl.col("take_profit") == 0.04
    scaled = LabelSettings(barriers="volatility", cost_bps=12)
    speaks = rows.with_columns(probability=pl.when(wide).then("probability"))
    found = entries(speaks, RULE, scaled)
    assert (found["break_even"], found["required"]) == (pytest.approx(1.12 / 5), pytest.approx(1.12 / 5))
    assert found == entries(speaks.filter(wide), RULE, scaled)


def test_of_two_sides_at_one_bar_the_better_one_is_an_entry_and_of_equal_ones_none() -> None:
    long = predictions(0.5, 0.3).with_columns(market=pl.lit("m"), ts="known_at", side=pl.lit(1, pl.Int8))
    worse, equal, better = (
        long.with_columns(probability=pl.when(pl.col("probability") > 0.4).then(said).otherwise(0.2), side=-1)
        for said in (0.45, 0.5, 0.6)
    )
    found = [
        entries(pl.concat([long, short], how="vertical_relaxed"), RULE, LABELS) for short in (worse, equal, better)
    ]
    assert [one["entries"] for one in found] == [120, 0, 120]
    assert [found[0]["tail_predicted"], found[2]["tail_predicted"]] == pytest.approx([0.5, 0.6])
    assert entries(long, RULE, LABELS) == entries(predictions(0.5, 0.3), RULE, LABELS)
