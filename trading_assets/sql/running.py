"""Running SQL models: as they are, or for one market and window."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from trading_assets.core.candles import timeframe_minutes
from trading_assets.core.errors import SqlModelError, StoreError
from trading_assets.sql.model import SqlModel
from trading_assets.sql.statement import listed
from trading_assets.store import Store


def run_model(store: Store, model: SqlModel, **parameters: Any) -> pl.DataFrame:
    """Run the model's SELECT.

    Raises
    ------
    SqlModelError
        If parameters are missing or unknown, or the store refuses the statement.
    """
    if set(parameters) != set(model.parameters):
        raise SqlModelError(
            f"needs the parameters {listed(model.parameters)}, was given {listed(sorted(parameters))}",
            where=str(model.path),
        )
    try:
        return store.query(model.sql, parameters)
    except StoreError as error:
        raise SqlModelError(error.what, where=str(model.path), remedy=error.remedy) from error


def run_window(
    store: Store, model: SqlModel, *, market: str, timeframe: str, start: datetime, end: datetime, **further: Any
) -> pl.DataFrame:
    """Run a model of one market's candles for the rows that begin in [start, end).

    Windows of any cut give the same rows: one that begins before ``end`` takes its candles after ``end`` too, and one
    that began before ``start`` belongs to the window before.

    Parameters
    ----------
    store
        Where ``candles`` lie.
    model
        ``gaps``, ``daily_quality`` or one of the ``bars_...`` models.
    market, timeframe
        Whose candles, and of which length.
    start, end
        The window; both with a time zone.
    further
        Other parameters of the model. Of those above it gets what it takes.

    Returns
    -------
    polars.DataFrame
        The columns of the model's table, sorted by ``ts``.

    Raises
    ------
    SqlModelError
        As :func:`run_model`.
    """
    span = {
        "market": market,
        "timeframe": timeframe,
        "candle_minutes": timeframe_minutes(timeframe),
        "start": start,
        "end": end,
    }
    return run_model(store, model, **{name: span[name] for name in span if name in model.parameters}, **further)


def build_bars(
    store: Store, model: SqlModel, *, market: str, timeframe: str, start: datetime, end: datetime
) -> pl.DataFrame:
    """Build one market's bars that open in [start, end); parameters as of :func:`run_window`.

    Missing candles stay missing: a bar holds those that are there (``candles`` counts them), and a bar without any does
    not exist. Candles coarser than the bar give none.

    A bar is closed once a candle that ends at its end, or later, is stored. Where its own last candle is missing, that
    may be one of the next window: build from a day earlier, so that it is picked up then.
    """
    return run_window(store, model, market=market, timeframe=timeframe, start=start, end=end)
