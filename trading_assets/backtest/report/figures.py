"""The report's figures as text: the metrics, those of each side, and how far they can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from trading_assets.backtest.simulation.result import BacktestResult
from trading_assets.backtest.stress import stress_rows
from trading_assets.core.precision import money
from trading_assets.core.sides import Side
from trading_assets.settings.metrics import METRICS
from trading_assets.settings.sections.sizing import EquityShareSettings, SizingSettings
from trading_assets.validation import brier_score, expected_calibration_error

_PERCENT: Final = "percent"
SHOWN: Final = (
    "total_return",
    "cagr",
    "buy_hold_return",
    "excess_return",
    "alpha",
    "beta",
    "sharpe",
    "sortino",
    "max_drawdown",
    "max_drawdown_days",
    "calmar",
    "volatility",
    "trades",
    "win_rate",
    "payoff",
    "expectancy",
    "profit_factor",
    "hit_tp1",
    "hit_tp2",
    "hit_tp3",
    "avg_trade_return",
    "avg_trade_pnl",
    "avg_mae",
    "avg_mfe",
    "avg_hold_hours",
    "losing_streak",
    "exposure",
    "turnover",
    "total_fees",
    "total_funding",
    "costs_bps",
    "total_pnl",
    "refused",
    "capped",
)
"""The metrics of the page, in its order; what each is, the settings' catalogue says."""

_OF_SIDES: Final = (
    ("trades", "Trades", "count"),
    ("win_rate", "Win rate", _PERCENT),
    ("pnl", "Profit and loss", "money"),
    ("profit_factor", "Profit factor", "ratio"),
)


def metric_row(result: BacktestResult, name: str) -> dict[str, str]:
    """A metric for people: label, value, what it means."""
    label, kind, meaning = METRICS[name]
    value = result.metrics.get(name, math.nan)
    told = format_metric(value, kind) if math.isfinite(value) else "not measurable"
    return {"name": name, "label": label, "value": told, "meaning": meaning}


def group_rows(groups: pl.DataFrame) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """What the trades of each group did: by what they are grouped, and for each group its name and values."""

    def shown(row: dict[str, Any]) -> list[str]:
        return [
            f"{row['trades']:,}",
            format_metric(row["win_rate"], "percent"),
            format_metric(row["payoff"], "ratio"),
            format_metric(row["expectancy"], "ratio"),
            format_metric(row["avg_return"], "fine percent"),
            *("" if row[name] is None else format_metric(row[name], "fine percent") for name in ("avg_mae", "avg_mfe")),
            money(row["pnl"]),
        ]

    return [
        (str(by), [(row["group"].replace("_", " "), shown(row)) for row in part.iter_rows(named=True)])
        for (by,), part in groups.group_by("by", maintain_order=True)
    ]


def drawdown_rows(falls: pl.DataFrame, most: int = 5) -> list[list[str]]:
    """The deepest drawdowns: start, trough, end, depth, days."""
    return [
        [
            f"{row['start']:%Y-%m-%d}",
            f"{row['trough']:%Y-%m-%d}",
            f"{row['end']:%Y-%m-%d}" if row["end"] is not None else "not over",
            format_metric(row["depth"], "percent"),
            f"{row['days']:,}",
        ]
        for row in falls.head(most).iter_rows(named=True)
    ]


def sizing_text(sizing: SizingSettings) -> str:
    """How large a position is, for people: its kind and what is set of it."""
    if isinstance(sizing, EquityShareSettings) and sizing.kelly_fraction is None:
        return f"{format_metric(sizing.position_share, 'percent')} of equity"
    told = sizing.model_dump(exclude={"kind", "max_volume_share"}, exclude_none=True)
    return f"{sizing.kind.replace('_', ' ')}: " + ", ".join(
        f"{key.replace('_', ' ')} {one}" for key, one in told.items()
    )


def luck_rows(metrics: Mapping[str, float]) -> list[tuple[str, list[str]]]:
    """The bands of the Monte Carlo: what was drawn, and 5, 50 and 95 % of the draws."""

    def shown(name: str) -> list[str]:
        values = [metrics.get(f"mc_{name}_{percent}", math.nan) for percent in (5, 50, 95)]
        return [format_metric(value, "percent") if math.isfinite(value) else "not measurable" for value in values]

    return [
        ("Max drawdown, the same trades in other orders", shown("order_drawdown")),
        ("Total return, trades drawn with replacement", shown("trades_return")),
        ("Max drawdown, trades drawn with replacement", shown("trades_drawdown")),
        ("Total return, days drawn in blocks", shown("days_return")),
        ("Max drawdown, days drawn in blocks", shown("days_drawdown")),
    ]


def side_rows(metrics: Mapping[str, float]) -> list[tuple[str, list[str]]]:
    """What the long and the short trades did: label, and its value for each side."""
    return [
        (label, [format_metric(metrics[f"{side.word}_{name}"], kind) for side in Side])
        for name, label, kind in _OF_SIDES
    ]


def stress_figures(metrics: Mapping[str, float]) -> list[tuple[str, list[str]]]:
    """What a backtest comes to where it is made worse: what was done, and return, Sharpe, profit factor, drawdown."""
    shown = (("total_return", _PERCENT), ("sharpe", "ratio"), ("profit_factor", "ratio"), ("max_drawdown", _PERCENT))
    return [
        (row.label, [format_metric(row.figures[name], kind) for name, kind in shown]) for row in stress_rows(metrics)
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
            "Best of all variants (SPA)",
            share("spa_p"),
            f"probability of so good a best of {metrics.get('spa_variants', 0.0):.0f} accounts and bands if none earns "
            f"anything{_superior(metrics)}",
        ),
        (
            "Skill, 95 % interval",
            interval("skill", ".3f"),
            "correlation of the probability's rank with the return, all predictions; error of whole days",
        ),
        ("Brier score", score, skill),
        *_calibrated(metrics),
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


def _superior(metrics: Mapping[str, float]) -> str:
    count = metrics.get("spa_superior", math.nan)
    return f"; {count:.0f} of them do (StepM, 5 %)" if math.isfinite(count) else ""


def _calibrated(metrics: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """The Brier score before and after calibration, where it was asked for."""
    if "calibrators" not in metrics:
        return []
    low, high = metrics["brier_gain_low"], metrics["brier_gain_high"]
    gain = f"{metrics['brier_gain']:+.5f}"
    return [
        (
            "Brier score, raw and calibrated",
            f"{metrics['brier_raw']:.4f} and {metrics['brier_calibrated']:.4f}",
            f"gain {gain} ({low:+.5f} to {high:+.5f}, 95 % interval); the calibrator was kept in "
            f"{metrics['calibrators_kept']:.0f} of {metrics['calibrators']:.0f} trainings",
        )
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
    """A value as text; ``kind`` is that of the settings' catalogue."""
    match kind:
        case "percent":
            return f"{100 * value:.1f}%"
        case "fine percent":
            return f"{100 * value:+.3f}%"
        case "count":
            return f"{value:,.0f}"
        case "fine ratio":
            return f"{value:,.3f}"
        case "hours":
            return f"{value:,.1f} h"
        case "days":
            return f"{value:,.0f} days"
        case "bps":
            return f"{value:,.1f} bps"
        case "money":
            return money(value)
        case _:
            return f"{value:,.2f}"
