"""Market <-> instrument: how our names, bars and times map to NautilusTrader's. Strings only; no engine is imported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trading_assets.core.candles import Market, timeframe_delta, timeframe_minutes

_UNITS: Final = (("DAY", 1440, 1), ("HOUR", 60, 24), ("MINUTE", 1, 60))
"""Name, minutes, and what a number of them must divide; the coarsest first."""


def instrument_id(market: str) -> str:
    """The instrument that a market is simulated as; its own exchange does not matter, and names are as Binance's.

    >>> instrument_id("sample:SYNA/USDT:USDT")
    'SYNAUSDT-PERP.BINANCE'
    >>> instrument_id("okx:BTC/USDT")
    'BTCUSDT.BINANCE'
    >>> instrument_id("binance:BTC/USDT:USDT-260925")
    'BTCUSDT_260925.BINANCE'
    """
    parsed = Market.parse(market)
    product = f"_{parsed.expiry}" if parsed.expiry else "-PERP" if parsed.is_perpetual else ""
    return f"{parsed.base}{parsed.quote}{product}.BINANCE"


def raw_symbol(market: str) -> str:
    """The symbol as Binance writes it, e.g. ``SYNAUSDT``."""
    parsed = Market.parse(market)
    return f"{parsed.base}{parsed.quote}"


def bar_type(instrument: str, timeframe: str) -> str:
    """The venue's own bars of an instrument.

    The engine knows lengths that divide the hour, whole hours that divide the day, and the day. Others, which only a
    backtest has, are told apart by a number of years: it never asks how far apart the bars that it is given are.

    >>> bar_type("BTCUSDT-PERP.BINANCE", "15m")
    'BTCUSDT-PERP.BINANCE-15-MINUTE-LAST-EXTERNAL'
    >>> bar_type("BTCUSDT-PERP.BINANCE", "90m")
    'BTCUSDT-PERP.BINANCE-90-YEAR-LAST-EXTERNAL'
    """
    minutes = timeframe_minutes(timeframe)
    for unit, length, whole in _UNITS:
        if minutes % length == 0 and whole % (minutes // length) == 0:
            return f"{instrument}-{minutes // length}-{unit}-LAST-EXTERNAL"
    return f"{instrument}-{minutes}-YEAR-LAST-EXTERNAL"


def exact(value: Any) -> float:
    """The engine's fixed-point number as the float of its decimal text; ``as_double()`` is often one ulp beside it."""
    return float(str(value))


def close_time(ts_event: int) -> datetime:
    """When a bar closed: engine nanoseconds, rounded up to the second because Binance says ...59.999."""
    return datetime.fromtimestamp(-(-ts_event // 1_000_000_000), UTC)


def open_time(ts_event: int, timeframe: str) -> datetime:
    """When the bar that closed at ``ts_event`` (engine nanoseconds) opened: our ``ts``.

    >>> open_time(1_735_690_499_999_000_000, "15m").isoformat()
    '2025-01-01T00:00:00+00:00'
    """
    return close_time(ts_event) - timeframe_delta(timeframe)


def event_time(nanoseconds: int) -> datetime:
    """Engine nanoseconds as UTC microseconds."""
    return datetime.fromtimestamp(nanoseconds // 1000 / 1e6, UTC)  # exact to the microsecond until the year 2100


def nanoseconds(moment: datetime) -> int:
    """UTC time as engine nanoseconds, exact to the microsecond."""
    return ((moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)) * 1000
