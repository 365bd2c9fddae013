"""The reference page of the features, written from the registry."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from itertools import groupby
from typing import Final

from trading_assets.core.timeframes import Timeframe
from trading_assets.features import DAY, WEEK, Feature, lookback_bars, registry
from trading_assets.features.framework.auxiliary_series import COMPANIONS
from trading_assets.features.framework.registry import MINIMUM_BARS, REGISTRY
from trading_assets.features.framework.selection import RENAMED

TIMEFRAMES: Final = tuple(Timeframe.parse(text) for text in ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "1d"))
_SHOWN: Final = tuple(Timeframe.parse(text) for text in ("1m", "15m", "1h", "1d"))
"""Look-backs of each feature are shown on these."""

_HEAD = """# Features

Generated from the registry by `make docs`; change the registry, not this page.

**{indicators} distinct indicators** in {columns} columns (parameters and the several columns of one calculation not
counted; {patterns} are candlestick patterns), on bars of any timeframe that divides the day, known when the bar closes.
What TA-Lib defines too is [equal to it](reference/talib-parity.md).

A column means the same on every timeframe. **A window in bars** is a number: `rsi_14` is of 14 bars, whatever their
length, and estimators (entropy, moments, correlations, spreads) are of bars too, as they need so many returns. **A
window in time** is written with its unit: `roc_1d` is the change over a day, 1,440 bars of a minute, 96 of 15 minutes,
24 of an hour. Where a length of time has too few bars (fewer than {minimum}, where a feature declares nothing else), or
is no whole number of those that a higher timeframe is built of, the timeframe has no such column. Nor has it, unless it
is named, what looks back for longer than three years.

| timeframe | columns | a day, a week in bars | longest look-back in bars | in time |
|---|---:|---:|---:|---:|
{timeframes}

**Chosen features.** `features` of a model, and of `compute` and `select`, are names (`rsi_14`), families (`momentum`,
the headings below) and patterns (`rsi_*`). Nothing else is computed, and the look-back is theirs.

A value depends on the last *look-back* bars alone, the present one included, so a day, a year and the live tail give
the same numbers; a row exists where all bars of the longest look-back are stored. Exponential filters are cut off where
their weights are negligible (below 1e-15; averages over 100 bars below 2e-9).

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

Every feature passes [seven proofs](how-to/add-a-feature.md) on every test run, on four timeframes. The plots show 300
synthetic bars of 15 minutes, those of patterns the candles that end with it. Below, a look-back is in bars of {shown};
"-" where the timeframe has no such column, in brackets where it has it by name alone.
"""

_RENAMED = """## Names of before

These windows were written in bars of 15 minutes and mean a length of time; on 15 minutes the values are the same.

| old name | new name |
|---|---|
{renamed}
"""


def markdown() -> str:
    """The page ``docs/features.md``."""
    declared = [(name, one.family) for name, one in REGISTRY.declared.items()]
    companions = [
        f"| `{name}` | {', '.join(one.columns)} | {_age(one.max_age)} | {one.row} |" for name, one in COMPANIONS.items()
    ]
    known = {timeframe: REGISTRY.defined(timeframe).features for timeframe in _SHOWN}
    head = _HEAD.format(
        indicators=len({one.indicator for one in REGISTRY.declared.values()}),
        columns=len(declared),
        patterns=sum(family == "patterns" for _, family in declared),
        minimum=MINIMUM_BARS,
        timeframes="\n".join(map(_timeframe, TIMEFRAMES)),
        shown=", ".join(map(str, _SHOWN)),
        companions="\n".join(companions),
    )
    parts = [head]
    for family, grouped in groupby(sorted(declared, key=lambda one: one[1]), key=lambda one: one[1]):
        names = [name for name, _ in grouped]
        indicators = {REGISTRY.declared[name].indicator for name in names}
        parts.append(f"## {family.capitalize()}: {len(indicators)} indicators\n")
        parts.append(f"![{family}](images/features/{family}.png)\n")
        parts.append("| feature | what it says | inputs | parameters | look-back | unit | range | source |")
        parts.append("|---|---|---|---|---:|---|---|---|")
        parts.extend(_row(name, known) for name in names)
        parts.append("")
    parts.append(_RENAMED.format(renamed="\n".join(f"| `{old}` | `{new}` |" for old, new in RENAMED.items())))
    return "\n".join(parts)


def _timeframe(timeframe: Timeframe) -> str:
    bars = lookback_bars(timeframe)
    day, week = DAY.bars(timeframe), WEEK.bars(timeframe)
    days = bars * timeframe.length / timedelta(days=1)
    return f"| {timeframe} | {len(registry(timeframe))} | {day:,}, {week:,} | {bars:,} | {days:,.0f} days |"


def _age(limit: timedelta) -> str:
    return f"{limit / timedelta(hours=1):g} h" if limit else "its own bar"


def _row(name: str, known: Mapping[Timeframe, Mapping[str, Feature]]) -> str:
    feature = next(features[name] for features in known.values() if name in features)
    low, high = ("" if bound is None else f"{bound:g}" for bound in (feature.low, feature.high))
    bounds = f"{low or '-inf'} .. {high or 'inf'}" if low or high else ""
    lookbacks = [_lookback(timeframe, features.get(name)) for timeframe, features in known.items()]
    cells = (
        f"`{name}`",
        feature.description,
        ", ".join(feature.inputs),
        ", ".join(f"{parameter} {window}" for parameter, window in feature.windows.items()),
        lookbacks[0] if len(set(lookbacks)) == 1 else ", ".join(lookbacks),
        feature.unit,
        bounds,
        feature.source,
    )
    return f"| {' | '.join(cells)} |"


def _lookback(timeframe: Timeframe, feature: Feature | None) -> str:
    if feature is None:
        return "-"
    return f"{feature.lookback}" if feature.name in registry(timeframe) else f"({feature.lookback})"


if __name__ == "__main__":
    sys.stdout.write(markdown())
