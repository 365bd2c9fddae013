"""The reference page of the features, written from the registry."""

from __future__ import annotations

import sys
from datetime import timedelta
from itertools import groupby

from trading_assets.core.timeframes import Timeframe
from trading_assets.features import Feature, lookback_bars, registry
from trading_assets.features.framework.auxiliary_series import COMPANIONS

_SHOWN = Timeframe.parse("15m")

_HEAD = """# Features

Generated from the registry by `make docs`; change the registry, not this page.

**{indicators} distinct indicators** in {columns} columns (parameters and the several columns of one calculation not
counted; {patterns} are candlestick patterns) per 15-minute bar, known when the bar closes. What TA-Lib defines too is
[equal to it](reference/talib-parity.md).

A value depends on the last *look-back* bars alone, the present one included, so a day, a year and the live tail give
the same numbers; a row exists where all {lookback} bars of the longest look-back are stored. Exponential filters are
cut off where their weights are negligible (below 1e-15; averages over 100 bars below 2e-9).

Values are **scale-free**: neither the price's nor the volume's unit matters. Where two moves are of equally many ticks,
directional movement, SuperTrend and candlestick patterns go by the last bit of their difference, as TA-Lib does: at a
coarse tick, another unit may tip such a tie (a power of two never does).

**Missing bars** are not filled. Look-backs count rows, so across a gap windows reach further back in time; features
on the clock (calendar, levels of the day, higher timeframes) go by time: the previous day is the last one that has
bars, a higher bar is built of what there is. Rows before a gap, and those whose whole look-back came after it, are as
if nothing were missing.

**Inputs** are columns of the bars, or of a companion (`leader.close`) joined as of `known_at` and not older than its
limit:

| companion | columns | counts for | one row is |
|---|---|---|---|
{companions}

Without the companion the column is null, never zero. Every other column is finite, always.

Every feature passes [seven proofs](how-to/add-a-feature.md) on every test run. The plots show 300 synthetic bars,
those of patterns the candles that end with it.
"""


def markdown() -> str:
    """The page ``docs/features.md``."""
    features = sorted(registry(_SHOWN).values(), key=lambda feature: feature.family)
    companions = [
        f"| `{name}` | {', '.join(one.columns)} | {_age(one.max_age)} | {one.row} |" for name, one in COMPANIONS.items()
    ]
    head = _HEAD.format(
        indicators=len({feature.indicator for feature in features}),
        columns=len(features),
        patterns=sum(feature.family == "patterns" for feature in features),
        lookback=f"{lookback_bars(_SHOWN):,}",
        companions="\n".join(companions),
    )
    parts = [head]
    for group, grouped in groupby(features, key=lambda feature: feature.family):
        members = list(grouped)
        parts.append(f"## {group.capitalize()}: {len({feature.indicator for feature in members})} indicators\n")
        parts.append(f"![{group}](images/features/{group}.png)\n")
        parts.append("| feature | what it says | inputs | parameters | look-back | unit | range | source |")
        parts.append("|---|---|---|---|---:|---|---|---|")
        parts.extend(_row(feature) for feature in members)
        parts.append("")
    return "\n".join(parts)


def _age(limit: timedelta) -> str:
    return f"{limit / timedelta(hours=1):g} h" if limit else "its own bar"


def _row(feature: Feature) -> str:
    low, high = ("" if bound is None else f"{bound:g}" for bound in (feature.low, feature.high))
    bounds = f"{low or '-inf'} .. {high or 'inf'}" if low or high else ""
    cells = (
        f"`{feature.name}`",
        feature.description,
        ", ".join(feature.inputs),
        ", ".join(f"{name} {value}" for name, value in feature.parameters.items()),
        f"{feature.lookback:,}",
        feature.unit,
        bounds,
        feature.source,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(markdown())
