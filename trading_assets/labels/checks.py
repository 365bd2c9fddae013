"""What bars and candles must be before they are labelled: what is not would give a wrong number without a word."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from trading_assets.core.candles import PRICES, require_columns, require_times, timeframe_delta
from trading_assets.core.errors import InvalidFrame, SettingsError

SORT = "give one market, sorted and unique by ts"


def check_bars(frame: pl.DataFrame, columns: tuple[str, ...], name: str) -> None:
    """Refuse bars or candles that cannot be labelled.

    Parameters
    ----------
    frame
        Of one market.
    columns
        Those that are needed.
    name
        Of the frame, for messages.

    Raises
    ------
    InvalidFrame
        Columns are missing, times of another type, null or not ascending, a bar is known before it begins, there are
        several markets or an unnamed one, or prices are not positive numbers between low and high.
    """
    require_columns(frame, columns, where=f"labels: {name}")
    if "market" in columns and frame["market"].null_count():
        raise InvalidFrame("market is null", where=f"labels: {name}", remedy="name the market in each row")
    # The ends tell, as ts is unique; to compare every row takes a tenth of the time that labelling does.
    if "market" in columns and frame.height and frame["market"][0] != frame["market"][-1]:
        raise InvalidFrame("several markets", where=f"labels: {name}", remedy=SORT)
    _check_times(frame, columns, name)
    if frame.height:
        _check_prices(frame.select(column for column in PRICES if column in columns), name)


def check_timeframe(candles: pl.DataFrame, timeframe: str, *, where: str) -> None:
    """Refuse candles that are not of the timeframe: their column ``timeframe`` says otherwise, or they overlap.

    Raises
    ------
    InvalidFrame
        If they are not.
    """
    said = candles["timeframe"].unique().to_list() if "timeframe" in candles.columns else []
    steps = np.diff(candles["ts"].to_physical().to_numpy())
    if any(one != timeframe for one in said) or (steps < timeframe_delta(timeframe) // timedelta(microseconds=1)).any():
        raise InvalidFrame(
            f"candles are of {', '.join(map(str, said)) or 'less'}, not of {timeframe}",
            where=where,
            remedy="say what they are: a candle is known when it ends",
        )


def check_until(until: datetime, *, where: str) -> None:
    """Refuse a time without a zone.

    Raises
    ------
    SettingsError
        Where it has none.
    """
    if until.tzinfo is None:
        raise SettingsError(f"until is {until}, without a time zone", where=where, remedy="give it in UTC")


def _check_prices(prices: pl.DataFrame, name: str) -> None:
    numbers = {column: prices[column].to_numpy() for column in prices.columns}
    wrong = ""
    for column, values in numbers.items():
        # Both are NaN where one is.
        if not (prices.schema[column].is_numeric() and values.min() > 0 and values.max() < np.inf):
            wrong = wrong or f"{column} is not a positive number everywhere"
    if not wrong and {"high", "low"} <= numbers.keys():
        high, low = numbers["high"], numbers["low"]
        ends = [values for column, values in numbers.items() if column in ("open", "close")]
        if any((values > high).any() or (values < low).any() for values in ends):
            wrong = "open or close is not between low and high"
    if wrong:
        remedy = "leave such candles out: a missing candle touches nothing"
        raise InvalidFrame(wrong, where=f"labels: {name}", remedy=remedy)


def _check_times(frame: pl.DataFrame, columns: tuple[str, ...], name: str) -> None:
    where = f"labels: {name}"
    for column in (column for column in columns if column in ("ts", "known_at")):
        require_times(frame, (column,), where=where)
        times = frame[column].to_physical().to_numpy()
        if column == "ts" and (times[1:] <= times[:-1]).any():
            raise InvalidFrame("ts is not strictly ascending", where=where, remedy=SORT)
        if column == "known_at" and (times < frame["ts"].to_physical().to_numpy()).any():
            raise InvalidFrame("known_at is before ts", where=where, remedy="a bar is known when it is over")
        if column == "known_at" and (times[1:] < times[:-1]).any():
            raise InvalidFrame("known_at is not ascending", where=where, remedy=SORT)
