"""What every source of candles promises, asked of one about some time of a market."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from trading_assets.core.candles import timeframe_delta
from trading_assets.core.errors import TradingError
from trading_assets.sources.contract import RAW_COLUMNS, CandleSource

_PARTS: Final = 3
"""Into so many pieces the time is cut, to be fetched piece by piece."""


def prove(source: CandleSource, market: str, timeframe: str, start: datetime, end: datetime) -> dict[str, str]:
    """What is wrong with a source: promise -> why; nothing where all hold.

    Parameters
    ----------
    source
        Opened.
    market, timeframe
        What it is asked for.
    start, end
        A time of which it has candles; the shorter, the fewer requests.
    """
    try:
        pages = list(source.fetch(market, timeframe, start, end))
    except TradingError as error:
        return {"delivers": str(error)}
    except Exception as error:  # whatever it is: only errors of the project tell people what to do
        return {"delivers": f"{type(error).__name__}: {error}; raise a SourceError with a remedy"}
    found: dict[str, str] = {}
    for page in pages:
        if dict(page.schema) != RAW_COLUMNS:
            return {"columns": f"a page has {dict(page.schema)}, not {RAW_COLUMNS}"}
    rows = pl.concat(pages) if pages else pl.DataFrame(schema=RAW_COLUMNS)
    if rows.is_empty():
        return {"delivers": f"no candle from {start} to {end}: ask for a time that it has"}
    if outside := rows.filter(~pl.col("ts").is_between(start, end, closed="left")).height:
        found["range"] = f"{outside} candles do not open in [{start}, {end})"
    if not rows["ts"].is_sorted():
        found["order"] = "candles are not in the order of time"
    length = timeframe_delta(timeframe)
    if uneven := rows.filter(pl.col("ts").dt.truncate(length) != pl.col("ts")).height:
        found["open"] = f"{uneven} times are no open of a bar of {timeframe}"
    if why := _in_parts(source, market, timeframe, start, end, rows):
        found["parts"] = why
    return found


def _in_parts(
    source: CandleSource, market: str, timeframe: str, start: datetime, end: datetime, rows: pl.DataFrame
) -> str | None:
    """The same candles, fetched piece by piece."""
    length = timeframe_delta(timeframe)
    size = max((end - start) // length // _PARTS, 1) * length
    edges = [edge for edge in (start + number * size for number in range(_PARTS)) if edge < end]
    pieces = [
        page
        for begin, stop in zip(edges, [*edges[1:], end], strict=True)
        for page in source.fetch(market, timeframe, begin, stop)
    ]
    again = pl.concat(pieces) if pieces else rows.clear()
    return None if again.equals(rows) else f"{again.height} candles piece by piece, {rows.height} at once"
