"""Small pictures for the UI, as PNG; matplotlib is imported where one is drawn."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BARRIERS: Final = {"stop_loss": "stop loss first", "time": "neither", "take_profit": "take profit first"}


def label_distribution(labels: pl.DataFrame) -> bytes:
    """How many labels each barrier ended, per market."""
    figure = _figure()
    axes = figure.subplots()
    markets = labels["market"].unique().sort().to_list()
    counts = {
        (market, barrier): rows for market, barrier, rows in labels.group_by("market", "barrier").len().iter_rows()
    }
    width = 0.8 / max(1, len(markets))
    for place, market in enumerate(markets):
        heights = [counts.get((market, barrier), 0) for barrier in _BARRIERS]
        axes.bar([number + width * place for number in range(3)], heights, width=width, label=market)
    axes.set_xticks([0, 1, 2], list(_BARRIERS.values()))
    axes.set_ylabel("labels")
    axes.legend(fontsize="small")
    return _png(figure)


def fold_scores(folds: pl.DataFrame) -> bytes:
    """Out-of-sample AUC of each walk-forward fold beside the coin's 0.5."""
    figure = _figure()
    axes = figure.subplots()
    axes.bar([str(day)[:10] for day in folds["test_start"]], folds["auc"].to_list(), color="tab:blue")
    axes.axhline(0.5, color="black", linewidth=0.8, linestyle="--")
    axes.set_ylim(min(0.4, _least(folds["auc"])), None)
    axes.set_ylabel("AUC, out of sample")
    axes.tick_params(axis="x", rotation=45)
    return _png(figure)


def _least(values: pl.Series) -> float:
    known = values.drop_nulls().to_list()
    return min(known) if known else 0.4


def _figure() -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(7, 2.8), layout="constrained")


def _png(figure: Figure) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=80)
    return image.getvalue()
