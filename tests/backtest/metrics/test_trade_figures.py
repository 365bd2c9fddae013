"""What single trades come to: known answers by hand, vectorbt's and NautilusTrader's, and a loop over candles."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backtest.worlds import A, B, backtest, candles, flat, random_signals, signals, walk
from trading_assets.backtest import metrics
from trading_assets.backtest.report.figures import SHOWN
from trading_assets.core.sides import Side
from trading_assets.settings.metrics import METRICS
from trading_assets.store.tables import TRADES

START = datetime(2025, 1, 6, tzinfo=UTC)  # a Monday
MINUTE = timedelta(minutes=1)


def pnl(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def trade(**changes: Any) -> dict[str, Any]:
    """A long trade from 100 to 100 in the first minutes."""
    entry = START + timedelta(milliseconds=100)
    usual: dict[str, Any] = {
        "market": A, "side": "long", "signal_ts": START, "entry_ts": entry, "exit_ts": entry + 2 * MINUTE,
        "entry_price": 100.0, "exit_price": 100.0, "quantity": 1.0, "fees": 0.0, "pnl": 0.0, "return": 0.0,
        "exit_reason": "time", "targets": 1, "targets_filled": 0, "mae": 0.0, "mfe": 0.0,
    }  # fmt: skip
    return usual | changes


def test_payoff_and_expectancy_by_hand() -> None:
    won_two_lost_two = pnl(30, -10, 10, -10, 0)
    assert metrics.payoff(won_two_lost_two) == pytest.approx(2.0), "mean win 20, mean loss 10"
    assert metrics.expectancy(won_two_lost_two) == pytest.approx(0.4), "0.4 x 2 - 0.4 x 1; the fifth won nothing"
    assert metrics.payoff(pnl()) == metrics.expectancy(pnl()) == 0
    assert metrics.expectancy(pnl(1, 2)) == metrics.UNBOUNDED
    assert metrics.longest_losing_streak(pnl(-1, 2, -1, -1, 0, -1)) == 2


def test_figures_of_trades_agree_with_the_engines_own() -> None:
    from nautilus_trader import analysis

    made = np.random.default_rng(5).normal(1, 10, 300)
    won, lost = (
        getattr(analysis, name)().calculate_from_realized_pnls(made.tolist()) for name in ("AvgWinner", "AvgLoser")
    )
    in_money = analysis.Expectancy().calculate_from_realized_pnls(made.tolist())
    assert metrics.payoff(made) == pytest.approx(won / -lost)
    assert metrics.expectancy(made) == pytest.approx(in_money / -lost)
    assert in_money == pytest.approx(made.mean()), "the average net profit"


def test_hit_rates_are_of_the_trades_that_have_such_a_target() -> None:
    made = pl.DataFrame({"targets": [3, 3, 1, 1], "targets_filled": [3, 1, 1, 0]})
    found = metrics.hit_rates(made)
    assert (found["hit_tp1"], found["hit_tp2"], found["hit_tp3"]) == (0.75, 0.5, 0.5)
    alone = metrics.hit_rates(made.filter(pl.col("targets") == 1))
    assert alone["hit_tp1"] == 0.5
    assert math.isnan(alone["hit_tp2"]), "no trade has a second one"
    assert all(math.isnan(value) for value in metrics.hit_rates(made.head(0)).values())


def test_costs_are_told_by_kind_and_received_funding_is_none() -> None:
    made = pl.DataFrame([trade(fees=2.0), trade(fees=3.0)]).with_columns(funding=pl.Series([-1.0, 3.0]))
    found = metrics.costs(made)
    assert (found["total_fees"], found["total_funding"]) == (5.0, 2.0)
    assert found["total_costs"] == 3.0
    assert found["costs_bps"] == pytest.approx(1e4 * 3 / 400)
    assert metrics.costs(made.drop("funding"))["total_costs"] == 5.0, "a table from before funding was charged"


def test_the_page_tells_no_slippage_of_nothing_beside_the_fees_that_hold_it() -> None:
    told = {name: METRICS[name].label for name in SHOWN}
    assert set(TRADES.columns) & {"fees", "slippage"} == {"fees"}
    assert [label for label in told.values() if "lippage" in label] == ["Fees and slippage"]


def test_excursions_by_hand_long_and_short() -> None:
    world = candles([(100, 101, 99, 100), (100, 104, 97, 103), (103, 110, 90, 102), (102, 150, 50, 102)], start=START)
    made = pl.DataFrame([trade(exit_price=102.0), trade(side="short", exit_price=102.0)])
    found = metrics.with_excursions(made, {A: world})
    assert found["mae"].to_list() == pytest.approx([0.03, 0.04]), "of the exit's candle only the exit counts"
    assert found["mfe"].to_list() == pytest.approx([0.04, 0.03])
    stopped = metrics.with_excursions(pl.DataFrame([trade(exit_price=95.0)]), {A: world})
    assert stopped["mae"].item() == pytest.approx(0.05), "the exit went farther than the candles before it"
    elsewhere = metrics.with_excursions(pl.DataFrame([trade(market=B)]), {A: world})
    assert elsewhere.select("mae", "mfe").row(0) == (None, None)


def looped(row: dict[str, Any], world: pl.DataFrame) -> tuple[float, float]:
    """MAE and MFE candle by candle."""
    low = high = row["exit_price"]
    for ts, top, bottom in world.select("ts", "high", "low").iter_rows():
        if ts + MINUTE > row["entry_ts"] and ts + MINUTE <= row["exit_ts"]:
            high, low = max(high, top), min(low, bottom)
    up, down = high / row["entry_price"] - 1, 1 - low / row["entry_price"]
    return (max(down, 0), max(up, 0)) if row["side"] == "long" else (max(up, 0), max(down, 0))


@given(st.integers(0, 2**31), st.integers(1, 12))
def test_excursions_agree_with_a_loop_over_candles(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    world = walk(200, seed=seed % 1000)
    begin = world["ts"][0]
    rows = []
    for _ in range(count):
        entry = begin + timedelta(seconds=int(rng.integers(0, 150 * 60)))
        rows.append(
            trade(
                side=str(rng.choice(["long", "short"])),
                entry_ts=entry,
                exit_ts=entry + timedelta(seconds=int(rng.integers(0, 45 * 60))),
                entry_price=float(rng.uniform(99, 101)),
                exit_price=float(rng.uniform(99, 101)),
            )
        )
    found = metrics.with_excursions(pl.DataFrame(rows), {A: world}).select("mae", "mfe").rows()
    for row, (mae, mfe) in zip(rows, found, strict=True):
        assert (mae, mfe) == pytest.approx(looped(row, world), abs=1e-12)


def test_a_backtests_stop_and_target_bound_its_excursions() -> None:
    up = backtest(
        signals((A, 0, 0.7)), {A: candles([*flat(15), (100, 100.5, 99.6, 100), (100, 103, 100, 103), *flat(60, 103)])}
    )
    row = up.trades.row(0, named=True)
    assert (row["exit_reason"], row["targets"], row["targets_filled"]) == ("take_profit", 1, 1)
    assert row["mae"] == pytest.approx(0.004)
    assert row["mfe"] == pytest.approx(0.02), "the exit at the target, not the candle's high beyond it"
    assert up.metrics["hit_tp1"] == 1
    assert row["signal_id"] == up.fills[0]["signal_id"]


def test_groups_add_up_to_all_trades() -> None:
    predictions = pl.concat(
        [random_signals(A, 60 * 24 * 3, seed=4), random_signals(A, 60 * 24 * 3, seed=5, side=Side.SHORT)]
    )
    made = backtest(predictions, {A: walk(60 * 24 * 3, seed=4)}).trades
    moods = made.select("market", ts="signal_ts").unique().with_columns(volatility=pl.lit("calm"), trend=pl.lit("flat"))
    table = metrics.breakdown(made, moods)
    assert table["by"].unique(maintain_order=True).to_list() == [
        "side", "market", "exit", "hour", "weekday", "volatility", "trend",
    ]  # fmt: skip
    for (by,), part in table.group_by("by"):
        assert part["trades"].sum() == made.height, by
        assert part["pnl"].sum() == pytest.approx(made["pnl"].sum()), by
    whole = table.filter(pl.col("by") == "market").row(0, named=True)
    assert whole["expectancy"] == pytest.approx(metrics.expectancy(made["pnl"].to_numpy()))
    assert whole["payoff"] == pytest.approx(metrics.payoff(made["pnl"].to_numpy()))
    assert metrics.breakdown(made.head(0)).is_empty()


def test_hours_and_weekdays_are_of_the_entry() -> None:
    made = pl.DataFrame([trade(), trade(entry_ts=START + timedelta(days=6, hours=23))])
    table = metrics.breakdown(made)
    assert table.filter(pl.col("by") == "hour")["group"].to_list() == ["00 to 04 h", "20 to 24 h"]
    assert table.filter(pl.col("by") == "weekday")["group"].to_list() == ["Mon", "Sun"]


def test_every_figure_of_a_backtest_has_a_name_that_gates_may_use() -> None:
    found = backtest(random_signals(A, 60 * 24 * 3, seed=4), {A: walk(60 * 24 * 3, seed=4)}).metrics
    assert set(found) <= set(METRICS)


def test_the_page_on_metrics_lists_every_name() -> None:
    page = (Path(__file__).parents[3] / "docs" / "concepts" / "metrics.md").read_text(encoding="utf-8")
    listed = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and line.count("|") == 5]
    assert listed == list(METRICS)
