"""The report: what it says, and that it needs nothing but itself."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.backtest.worlds import EXACT, LABELS, A, backtest, candles, flat, random_signals, signals, walk
from trading_assets.backtest.gates import evaluate
from trading_assets.backtest.metrics import drawdowns
from trading_assets.backtest.report import plots
from trading_assets.backtest.report.figures import side_rows
from trading_assets.backtest.report.page import MAX_TRADES, Provenance, render
from trading_assets.backtest.report.pictures import draw
from trading_assets.backtest.simulation.engine import BacktestResult
from trading_assets.settings import GateSettings
from trading_assets.settings.sections.sizing import RiskPerTradeSettings
from trading_assets.store.tables import FOLDS
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.validation import reliability

pytestmark = pytest.mark.slow  # every page is drawn

NOW = datetime(2025, 6, 1, 12, 30, tzinfo=UTC)
PREDICTIONS = random_signals(A, 60 * 24 * 20, seed=2).with_columns(
    label=pl.when(pl.col("probability") > 0.5).then(pl.lit(1)).otherwise(pl.lit(-1))
)


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    plain = backtest(PREDICTIONS, {A: walk(60 * 24 * 20, seed=2)})
    return replace(plain, metrics=plain.metrics | SCRUTINY)


SCRUTINY = {
    "psr": 0.97, "dsr": 0.91, "trials": 7.0, "expected_max_sharpe": 0.8, "min_track_record_days": 212.0,
    "pbo": 0.12, "choices": 10.0, "sharpe_low": -0.4, "sharpe_high": 2.9, "win_rate_low": 0.41, "win_rate_high": 0.6,
    "skill": 0.051, "skill_low": -0.012, "skill_high": 0.107,
    "entries": 3559.0, "break_even": 0.373, "required": 0.373, "tail_predicted": 0.406, "tail_observed": 0.334,
    "tail_low": 0.288, "tail_high": 0.381, "edge_predicted_bps": 9.9, "edge_observed_bps": -8.2,
    "stress_sharpe": -0.92, "stress_total_return": -0.039, "stress_profit_factor": 0.94,
}  # fmt: skip


def page(result: BacktestResult, folder: Path, folds: pl.DataFrame | None = None, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "model": "test",
        "markets": [A],
        "synthetic": [],
        "candle_timeframe": "1m",
        "rule": EntryRule(12.0, threshold=0.55),
        "remarks": ["the model is overconfident where it trades"],
        "labels": LABELS,
        "settings": EXACT,
        "gates": evaluate(result.metrics, GateSettings()),
        "predictions": PREDICTIONS,
        "provenance": Provenance("d" * 64, "0.1.0", "run-1"),
        "created_at": NOW,
        "file": folder / "test.html",
    }
    drawn = draw(
        result,
        PREDICTIONS,
        folds=folds,
        rule=arguments["rule"],
        starting_balance=arguments["settings"].starting_balance,
    )
    return render(result, **(arguments | changes), pictures=drawn).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(result: BacktestResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page as it is stands."""
    folder = tmp_path_factory.mktemp("report")
    page(result, folder)
    return folder


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    """The page as it is."""
    return (folder / "test.html").read_text(encoding="utf-8")


def test_the_page_is_one_small_file_that_loads_nothing(folder: Path, text: str) -> None:
    assert len(text.encode()) < 1_000_000
    assert [file.name for file in folder.iterdir()] == ["test.html"]
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert "<script" not in text


def test_the_page_says_how_much_to_believe(result: BacktestResult, text: str, tmp_path: Path) -> None:
    for said in ("-0.40 to 2.90", "97.0%", "91.0%", "after 7 trials", "12.0%", "best of 10 bands", "212 days"):
        assert said in text, said
    assert "-0.012 to 0.107" in text, "skill"
    for name in ("Brier score", "Calibration error"):
        assert name in text
    nothing = float("nan")
    unmeasured = replace(result, metrics=result.metrics | {"pbo": nothing, "spa_p": nothing, "spa_superior": nothing})
    shown = page(unmeasured, tmp_path)
    assert "not measurable" in shown
    assert not re.search(r"\bnan\b", re.sub('data:image[^"]*', "", shown))


def test_the_page_says_whether_the_entries_come_true_and_what_stress_leaves(text: str) -> None:
    for said in (
        "40.6% predicted, 33.4% observed",
        "3,559 predictions that are worth a trade",
        "28.8% to 38.1%",
        "+9.9 and -8.2 bps",
        "Sharpe -0.92, return -3.9%, profit factor 0.94",
        "the model is overconfident",
        "expected net return &gt; 0.0 bps, probability ≥ 0.55",
        "0.0 bps of market orders",
        "at the touch",
    ):
        assert said in text, said


def test_the_page_says_synthetic_first_where_the_market_is(result: BacktestResult, text: str, tmp_path: Path) -> None:
    synthetic = page(result, tmp_path, synthetic=[A])
    body = synthetic[synthetic.index("<body>") :]
    assert body.index("SYNTHETIC DATA") < body.index("<h1>")
    assert "SYNTHETIC" in synthetic[: synthetic.index("</title>")]
    assert "SYNTHETIC" not in text


def test_the_page_names_failed_gates_with_value_threshold_and_advice(result: BacktestResult, tmp_path: Path) -> None:
    gates = evaluate(result.metrics | {"sharpe": 0.5}, GateSettings())
    failed = [gate for gate in gates if not gate.passed]
    text = page(result, tmp_path, gates=gates)
    assert f"{len(failed)} of 8 gates failed" in text
    for gate in failed:
        assert gate.value_text in text
        assert gate.advice.replace("'", "&#39;") in text


def test_the_page_has_costs_metrics_trades_and_provenance(result: BacktestResult, text: str) -> None:
    for said in ("2.0 / 5.0 bps", "100.0 ms", "d" * 64, "run-1", "Profit factor", "2025-06-01 12:30", "not recorded"):
        assert said in text, said
    assert f"{result.trades.height - 30} more in the table" in text
    assert text.count("<img src=") == 4


def test_the_page_tells_long_and_short_apart(result: BacktestResult, text: str) -> None:
    assert "<h2>Long and short</h2>" in text
    rows = dict(side_rows(result.metrics))
    assert rows["Trades"] == [f"{result.metrics[f'{side}_trades']:,.0f}" for side in ("long", "short")]
    assert text.count("<td>long</td>") == min(result.trades.height, 2 * MAX_TRADES)


def test_the_page_says_how_large_a_position_is_whatever_sizes_it(
    result: BacktestResult, text: str, tmp_path: Path
) -> None:
    assert "10.0% of equity" in text
    risky = EXACT.model_copy(update={"sizing": RiskPerTradeSettings()})
    assert "risk per trade: max position share 1.0, profile normal" in page(result, tmp_path, settings=risky)


def test_the_page_tells_groups_drawdowns_and_the_bands_of_luck(result: BacktestResult, text: str) -> None:
    for title in ("Trades in groups", "Drawdowns", "Monte Carlo"):
        assert f"<h2>{title}</h2>" in text
    for label in (
        "Expectancy",
        "Buy and hold",
        "First target reached",
        "Mean adverse excursion",
        "weekday",
        "Best of all",
    ):
        assert label in text, label
    deepest = drawdowns(result.equity, starting_balance=EXACT.starting_balance).row(0, named=True)
    assert f"{deepest['start']:%Y-%m-%d}" in text
    assert f"{100 * deepest['depth']:.1f}%" in text


def test_names_are_escaped(result: BacktestResult, tmp_path: Path) -> None:
    assert "<b>x" not in page(result, tmp_path, markets=["<b>x"])


def test_a_backtest_without_trades_has_a_page_too(tmp_path: Path) -> None:
    empty = backtest(signals((A, 0, 0.1)), {A: candles(flat(100))})
    empty = replace(empty, metrics=empty.metrics | {"dsr": math.nan, "pbo": math.nan, "skill_low": math.nan})
    text = page(empty, tmp_path, predictions=PREDICTIONS.clear())
    assert "No prediction was worth a trade" in text


def test_the_folds_get_a_picture(result: BacktestResult, tmp_path: Path) -> None:
    folds = pl.DataFrame({"fold": [1, 2], "auc": [0.6, 0.4]}).cast({"fold": pl.Int32})
    assert set(folds.columns) <= set(FOLDS.columns)
    assert page(result, tmp_path, folds=folds).count("<img src=") == 5


def test_the_same_backtest_draws_the_same_bytes(result: BacktestResult) -> None:
    first, again = (plots.equity_and_drawdown(result.equity, starting_balance=1e5) for _ in range(2))
    assert first == again
    assert first.startswith(b"<?xml")


def test_the_summary_is_a_small_png(result: BacktestResult) -> None:
    png = plots.summary_png(result.equity, starting_balance=1e5, title="test")
    assert png.startswith(b"\x89PNG")
    assert len(png) < 60_000


def test_monthly_returns_multiply_to_the_total() -> None:
    days = pl.datetime_range(
        datetime(2024, 12, 15, tzinfo=UTC), datetime(2025, 2, 10, tzinfo=UTC), "1d", time_unit="us", eager=True
    )
    equity = pl.DataFrame({"ts": days, "equity": [100.0 + n for n in range(days.len())]})
    table = plots.monthly_table(equity, starting_balance=100.0)
    assert table.select("year", "month").rows() == [(2024, 12), (2025, 1), (2025, 2)]
    total = table.select((pl.col("return") + 1).product()).item()
    assert total == pytest.approx(equity["equity"][-1] / 100)


def test_reliability_of_a_calibrated_model_lies_on_the_diagonal() -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    p = rng.uniform(0.1, 0.9, 20_000)
    frame = pl.DataFrame({"probability": p, "label": (rng.random(p.size) < p).astype(np.int8)})
    table = reliability(frame["probability"], frame["label"])
    assert table.height == 10
    assert table["rows"].to_list() == [2000.0] * 10
    inside = (table["low"] <= table["predicted"]) & (table["predicted"] <= table["high"])
    assert inside.sum() >= 8


def test_the_page_shows_calibration_before_and_after_and_the_coverage_of_sets(
    result: BacktestResult, tmp_path: Path
) -> None:
    calibrated = PREDICTIONS.with_columns(
        raw_probability=pl.col("probability") ** 2,
        prediction_set=pl.lit(3, pl.Int8),
        side=pl.lit(1, pl.Int8),
        fold=pl.lit(2, pl.Int32),
    )
    metrics = {
        "calibrators": 4.0, "calibrators_kept": 3.0, "brier_raw": 0.2512, "brier_calibrated": 0.2401,
        "brier_gain": 0.0111, "brier_gain_low": 0.004, "brier_gain_high": 0.02, "coverage_promised": 0.9,
    }  # fmt: skip
    text = page(replace(result, metrics=result.metrics | metrics), tmp_path, predictions=calibrated)
    for said in (
        "0.2512 and 0.2401",
        "kept in 3 of 4 trainings",
        "(90.0% promised)",
        "fold 2",
        "Break-even probability",
    ):
        assert said in text, said
    assert "Prediction sets" not in page(result, tmp_path)
    with_raw, without = (plots.calibration(one) for one in (calibrated, calibrated.drop("raw_probability")))
    assert len(with_raw) > len(without)
