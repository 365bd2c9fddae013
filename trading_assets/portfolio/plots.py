"""Pictures of a portfolio: weights over time, and its account beside equal weights and the sleeves."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.backtest.report.plots import BLUE, GREEN, GREY, INK, ORANGE, VERMILION, Format, figure_of

_COLOURS: Final = (BLUE, ORANGE, GREEN, VERMILION, "#56B4E9", "#CC79A7", "#F0E442", GREY)


def portfolio_picture(weights: pl.DataFrame, equity: pl.DataFrame, *, title: str, fmt: Format = "png") -> bytes:
    """Above, the accounts; below, who had which weight.

    Parameters
    ----------
    weights
        ``ts, model, weight``: rows of ``portfolio_weights`` from one source.
    equity
        Rows of ``portfolio_equity``.
    title
        Of the picture.
    """
    sleeves = sorted(equity.filter(kind="sleeve")["model"].unique())
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(sleeves)}
    with figure_of(9.0, 5.4, fmt) as (figure, save):
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for name in sleeves:
            _line(above, equity.filter(kind="sleeve", model=name), label=name, color=colours[name], linewidth=0.9)
        _line(above, equity.filter(kind="equal"), label="equal weights", color=GREY, linewidth=1.6, linestyle="--")
        _line(above, equity.filter(kind="portfolio"), label="portfolio", color=INK, linewidth=2.0)
        above.set_title(title)
        above.set_ylabel("equity")
        above.legend(fontsize=8, ncols=4, loc="upper left")
        wide = weights.pivot(on="model", index="ts", values="weight").sort("ts")
        days = equity.select(pl.col("ts").unique().sort())
        held = days.join_asof(wide, on="ts", strategy="backward").fill_null(0.0)
        shown = [name for name in sleeves if name in held.columns]
        below.stackplot(
            held["ts"].to_numpy(),
            *(np.asarray(held[name]) for name in shown),
            colors=[colours[name] for name in shown],
            alpha=0.75,
            step="post",
            linewidth=0,
        )
        below.set_ylim(0, 1)
        below.set_ylabel("weight")
        return save()


def _line(axes: Any, account: pl.DataFrame, **style: Any) -> None:
    axes.plot(account["ts"].to_numpy(), account["equity"].to_numpy(), **style)
