"""Pictures of what a model leans on."""

from __future__ import annotations

import numpy as np
import polars as pl

from trading_assets.backtest.report.plots import BLUE, GREY, VERMILION, Format, figure_of
from trading_assets.models.importance import leading

_ROW_INCHES = 0.21
_DOTS = 8_000
"""Dots of a whole picture: more hide one another."""


def shap_summary(dots: pl.DataFrame, *, fmt: Format = "svg") -> bytes:
    """One dot per explained test row and feature: where it stands is what it added to the log-odds.

    Parameters
    ----------
    dots
        ``feature``, ``rank`` (of the value, [0, 1], null where missing), ``shap``; the most important feature first.
    """
    from matplotlib.colors import LinearSegmentedColormap

    names = dots["feature"].unique(maintain_order=True).to_list()
    dots = dots.gather_every(max(dots.height // _DOTS, 1))
    rng = np.random.default_rng(0)
    colours = LinearSegmentedColormap.from_list("low-high", [BLUE, "#C9B7D1", VERMILION])
    with figure_of(7.2, 1.0 + _ROW_INCHES * len(names), fmt) as (figure, save):
        axes = figure.subplots()
        for row, name in enumerate(reversed(names)):
            part = dots.filter(pl.col("feature") == name)
            height = row + rng.uniform(-0.33, 0.33, part.height)
            known = part["rank"].is_not_null().to_numpy()
            shap, rank = part["shap"].to_numpy(), part["rank"].fill_null(0.5).to_numpy()
            axes.scatter(shap[~known], height[~known], s=3, color=GREY, linewidths=0)
            axes.scatter(shap[known], height[known], s=3, c=rank[known], cmap=colours, vmin=0, vmax=1, linewidths=0)
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.set_yticks(range(len(names)), list(reversed(names)), fontsize=7.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("added to the log-odds of take-profit first (blue: low values, orange: high ones)")
        axes.set_title("SHAP values on the test rows of all folds")
        return save()


def importance(weights: pl.DataFrame, *, fmt: Format = "svg") -> bytes:
    """Mean absolute SHAP value and permutation importance of the leading features, with their range over the folds.

    Where the estimator cannot say SHAP values, the permutation importance alone.

    Parameters
    ----------
    weights
        Rows of ``feature_importance`` of one model.
    """
    names = leading(weights)
    rows = (
        weights.filter(pl.col("feature").is_in(names))
        .group_by("feature")
        .agg(
            *(
                getattr(pl.col(column), statistic)().alias(f"{column}_{statistic}")
                for column in ("shap", "permutation")
                for statistic in ("mean", "min", "max")
            )
        )
    )
    order = {name: len(names) - 1 - position for position, name in enumerate(names)}
    rows = rows.sort(pl.col("feature").replace_strict(order, return_dtype=pl.Int32))
    with figure_of(8.6, 1.0 + _ROW_INCHES * len(names), fmt) as (figure, save):
        shown = [
            ("shap", BLUE, "Mean absolute SHAP value"),
            ("permutation", VERMILION, "Rise of log loss when shuffled"),
        ][weights["shap"].is_null().all() :]
        row = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, (column, colour, title) in zip(row, shown, strict=True):
            mean, low, high = (rows[f"{column}_{statistic}"].to_numpy() for statistic in ("mean", "min", "max"))
            axes.barh(range(rows.height), mean, color=colour, alpha=0.75, height=0.7)
            axes.hlines(range(rows.height), low, high, color=GREY, linewidth=1)
            axes.set_title(title)
            axes.grid(visible=False, axis="y")
        row[0].set_yticks(range(rows.height), rows["feature"].to_list(), fontsize=7.5)
        return save()
