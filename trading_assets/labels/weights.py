"""Sample weights: outcomes that overlap tell the same story, and must not be counted as if they told several.

With a decision every 15 minutes and outcomes hours later, dozens of labels of one market live at the same time and
share the same price moves. A label *lives* from ``known_at`` (included) to ``label_end`` (excluded); markets are told
apart, each has its own prices.

Source: M. Lopez de Prado, *Advances in Financial Machine Learning* (2018), chapter 4. The book counts in bars; here the
same sums run over time, which gives the book's numbers on a regular grid and needs no grid where labels end between
bars. Everything is a prefix sum over the times at which labels begin and end: between two of them nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame, SettingsError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_WHERE = "sample weights"


def average_uniqueness(labels: pl.DataFrame) -> pl.Series:
    """How much of its life a label has for itself, on average.

    At each moment a label's uniqueness is one over the number of labels of its market that live then; section 4.4.

    Parameters
    ----------
    labels
        ``market, known_at, label_end`` (others are ignored), in any order.

    Returns
    -------
    polars.Series
        ``uniqueness``, Float64 in (0, 1], in the rows' order; 1 for a label that shares nothing.

    Raises
    ------
    InvalidFrame
        If a column is missing, of another type or null, or a label does not end after it began.
    """
    return _by_market(labels, "uniqueness", lambda _, start, end: _shared(start, end, None) / (end - start))


def return_attribution(labels: pl.DataFrame, prices: pl.DataFrame) -> pl.Series:
    """The absolute log return of a label's life, each part shared among the labels that live then; section 4.6.

    Parameters
    ----------
    labels
        ``market, known_at, label_end`` (others are ignored), in any order.
    prices
        ``market, known_at, close`` of closed bars or candles (others are ignored), ascending in each market, from the
        first decision to the last outcome. Between two closes, and across gaps, the logarithm of the price is taken as
        a straight line.

    Returns
    -------
    polars.Series
        ``attribution``, Float64 >= 0, in the rows' order.

    Raises
    ------
    InvalidFrame
        If a column is missing, of another type or null, a label does not end after it began, a price is not positive,
        or prices are not ascending or do not cover the labels.
    """
    _check(prices, {"market": pl.String, "known_at": TS, "close": pl.Float64}, "prices")
    bad = prices.filter(~((pl.col("close") > 0) & pl.col("close").is_finite())).height
    if bad:
        raise InvalidFrame(f"{bad} closes are not positive numbers", where=f"{_WHERE}: prices")

    def attribute(market: str, start: Ints, end: Ints) -> Floats:
        own = prices.filter(pl.col("market") == market)
        times = own["known_at"].to_physical().to_numpy()
        if (np.diff(times) <= 0).any():
            raise InvalidFrame(f"prices of {market} are not ascending", where=_WHERE, remedy="sort them by known_at")
        if not times.size or start.min() < times[0] or end.max() > times[-1]:
            raise InvalidFrame(
                f"prices of {market} do not reach from the first decision to the last outcome",
                where=_WHERE,
                remedy="read bars for the whole range of the labels",
            )
        price = np.log(own["close"].to_numpy())
        return np.abs(_shared(start, end, lambda knots: np.interp(knots, times, price)))

    return _by_market(labels, "attribution", attribute)


def time_decay(known_at: pl.Series, uniqueness: pl.Series, oldest: float) -> pl.Series:
    """A factor that falls with age, measured in information instead of days; section 4.7.

    It falls in a straight line over the cumulated uniqueness, from 1 for the newest label: where many labels overlap,
    little new was seen, and it falls little. Labels of the same time get the same factor.

    Parameters
    ----------
    known_at
        When each decision could be taken, in any order.
    uniqueness
        Of :func:`average_uniqueness`.
    oldest
        The factor at the beginning of the history, in (-1, 1]: 1 is no decay, 0 falls to nothing, -0.3 makes the oldest
        30 % count nothing.

    Returns
    -------
    polars.Series
        ``decay``, Float64 in [0, 1], in the rows' order.

    Raises
    ------
    SettingsError
        If ``oldest`` is not in (-1, 1].
    InvalidFrame
        If the columns differ in length, or a time or a uniqueness is missing or not positive.
    """
    if not -1 < oldest <= 1:
        raise SettingsError(f"the oldest label's factor is {oldest}, not in (-1, 1]", where=_WHERE)
    if len(known_at) != len(uniqueness):
        raise InvalidFrame(f"{len(known_at)} known_at but {len(uniqueness)} uniqueness", where=_WHERE)
    bad = known_at.is_null() | ~((uniqueness > 0) & uniqueness.is_finite()).fill_null(value=False)
    if bad.any():
        raise InvalidFrame(f"{bad.sum()} known_at are missing, or uniqueness is not positive", where=_WHERE)
    if known_at.is_empty():
        return pl.Series("decay", [], pl.Float64)
    _, place = np.unique(known_at.to_physical().to_numpy(), return_inverse=True)
    seen = np.cumsum(np.bincount(place, weights=uniqueness.to_numpy()))
    slope = (1 - oldest if oldest >= 0 else 1 / (1 + oldest)) / seen[-1]
    factor = np.maximum(0.0, 1 - slope * (seen[-1] - seen))
    return pl.Series("decay", factor[place])


def sample_weights(labels: pl.DataFrame, prices: pl.DataFrame | None = None, *, oldest: float = 1.0) -> pl.Series:
    """Weights for a learner: return attribution where prices are given, else average uniqueness, both with decay.

    Parameters
    ----------
    labels, prices
        As for :func:`average_uniqueness` and :func:`return_attribution`.
    oldest
        As for :func:`time_decay`; 1 is no decay.

    Returns
    -------
    polars.Series
        ``weight``, Float64 >= 0 with a mean of 1, in the rows' order.

    Raises
    ------
    InvalidFrame, SettingsError
        As those functions; or if all weights are 0.
    """
    uniqueness = average_uniqueness(labels)
    weight = uniqueness if prices is None else return_attribution(labels, prices)
    weight = weight * time_decay(labels["known_at"], uniqueness, oldest)
    if labels.is_empty():
        return weight.alias("weight")
    total = float(weight.sum())
    if total <= 0:
        raise InvalidFrame("all weights are 0", where=_WHERE, remedy="take a smaller decay, or prices that move")
    return (weight * (len(weight) / total)).alias("weight")


def _shared(start: Ints, end: Ints, level: Callable[[Ints], Floats] | None) -> Floats:
    """The change of a level over each life, every part of it divided by the number of lives; the level is time itself.

    Parameters
    ----------
    start, end
        Of each life.
    level
        A level at given times; its change is what the lives share. Empty means time.
    """
    # With the inverse it sorts; without, it hashes: seven times slower here.
    knots, place = np.unique(np.concatenate([start, end]), return_inverse=True)
    begin, finish = place[: start.size], place[start.size :]
    alive = np.cumsum(np.bincount(begin, minlength=knots.size) - np.bincount(finish, minlength=knots.size))[:-1]
    change = np.diff(knots).astype(np.float64) if level is None else np.diff(level(knots))
    share = np.divide(change, alive, out=np.zeros_like(change), where=alive > 0)
    prefix = np.concatenate([[0.0], np.cumsum(share)])
    return np.asarray(prefix[finish] - prefix[begin])


def _by_market(labels: pl.DataFrame, name: str, weigh: Callable[[str, Ints, Ints], Floats]) -> pl.Series:
    _check(labels, {"market": pl.String, "known_at": TS, "label_end": TS}, "labels")
    early = (labels["label_end"] <= labels["known_at"]).sum()
    if early:
        raise InvalidFrame(f"{early} labels do not end after they began", where=f"{_WHERE}: labels")
    weights = np.empty(labels.height)
    rows = labels.select("market", "known_at", "label_end").with_row_index()
    for (market,), own in rows.partition_by("market", as_dict=True).items():
        start, end = (own[column].to_physical().to_numpy() for column in ("known_at", "label_end"))
        weights[own["index"].to_numpy()] = weigh(market, start, end)
    return pl.Series(name, weights, pl.Float64)


def _check(frame: pl.DataFrame, schema: dict[str, pl.DataType | type[pl.DataType]], what: str) -> None:
    for column, dtype in schema.items():
        found = frame.schema.get(column)
        if found != dtype:
            raise InvalidFrame(f"{column} is {found or 'missing'}, not {dtype}", where=f"{_WHERE}: {what}")
        if nulls := frame[column].null_count():
            raise InvalidFrame(f"{column} has {nulls} nulls", where=f"{_WHERE}: {what}")
