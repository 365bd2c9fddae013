"""A label set of the settings: on which bars it decides, and its outcome of each of them, on each side."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import polars as pl

from trading_assets.core.sides import Side
from trading_assets.labels import sampling
from trading_assets.labels.barriers import missing_entries
from trading_assets.labels.fingerprint import fingerprint
from trading_assets.labels.kinds import Known, Label, label_of
from trading_assets.settings import LabelSettings
from trading_assets.store.tables import LABELS


def label(
    bars: pl.DataFrame,
    candles: pl.DataFrame,
    *,
    label_set: str,
    settings: LabelSettings,
    sides: Sequence[Side],
    candle_timeframe: str,
    until: datetime,
    turn: int = 0,
) -> pl.DataFrame:
    """What a label set says of each bar that it decides on.

    Parameters
    ----------
    bars
        Bars of one market, of the set's timeframe, ascending, with :func:`lookback_bars` - 1 before the first one.
    candles, candle_timeframe
        The finest candles of the market: which barrier came first is looked for on them.
    label_set, settings
        The set's name and what it asks for.
    sides
        What is entered at each bar.
    until
        Up to when bars and candles are complete.
    turn
        As of :class:`Known`: 0 but in worlds in which nothing may be found.

    Returns
    -------
    polars.DataFrame
        Rows of the ``labels`` table, also the ambiguous ones.
    """
    known = Known(bars, candles, candle_timeframe, until, turn)
    rows = label_of(settings).rows(known, sides)
    wanted = _sampled(bars, label_of(settings).decided(known), settings)
    if wanted is not None:
        rows = rows.join(_decided(bars, wanted), on=["ts", "side"], how="semi", maintain_order="left")
    return rows.with_columns(label_set=pl.lit(label_set), timeframe=pl.lit(settings.timeframe.name)).select(
        pl.col(name).cast(dtype) for name, dtype in LABELS.columns.items()
    )


def decides(bars: pl.DataFrame, settings: LabelSettings) -> pl.DataFrame | None:
    """On which sides of each bar a label set decides; what a model that learns it says nothing on elsewhere.

    Training, backtest, node and parity certificate ask this alone.

    Parameters
    ----------
    bars
        As for :func:`label`; an answer depends on the newest :func:`lookback_bars` bars up to its own.
    settings
        The label set.

    Returns
    -------
    polars.DataFrame or None
        ``long`` and ``short`` (Boolean), a row per bar; None where every bar is decided on, on both sides.
    """
    return _sampled(bars, label_of(settings).decides(bars), settings)


def _sampled(bars: pl.DataFrame, said: pl.Series | None, settings: LabelSettings) -> pl.DataFrame | None:
    if said is None and settings.sampling is None:
        return None
    ticks = pl.repeat(True, bars.height, eager=True)
    if settings.sampling is not None:
        ticks = sampling.ticks(bars, settings.sampling)
    if said is None:
        return pl.DataFrame({side.word: ticks for side in Side})
    return pl.DataFrame({side.word: ticks & (said == int(side)) for side in Side})


def lookback_bars(settings: LabelSettings) -> int:
    """Bars, the current one included, that barriers and :func:`decides` depend on."""
    own: int = label_of(settings).lookback_bars
    chosen = settings.sampling
    return own if chosen is None else max(own, sampling.lookback_bars(chosen, settings.timeframe))


def decides_by(settings: LabelSettings) -> str:
    """Identifies the code that says where a label set decides; empty where it decides on every bar."""
    label = label_of(settings)
    if settings.sampling is None and type(label).decides is Label.decides:
        return ""
    return hashlib.sha256(f"{fingerprint()} {label.version()}".encode()).hexdigest()[:16]


def without_entry(
    bars: pl.DataFrame, candles: pl.DataFrame, *, settings: LabelSettings, candle_timeframe: str, until: datetime
) -> pl.DataFrame:
    """The bars that are decided on and lack the candle to enter on, and so a label: ``market, ts, known_at``."""
    missing = missing_entries(bars, candles, candle_timeframe=candle_timeframe, settings=settings, until=until)
    if not label_of(settings).follows_candles:
        return missing.clear()
    wanted = decides(bars, settings)
    return missing if wanted is None else missing.join(_decided(bars, wanted), on="ts", how="semi")


def _decided(bars: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """``ts`` and ``side`` (Int8) of what is decided on."""
    return pl.concat(
        bars.select("ts", side=pl.lit(int(side), pl.Int8)).filter(wanted[side.word].fill_null(value=False))
        for side in Side
    )
