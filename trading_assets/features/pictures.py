"""A small plot of each feature, one picture per group, on made-up bars; for the reference page."""

from __future__ import annotations

import argparse
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, lookback_bars, registry
from trading_assets.features.proofs.proving import made_up_bars, made_up_companions, made_up_jumps, made_up_rarity

_SHOWN = 300
_TIMEFRAME = Timeframe.parse("15m")
_COLUMNS = 6


def draw(folder: Path) -> list[Path]:
    """Write ``<group>.png`` for every group of features: 300 synthetic bars of each, and the candles of a pattern."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    bars = made_up_bars(lookback_bars(_TIMEFRAME) + _SHOWN, _TIMEFRAME, seed=11)
    rows = compute(bars, made_up_companions(bars, _TIMEFRAME), timeframe=_TIMEFRAME).tail(_SHOWN)
    patterns = _with_features(made_up_jumps(100_000, _TIMEFRAME))
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    features = sorted(registry(_TIMEFRAME).values(), key=lambda one: one.family)
    for group, members in groupby(features, key=lambda one: one.family):
        names = [feature.name for feature in members]
        lines = -(-len(names) // _COLUMNS)
        figure, axes = plt.subplots(lines, _COLUMNS, figsize=(12, 1.05 * lines), squeeze=False)
        for axis, name in zip(axes.flat, names, strict=False):
            if group == "patterns":
                seen = patterns if (patterns[name] != 0).any() else _with_features(made_up_rarity(name, _TIMEFRAME))
                _candles(axis, seen, name)
            else:
                axis.plot(rows[name].to_numpy(), linewidth=0.7, color="#1f5a8a")
            axis.set_title(name.removeprefix("pattern_"), fontsize=7, pad=2)
        for number, axis in enumerate(axes.flat):
            axis.set_xticks([])
            axis.tick_params(labelsize=5, length=1.5, pad=1)
            axis.set_visible(number < len(names))
            for side in ("top", "right", "bottom"):
                axis.spines[side].set_visible(False)
        figure.tight_layout(pad=0.4)
        path = folder / f"{group}.png"
        figure.savefig(path, dpi=72, metadata={"Software": ""}, pil_kwargs={"optimize": True})
        plt.close(figure)
        written.append(path)
    return written


def _with_features(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.join(
        compute(bars, timeframe=_TIMEFRAME).drop("market", "known_at"), on="ts", how="left", maintain_order="left"
    )


def _candles(axis: Any, bars: pl.DataFrame, name: str) -> None:
    """The first time that a pattern was seen: it ends with the last candle."""
    seen = bars[name].fill_null(0).abs().arg_max() or 0
    axis.set_yticks([])
    for x, (o, h, low, c) in enumerate(bars[seen - 6 : seen + 1].select("open", "high", "low", "close").iter_rows()):
        colour = "#2e8b57" if c >= o else "#b03a2e"
        axis.vlines(x, low, h, color=colour, linewidth=0.7)
        axis.vlines(x, min(o, c), max(o, c) + (o == c) * 0.15, color=colour, linewidth=4)
    axis.margins(x=0.15, y=0.1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m trading_assets.features.pictures", description=__doc__)
    parser.add_argument("folder", type=Path, help="for the pictures")
    for drawn in draw(parser.parse_args().folder):
        sys.stdout.write(f"{drawn}\n")
