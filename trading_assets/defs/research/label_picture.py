"""A small picture for the UI, as PNG; matplotlib is imported where it is drawn."""

from __future__ import annotations

import io
from typing import Final

import polars as pl

_BARRIERS: Final = {"stop_loss": "stop loss first", "time": "neither", "take_profit": "take profit first"}


def label_distribution(labels: pl.DataFrame) -> bytes:
    """How many labels each barrier ended, per market."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.8), layout="constrained")
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
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=80)
    return image.getvalue()
