"""Values that do not fit those around them: prices far from their neighbours, volumes that change their unit.

Both look at what came before *and after* a bar. A check may: it says whether stored history can be trusted, and no
decision is taken from its result at the time of the bar. It follows that the newest bars are judged once others follow.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from trading_assets.core.candles import timeframe_delta
from trading_assets.quality.finding import Finding

NEIGHBOURS: Final = 7
"""Closes on each side whose median a price is held against: up to three bad bars in a row stand out."""

SCALE_BARS: Final = 61
"""Moves around a bar whose median absolute size says what a usual move is."""

LEAST_SCALE: Final = 1e-4
"""One basis point: where prices hardly move, a tick must not count as dozens of deviations."""

NORMAL: Final = 1.4826
"""Median absolute deviation to standard deviation under a normal law (Rousseeuw and Croux, 1993)."""

UNIT_HOURS: Final = 24
"""Hours on each side whose typical volumes are compared: a whole day, because volume has a daily rhythm."""


def outliers(candles: pl.DataFrame, *, max_z: float, min_move_pct: float) -> Finding:
    """Find highs above and lows below both the price before and the price after, by far more than a usual move.

    Prices before and after are medians of seven closes each. So a jump that lasts is no outlier: the prices after it
    are like it. Distance is the logarithm of the ratio to the nearer of both, in robust standard deviations:
    ``1.4826`` times the median size of the 61 moves from close to close around the bar (a median absolute deviation
    about zero; Iglewicz and Hoaglin, 1993, recommend it over the standard deviation, which outliers inflate).

    Parameters
    ----------
    candles
        ``ts``, ``high``, ``low``, ``close`` by ascending ``ts``.
    max_z
        The greatest distance that is not reported.
    min_move_pct
        The least distance, in percent, that is.

    Returns
    -------
    Finding
        One row per candle: ``price`` (the high or low), ``usual`` (the nearer median), ``move_pct``, ``z``.
    """
    good = f"no price is {min_move_pct:g} % and {max_z:g} deviations away from those before and after it"
    middle = pl.col("close").rolling_median(NEIGHBOURS)
    sides = candles.select("ts", "high", "low", "close", before=middle.shift(1), after=middle.shift(-NEIGHBOURS))
    upper, lower = pl.max_horizontal("before", "after"), pl.min_horizontal("before", "after")
    known = pl.col("before").is_not_null() & pl.col("after").is_not_null()
    least = 1 + min_move_pct / 100
    above, below = pl.col("high") > upper * least, pl.col("low") * least < lower
    hit = (known & (above | below)).fill_null(False)
    if not sides.select(hit.any()).item():
        return Finding(good=good)
    moves = pl.col("close").log().diff().abs()
    scale = (NORMAL * moves.rolling_median(SCALE_BARS, center=True, min_samples=NEIGHBOURS)).clip(
        lower_bound=LEAST_SCALE
    )
    up, down = (pl.col("high") / upper).log(), (lower / pl.col("low")).log()
    rows = (
        sides.with_columns(scale=scale, up=up >= down, distance=pl.max_horizontal(up, down))
        .filter(hit)
        .select(
            "ts",
            price=pl.when("up").then("high").otherwise("low"),
            usual=pl.when("up").then(upper).otherwise(lower),
            move_pct=((pl.when("up").then("high").otherwise("low") / pl.when("up").then(upper).otherwise(lower)) - 1)
            * 100,
            z=pl.col("distance") / pl.col("scale"),
            side=pl.when("up").then(pl.lit("high")).otherwise(pl.lit("low")),
        )
        .filter(pl.col("z") > max_z)
        .sort("z", "ts", descending=[True, False])
    )
    what = pl.format(
        "{} {} is {} % from {}, {} deviations at {}, limit {}",
        "side",
        "price",
        pl.col("move_pct").round(1),
        pl.col("usual").round_sig_figs(6),
        pl.col("z").round(0).cast(pl.Int64),
        pl.col("ts").dt.to_string("%Y-%m-%d %H:%M"),
        pl.lit(f"{max_z:g}"),
    )
    return Finding(rows.select("ts", what.alias("what"), pl.exclude("ts", "side")), good)


def volume_unit(candles: pl.DataFrame, *, timeframe: str, max_factor: float) -> Finding:
    """Find hours after which volumes are another order of magnitude than before them.

    Typical for a source that changes from base units to contracts or to quote currency. The volume of an hour is the
    median of its bars that traded; 24 hours before an hour are compared with 24 hours from it on, again by their
    medians. Of neighbouring hours that this finds, the change is placed where the sum of the logarithms' distances from
    their mean is farthest from zero (cumulative sums; Page 1954, Biometrika 41). Real markets change too, but rarely
    twentyfold from one day to the next: a unit that differs by less than ``max_factor`` is not seen.

    Parameters
    ----------
    candles
        ``ts`` and ``volume`` by ascending ``ts``.
    timeframe
        Of the candles; where it is longer than an hour, a bar stands for an hour.
    max_factor
        The greatest ratio, either way, that is not reported.

    Returns
    -------
    Finding
        One row per change: ``ts`` of the hour, ``before``, ``after`` (typical volume of a bar), ``factor``.
    """
    good = f"typical volumes change less than {max_factor:g}-fold from one day to the next"
    hour = max(timedelta(hours=1), timeframe_delta(timeframe))
    traded = candles.select("ts", "volume").filter(pl.col("volume") > 0)
    hourly = traded.group_by_dynamic("ts", every=hour).agg(pl.col("volume").median())
    earlier, later = (
        side.rolling_median(UNIT_HOURS, min_samples=UNIT_HOURS // 2)
        for side in (pl.col("volume").shift(1), pl.col("volume").reverse())
    )
    sides = hourly.select("ts", "volume", before=earlier, after=later.reverse())
    ratio = sides.with_columns(factor=pl.col("after") / pl.col("before")).with_columns(
        size=pl.max_horizontal("factor", 1 / pl.col("factor"))
    )
    wide = (pl.col("size") > max_factor).fill_null(False)
    level = pl.col("volume").log()
    rows = (
        ratio.with_columns(wide=wide, run=wide.rle_id())
        .filter("wide")
        .with_columns(until=(level - level.mean()).cum_sum().shift(1, fill_value=0.0).abs().over("run"))
        .sort("until", "size", "ts", descending=[True, True, False])
        .unique("run", keep="first", maintain_order=True)
        .sort("size", "ts", descending=[True, False])
        .select("ts", "before", "after", "factor")
    )
    what = pl.format(
        "a bar's typical volume goes from {} to {} ({}-fold) around {}, limit {}-fold",
        pl.col("before").round_sig_figs(4),
        pl.col("after").round_sig_figs(4),
        pl.col("factor").round_sig_figs(3),
        pl.col("ts").dt.to_string("%Y-%m-%d %H:%M"),
        pl.lit(f"{max_factor:g}"),
    )
    return Finding(rows.select("ts", what.alias("what"), pl.exclude("ts")), good)
