"""A small picture for the UI, as PNG; matplotlib is imported where it is drawn."""

from __future__ import annotations

import io
from typing import Final

import polars as pl

from trading_assets.core.sides import Side
from trading_assets.labels.summary import OUTCOMES

_COLOURS: Final = dict(zip(OUTCOMES.values(), ("#2a9d8f", "#cfcfcf", "#e76f51"), strict=True))


def label_distribution(found: pl.DataFrame) -> bytes:
    """How the labels of each set, market and side came out, a bar for each of :func:`labels.summary.outcomes`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 1.2 + 0.35 * found.height), layout="constrained")
    axes = figure.subplots()
    names = [
        f"{name} {Side(side).word}, {market}: {count:,}"
        for name, market, side, count in found.select("label_set", "market", "side", "labels").iter_rows()
    ]
    left = pl.repeat(0.0, found.height, eager=True)
    for said, colour in _COLOURS.items():
        axes.barh(names, found[said].to_list(), left=left.to_list(), color=colour, label=said)
        left = left + found[said]
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the labels")
    figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=80)
    return image.getvalue()
