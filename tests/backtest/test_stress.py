"""What a backtest can bear: charged trades against backtests of their own, and the multiple that takes the profit."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from tests.backtest.worlds import EXACT, MINUTE, QUARTER, START, A, backtest, candles, flat, random_sides, signals, walk
from trading_assets.backtest.entries import remarks
from trading_assets.backtest.report.figures import stress_figures
from trading_assets.backtest.stress import (
    EDGE_GONE,
    STRESSED,
    edge_text,
    gone_at,
    moved_bps,
    stress,
    stress_rows,
    stress_table,
)
from trading_assets.settings import BacktestSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.validation.performance import UNBOUNDED

WON = [*flat(20), *flat(100, 102.0)]
"""One trade bought at 100 that reaches its target of 102."""


def test_the_multiple_of_the_costs_that_takes_the_profit_is_found_by_hand() -> None:
    frames = {A: candles(WON)}
    usual = backtest(signals((A, 0, 0.9)), frames)
    (trade,) = usual.trades.to_dicts()
    fees = trade["quantity"] * (100 * 5 + 102 * 2) / 1e4
    assert trade["fees"] == pytest.approx(fees, abs=1e-6)
    found = stress_table(lambda worse: backtest(signals((A, 0, 0.9)), frames, settings=worse), usual, EXACT, frames)
    assert found[EDGE_GONE] == pytest.approx(2 * trade["quantity"] / fees)
    assert found["stress_costs_2_total_return"] == pytest.approx((2 * trade["quantity"] - 2 * fees) / 1e5)
    assert edge_text(usual.metrics | found) == f"the edge is gone at {found[EDGE_GONE]:.2f} times the usual costs"


def test_charging_the_trades_says_what_backtests_with_these_costs_say() -> None:
    minutes = 6 * 1440
    said, frames = random_sides(A, minutes, seed=3), {A: walk(minutes, seed=3)}

    def run(worse: BacktestSettings) -> object:
        return backtest(said, frames, settings=worse, reckoned_bps=10)

    usual = backtest(said, frames)
    quick = stress_table(run, usual, EXACT, frames)  # type: ignore[arg-type]
    full = stress_table(run, usual, EXACT.model_copy(update={"stress": "full"}), frames)  # type: ignore[arg-type]
    assert usual.trades.height > 100
    assert quick.keys() == full.keys()
    for name in (name for name in quick if name.endswith(("total_return", "max_drawdown"))):
        assert quick[name] == pytest.approx(full[name], rel=0.03), name  # sizes follow an equity that shrinks
    assert quick[EDGE_GONE] == pytest.approx(full[EDGE_GONE], abs=0.05)
    losses = [quick[f"stress_{name}_total_return"] for name in ("costs_1.5", "costs_2")]
    assert usual.metrics["total_return"] > losses[0] > losses[1]
    late = [quick[f"stress_latency_{seconds}_total_return"] for seconds in ("0.5", "1", "2")]
    assert usual.metrics["total_return"] > late[0] > late[1] > late[2]


def test_a_late_order_is_charged_what_the_market_moves_meanwhile() -> None:
    steps = candles([(100.0 * 1.001**n, 100.0 * 1.001**n, 100.0 * 1.001**n, 100.0 * 1.001**n) for n in range(60)])
    per_minute = pytest.approx(9.995, abs=1e-3)  # 10 bps a minute, as logarithm
    assert moved_bps({A: steps}, MINUTE) == per_minute
    assert moved_bps({A: steps}, timedelta(seconds=15)) * 2 == per_minute
    assert moved_bps({A: steps}, timedelta(0)) == 0
    assert moved_bps({A: candles(flat(1))}, MINUTE) == 0, "one candle does not move"


@pytest.mark.parametrize(
    ("profits", "wanted"),
    [
        ({1.0: 50.0, 1.5: 25.0, 2.0: 0.0}, 2.0),
        ({1.0: -10.0, 1.5: -30.0, 2.0: -50.0}, 0.75),
        ({1.0: -90.0, 1.5: -100.0, 2.0: -110.0}, 0.0),
        ({1.0: 50.0, 1.5: 50.0, 2.0: 50.0}, UNBOUNDED),
        ({1.0: 0.0, 1.5: 0.0, 2.0: 0.0}, 0.0),
    ],
)
def test_the_line_through_the_dearest_runs_says_where_the_profit_ends(
    profits: dict[float, float], wanted: float
) -> None:
    assert gone_at(profits) == pytest.approx(wanted)


def test_the_table_is_shown_and_a_thin_edge_is_said() -> None:
    frames = {A: candles(WON)}
    usual = backtest(signals((A, 0, 0.9)), frames)
    assert stress_rows(usual.metrics) == ()

    def run(worse: BacktestSettings) -> object:
        return backtest(signals((A, 0, 0.9)), frames, settings=worse)

    told = usual.metrics | stress(run, EXACT) | stress_table(run, usual, EXACT, frames)  # type: ignore[arg-type]
    rows = stress_rows(told)
    assert [row.label for row in rows][:4] == ["usual costs", "costs x 1.5", "costs x 2", "orders 0.5 s late"]
    assert all(set(row.figures) == set(STRESSED) for row in rows)
    assert len(stress_figures(told)) == len(rows) == 7
    thin = {"entries": 1.0, "tail_predicted": 0.5, "tail_low": 0.4, "tail_high": 0.6, "tail_observed": 0.5}
    assert (
        remarks(told | thin | {EDGE_GONE: 1.4}, EntryRule(), {})[-1] == "the edge is gone at 1.40 times the usual costs"
    )


def test_a_backtest_without_trades_has_a_table_too() -> None:
    frames = {A: candles(flat(60))}
    empty = backtest(signals((A, 0, 0.1)), frames)
    found = stress_table(lambda _: empty, empty, EXACT, frames)
    assert found[EDGE_GONE] == 0
    assert edge_text(empty.metrics | found) == "nothing was traded"
    assert empty.end >= START + QUARTER
    assert isinstance(empty.trades, pl.DataFrame)
