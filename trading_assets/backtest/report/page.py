"""The backtest's report: one self-contained HTML page."""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from trading_assets.backtest.gates import GateResult
from trading_assets.backtest.report import feature_plots, plots
from trading_assets.backtest.simulation.engine import BacktestResult
from trading_assets.core.precision import money
from trading_assets.core.sides import Side
from trading_assets.settings import BacktestSettings, LabelSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.validation import brier_score, expected_calibration_error

TEMPLATE: Final = "report.html.j2"
MAX_TRADES: Final = 15
"""First and last trades shown."""

_PERCENT: Final = "percent"
_METRICS: Final = (
    ("total_return", "Total return", _PERCENT, "final equity over starting balance"),
    ("cagr", "CAGR", _PERCENT, "compound annual growth"),
    ("sharpe", "Sharpe", "ratio", "daily returns, flat days included, times the root of 365"),
    ("sortino", "Sortino", "ratio", "only falling days count as risk"),
    ("max_drawdown", "Max drawdown", _PERCENT, "deepest fall below the peak, at day ends"),
    ("calmar", "Calmar", "ratio", "CAGR over max drawdown"),
    ("volatility", "Volatility", _PERCENT, "annualised, of daily returns"),
    ("trades", "Trades", "count", "round trips"),
    ("win_rate", "Win rate", _PERCENT, "trades with a profit after costs"),
    ("profit_factor", "Profit factor", "ratio", "gross profit over gross loss, after costs"),
    ("avg_trade_return", "Average trade", "fine percent", "of its notional, after costs"),
    ("exposure", "Exposure", _PERCENT, "share of market time with an open position"),
    ("turnover", "Turnover", "ratio", "notional traded over mean equity"),
    ("total_fees", "Fees and slippage", "money", "quote currency; slippage in basis points, not in ticks"),
    ("total_pnl", "Profit and loss", "money", "quote currency, after costs"),
    ("refused", "Entries refused", "count", "by the limits of risk, venue and volume"),
    ("capped", "Entries made smaller", "count", "by the share of the bar's volume, or by the cash"),
)
_OF_SIDES: Final = (
    ("trades", "Trades", "count"),
    ("win_rate", "Win rate", _PERCENT),
    ("pnl", "Profit and loss", "money"),
    ("profit_factor", "Profit factor", "ratio"),
)
_TILES: Final = ("sharpe", "total_return", "max_drawdown", "win_rate", "profit_factor", "trades")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a backtest comes from; printed at the end of its report."""

    dataset_hash: str = ""
    code_version: str = ""
    run_id: str = ""
    bundle_hash: str = ""
    model_version: str = ""


def render(
    result: BacktestResult,
    *,
    model: str,
    markets: Sequence[str],
    synthetic: Sequence[str],
    candle_timeframe: str,
    rule: EntryRule,
    remarks: Sequence[str] = (),
    labels: LabelSettings,
    settings: BacktestSettings,
    gates: Sequence[GateResult],
    predictions: pl.DataFrame,
    folds: pl.DataFrame | None,
    weights: pl.DataFrame | None = None,
    provenance: Provenance,
    created_at: datetime,
    file: Path,
) -> Path:
    """Write the page; a reader never sees half of it.

    Parameters
    ----------
    synthetic
        Those of ``markets`` whose candles are made up; the page says so at its top.
    rule
        What decides on entries.
    remarks
        Sentences of :func:`trading_assets.backtest.entries.remarks`, shown with the verdict.
    predictions
        ``probability`` and ``label``, for the calibration plot.
    folds
        The ``folds`` table of the model, for the AUC plot.
    weights
        The ``feature_importance`` table of the model.
    created_at
        Printed; UTC.
    file
        Where to.

    Returns
    -------
    Path
        The page.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trading_assets.backtest.report", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"number": format_metric}
    page = environment.get_template(TEMPLATE).render(
        model=model,
        markets=markets,
        synthetic=synthetic,
        start=result.start,
        end=result.end,
        candles=result.candles,
        candle_timeframe=candle_timeframe,
        rule=rule,
        remarks=remarks,
        labels=labels,
        costs=settings,
        gates=gates,
        failed=[gate for gate in gates if not gate.passed],
        tiles=[metric_row(result, name) for name in _TILES],
        metrics=[metric_row(result, name) for name, *_ in _METRICS],
        sides=side_rows(result.metrics),
        belief=belief_rows(result.metrics, predictions),
        refusals=result.refusals,
        plots=_plots(
            result,
            predictions,
            folds,
            weights,
            rule=rule,
            starting_balance=settings.starting_balance,
        ),
        first_trades=result.trades.head(MAX_TRADES).rows(named=True),
        last_trades=result.trades.slice(MAX_TRADES).tail(MAX_TRADES).rows(named=True),
        hidden_trades=max(result.trades.height - 2 * MAX_TRADES, 0),
        provenance=_provenance(provenance),
        created_at=created_at,
    )
    return _write(file, page)


def metric_row(result: BacktestResult, name: str) -> dict[str, str]:
    """A metric for people: label, value, what it means."""
    label, kind, meaning = next((label, kind, meaning) for key, label, kind, meaning in _METRICS if key == name)
    return {"name": name, "label": label, "value": format_metric(result.metrics[name], kind), "meaning": meaning}


def side_rows(metrics: Mapping[str, float]) -> list[tuple[str, list[str]]]:
    """What the long and the short trades did: label, and its value for each side."""
    return [
        (label, [format_metric(metrics[f"{side.word}_{name}"], kind) for side in Side])
        for name, label, kind in _OF_SIDES
    ]


def belief_rows(metrics: Mapping[str, float], predictions: pl.DataFrame) -> list[tuple[str, str, str]]:
    """How far the figures can be trusted: label, value, and what it means."""

    def share(name: str) -> str:
        value = metrics.get(name, math.nan)
        return f"{value:.1%}" if math.isfinite(value) else "not measurable"

    def interval(name: str, form: str) -> str:
        low, high = (metrics.get(f"{name}_{side}", math.nan) for side in ("low", "high"))
        return f"{low:{form}} to {high:{form}}" if math.isfinite(low + high) else "not measurable"

    predicted, happened = predictions["probability"], predictions["label"]
    score, skill, error = "not measurable", "", "not measurable"
    if len(predicted):
        brier = brier_score(predicted, happened)
        score, skill = f"{brier.score:.4f}", f"skill {brier.skill:+.1%} against always saying the base rate"
        error = f"{expected_calibration_error(predicted, happened):.1%}"
    tail = "not measurable"
    if math.isfinite(metrics.get("tail_predicted", math.nan)):
        tail = f"{metrics['tail_predicted']:.1%} predicted, {metrics['tail_observed']:.1%} observed"
    trials, choices = metrics.get("trials", 0.0), metrics.get("choices", 0.0)
    luck, needed = metrics.get("expected_max_sharpe", 0.0), metrics.get("min_track_record_days", math.nan)
    tried = "1 trial" if trials == 1 else f"{trials:.0f} trials"
    return [
        ("Sharpe, 95 % interval", interval("sharpe", ".2f"), "stationary block bootstrap of daily returns"),
        ("Max drawdown, 95 % interval", interval("max_drawdown", ".1%"), "the same days in other orders"),
        ("Profit factor, 95 % interval", interval("profit_factor", ".2f"), "bootstrap of trades"),
        ("Win rate, 95 % interval", interval("win_rate", ".1%"), "bootstrap of trades"),
        ("Probabilistic Sharpe", share("psr"), "probability that the true Sharpe ratio is above 0"),
        ("Deflated Sharpe", share("dsr"), f"the same after {tried}, whose luck alone makes {luck:.2f}"),
        (
            "Track record needed",
            f"{needed:,.0f} days" if math.isfinite(needed) else "not measurable",
            "to be 95 % sure of a Sharpe ratio above 0",
        ),
        (
            "Overfitting (PBO)",
            share("pbo"),
            f"the past's best of {choices:.0f} bands of probability is below the median later, or of the lower half",
        ),
        (
            "The same among trials",
            share("pbo_trials"),
            f"this backtest and {max(metrics.get('trials_compared', 1) - 1, 0):.0f} others of its days",
        ),
        (
            "Skill, 95 % interval",
            interval("skill", ".3f"),
            "correlation of the probability's rank with the return, all predictions; error of whole days",
        ),
        ("Brier score", score, skill),
        ("Calibration error", error, "mean distance of predicted and observed frequency"),
        (
            "Targets among the entries",
            tail,
            f"{metrics.get('entries', 0):,.0f} predictions that are worth a trade; 95 % interval of the observed share "
            f"{interval('tail', '.1%')}",
        ),
        (
            "Net return of the entries",
            _edges(metrics),
            f"expected and found; a trade breaks even at a probability of {metrics.get('break_even', math.nan):.3f}",
        ),
        ("With stressed fills", _stressed(metrics), "targets one tick through; market orders slip by a tick and more"),
    ]


def _edges(metrics: Mapping[str, float]) -> str:
    edges = [metrics.get(f"edge_{name}_bps", math.nan) for name in ("predicted", "observed")]
    return "{:+.1f} and {:+.1f} bps".format(*edges) if all(map(math.isfinite, edges)) else "not measurable"


def _stressed(metrics: Mapping[str, float]) -> str:
    if "stress_sharpe" not in metrics:
        return "not run"
    return (
        f"Sharpe {metrics['stress_sharpe']:.2f}, return {metrics['stress_total_return']:+.1%}, "
        f"profit factor {metrics['stress_profit_factor']:.2f}"
    )


def format_metric(value: float, kind: str) -> str:
    """A value as text; ``kind`` is percent, fine percent, ratio, count or money."""
    match kind:
        case "percent":
            return f"{100 * value:.1f}%"
        case "fine percent":
            return f"{100 * value:+.3f}%"
        case "count":
            return f"{value:,.0f}"
        case "money":
            return money(value)
        case _:
            return f"{value:,.2f}"


def _plots(
    result: BacktestResult,
    predictions: pl.DataFrame,
    folds: pl.DataFrame | None,
    weights: pl.DataFrame | None,
    *,
    rule: EntryRule,
    starting_balance: float,
) -> list[dict[str, Any]]:
    """The pictures in the page's order, as data addresses; ``wide`` ones take a row of their own."""
    equity, balance = result.equity, starting_balance
    asked = [wanted for wanted in (result.metrics.get("required"), rule.threshold) if wanted is not None]
    points = [result.metrics.get(f"tail_{name}", math.nan) for name in ("predicted", "observed", "low", "high")]
    tail = (points[0], points[1], points[2], points[3]) if all(map(math.isfinite, points)) else None
    pictures = [
        ("Equity and drawdown", True, plots.equity_and_drawdown(equity, starting_balance=balance)),
        ("Monthly returns", True, plots.monthly_returns(equity, starting_balance=balance)),
        ("Trade distribution", True, plots.trade_distribution(result.trades)),
        ("Calibration", False, plots.calibration(predictions, required=max(asked, default=None), tail=tail)),
    ]
    if folds is not None and not folds.is_empty():
        pictures.append(("AUC by fold", False, plots.fold_aucs(folds)))
    if weights is not None and not weights.is_empty():
        pictures.append(("What the models lean on", True, feature_plots.importance(weights)))
    return [
        {"title": title, "wide": wide, "source": f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"}
        for title, wide, svg in pictures
    ]


def _provenance(provenance: Provenance) -> list[tuple[str, str]]:
    rows = [
        ("Data set (sha256)", provenance.dataset_hash),
        ("Code version", provenance.code_version),
        ("Dagster run", provenance.run_id),
        ("Bundle (sha256)", provenance.bundle_hash),
        ("Model version", provenance.model_version),
    ]
    return [(label, value or "not recorded") for label, value in rows]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".html.part")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)  # noqa: PTH105 - the atomic one
    return path
