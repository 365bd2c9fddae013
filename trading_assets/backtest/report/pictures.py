"""The pictures of a judged backtest, drawn once: the page shows them, and so does MLflow beside the version."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass

import polars as pl

from trading_assets.backtest.report import feature_plots, plots
from trading_assets.backtest.simulation.result import BacktestResult
from trading_assets.strategies.entry_rule import EntryRule


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture.

    Attributes
    ----------
    name, title
        As a file, without suffix, and for people.
    wide
        Whether it takes a row of its own.
    svg
        What is drawn.
    """

    name: str
    title: str
    wide: bool
    svg: bytes

    @property
    def source(self) -> str:
        """The picture as an address that holds it."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg).decode()}"


def draw(
    result: BacktestResult,
    predictions: pl.DataFrame,
    *,
    folds: pl.DataFrame | None = None,
    weights: pl.DataFrame | None = None,
    rule: EntryRule,
    starting_balance: float,
) -> list[Picture]:
    """The pictures in the page's order.

    Parameters
    ----------
    predictions
        ``probability`` and ``label``, for the calibration plot.
    folds
        The ``folds`` table of the model, for the AUC plot.
    weights
        The ``feature_importance`` table of the model.
    rule
        What decides on entries.
    """
    equity, balance = result.equity, starting_balance
    asked = [wanted for wanted in (result.metrics.get("required"), rule.threshold) if wanted is not None]
    points = [result.metrics.get(f"tail_{name}", math.nan) for name in ("predicted", "observed", "low", "high")]
    tail = (points[0], points[1], points[2], points[3]) if all(map(math.isfinite, points)) else None
    told = predictions.drop_nulls("probability")
    calibrated = plots.calibration(told, required=max(asked, default=None), tail=tail)
    pictures = [
        Picture("equity", "Equity and drawdown", True, plots.equity_and_drawdown(equity, starting_balance=balance)),
        Picture("monthly_returns", "Monthly returns", True, plots.monthly_returns(equity, starting_balance=balance)),
        Picture("trades", "Trade distribution", True, plots.trade_distribution(result.trades)),
        Picture("calibration", "Calibration", False, calibrated),
    ]
    if folds is not None and not folds.is_empty():
        pictures.append(Picture("auc_by_fold", "AUC by fold", False, plots.fold_aucs(folds)))
    if weights is not None and not weights.is_empty():
        leaning = feature_plots.importance(weights)
        pictures.append(Picture("feature_importance", "What the models lean on", True, leaning))
    return pictures
