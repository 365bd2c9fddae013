"""The report's figures as text: the metrics, those of each side, and how far they can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import polars as pl

from trading_assets.backtest.simulation.result import BacktestResult
from trading_assets.core.precision import money
from trading_assets.core.sides import Side
from trading_assets.validation import brier_score, expected_calibration_error

_PERCENT: Final = "percent"
METRICS: Final = (
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


def metric_row(result: BacktestResult, name: str) -> dict[str, str]:
    """A metric for people: label, value, what it means."""
    label, kind, meaning = next((label, kind, meaning) for key, label, kind, meaning in METRICS if key == name)
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
