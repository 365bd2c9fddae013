"""The days beside the backtest as a picture: the gap of each, stacked by its parts."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
import polars as pl

from trading_assets.divergence.days import words
from trading_assets.store.tables.outcomes import PARTS

_DAYS: Final = 60
_COLOURS: Final = (
    *("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#CC79A7", "#009E73", "#F0E442", "#7F7F7F", "#4B0092", "#000000"),
)
"""One a part; the first eight are Okabe and Ito's, which the colour-blind tell apart."""


def stacked(days: pl.DataFrame, title: str, *, limit: float) -> bytes:
    """The newest days' mean gap of a trade as PNG: parts stacked up and down, the gap as a dot, the limit as lines.

    Parameters
    ----------
    days
        Rows of ``divergence_days`` of one node, ascending.
    title
        Above the picture.
    limit
        Of the gap, in basis points.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = days.tail(_DAYS)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    at = np.arange(shown.height)
    above, below = np.zeros(shown.height), np.zeros(shown.height)
    for part, colour in zip(PARTS, _COLOURS, strict=True):
        values = shown[part].to_numpy()
        if not np.abs(values).max(initial=0.0) > 0.005:
            continue
        base = np.where(values >= 0, above, below)
        axes.bar(at, values, bottom=base, color=colour, label=words(part), width=0.8)
        above, below = above + np.maximum(values, 0), below + np.minimum(values, 0)
    axes.plot(at, shown["gap_bps"], "D", color="white", markeredgecolor="black", markersize=5, label="gap")
    for line in (-limit, limit):
        axes.axhline(line, color="#B00020", linewidth=0.8, linestyle="--")
    axes.axhline(0, color="black", linewidth=0.6)
    ticks = range(0, shown.height, max(1, shown.height // 10))
    axes.set_xlim(-0.6, max(shown.height, 10) - 0.4)
    axes.set_xticks(ticks, [f"{shown['ts'][tick]:%d %b}" for tick in ticks], fontsize=8)
    axes.set_ylabel("live less backtest, bps a trade", fontsize=8)
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.legend(fontsize=7, ncols=5, loc="upper left", bbox_to_anchor=(0, -0.12), frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
