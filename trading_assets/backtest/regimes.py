"""The market's mood at each bar: calm or wild, falling or rising, by the bars of the day before its decision.

In thirds of what each market did over the period, which is known afterwards alone: to look at results, not to trade.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

VOLATILITY: Final = pl.Enum(["calm", "middling", "wild"])
TREND: Final = pl.Enum(["falling", "flat", "rising"])

_DAY: Final = timedelta(days=1)
_FEWEST: Final = 12


def lookback_of(timeframe: timedelta) -> int:
    """How many bars a mood is taken from: those of a day, at least twelve."""
    return max(_FEWEST, _DAY // timeframe)


def regimes(bars: pl.DataFrame, timeframe: timedelta, wanted: pl.DataFrame | None = None) -> pl.DataFrame:
    """The mood at each bar of some markets.

    Parameters
    ----------
    bars
        ``market``, ``ts``, ``close``; in any order.
    timeframe
        Of the bars.
    wanted
        ``market``, ``ts``: the bars whose thirds are meant; all where not given.

    Returns
    -------
    polars.DataFrame
        ``market``, ``ts``, ``volatility`` (of log returns) and ``trend`` (their sum over their volatility), each in
        thirds of its market; without the bars that have too short a past.
    """
    length = lookback_of(timeframe)
    change = pl.col("close").log().diff().over("market")
    spread = pl.col("change").rolling_std(length).over("market")
    drift = pl.col("change").rolling_mean(length).over("market")
    moods = (
        bars.select("market", "ts", "close")
        .sort("market", "ts")
        .with_columns(change=change)
        .with_columns(spread=spread, drift=drift)
        .filter(pl.col("spread").is_finite())
        .with_columns(drift=pl.when(pl.col("spread") > 0).then(pl.col("drift") / pl.col("spread")).otherwise(0.0))
    )
    if wanted is not None:
        moods = moods.join(wanted, on=["market", "ts"], how="semi")
    return moods.select("market", "ts", volatility=_third("spread", VOLATILITY), trend=_third("drift", TREND))


def _third(column: str, names: pl.Enum) -> pl.Expr:
    place = ((pl.col(column).rank("ordinal") - 1) * 3 // pl.len()).over("market")
    return place.replace_strict(dict(enumerate(names.categories)), return_dtype=names)
