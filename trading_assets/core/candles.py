"""What a candle is: its key, its columns, its time convention, and what a timeframe and a market mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

import polars as pl

from trading_assets.core.errors import InvalidFrame, SettingsError

TS: Final = pl.Datetime("us", "UTC")
"""Every time column: UTC, microseconds. ``ts`` is a bar's OPEN time."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Bars of every timeframe are counted from here."""

CANDLE_COLUMNS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "market": pl.String,
    "timeframe": pl.String,
    "ts": TS,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Float64,
}
"""The ``candles`` table. Key: (market, timeframe, ts). Volume in base units. Only closed bars."""

CANDLE_KEY: Final = ("market", "timeframe", "ts")
PRICES: Final = ("open", "high", "low", "close")
OHLCV: Final = (*PRICES, "volume")

_UNITS: Final = {"m": 1, "h": 60, "d": 1440}
_CODE: Final = r"[^\s/:|'\"]+"
_MARKET: Final = re.compile(
    rf"(?P<exchange>[a-z0-9_]+):(?P<base>{_CODE})/(?P<quote>{_CODE}?)"
    rf"(?::(?P<settle>{_CODE}?)(?:-(?P<expiry>\d{{6}})(?P<option>-[^\s/:|'\"]+)?)?)?"
)
"""CCXT's symbols: codes may have any letters, hyphens and signs; a dated contract ends with its day (YYMMDD)."""


@dataclass(frozen=True, slots=True)
class Market:
    """A market, written ``exchange:SYMBOL`` with the CCXT symbol.

    >>> Market.parse("binance:BTC/USDT:USDT").is_perpetual
    True
    >>> str(Market.parse("binance:BTC/USDT"))
    'binance:BTC/USDT'
    """

    exchange: str
    symbol: str

    @classmethod
    def parse(cls, text: str) -> Market:
        """Read ``exchange:BASE/QUOTE``, ``exchange:BASE/QUOTE:SETTLE`` or ``exchange:BASE/QUOTE:SETTLE-YYMMDD``.

        Raises
        ------
        SettingsError
            If the text has another form, or names a contract whose profits are not computed yet: an option, or one that
            is not settled in its quote currency.
        """
        found = _MARKET.fullmatch(text)
        if found is None:
            raise SettingsError(
                f"{text!r} is not a market",
                remedy="write exchange:BASE/QUOTE (spot) or exchange:BASE/QUOTE:SETTLE (perpetual), "
                "e.g. binance:BTC/USDT:USDT",
            )
        settle, quote = found["settle"], found["quote"]
        if found["option"]:
            raise SettingsError(f"{text!r} is an option", remedy="name a spot market, a perpetual or a dated future")
        if settle not in (None, quote):
            what = "an inverse contract" if settle == found["base"] else "a quanto contract"
            raise SettingsError(
                f"{text!r} is {what}, settled in {settle} and quoted in {quote}, whose profits are not computed yet",
                remedy=f"name the linear one, e.g. {found['exchange']}:{found['base']}/USDT:USDT",
            )
        exchange, symbol = text.split(":", 1)
        return cls(exchange, symbol)

    @property
    def base(self) -> str:
        """The base currency, in which volume is counted."""
        return self.symbol.split("/")[0]

    @property
    def quote(self) -> str:
        """The quote currency, in which prices are given."""
        return self.symbol.split("/")[1].split(":")[0]

    @property
    def is_derivative(self) -> bool:
        """Whether the symbol names a settlement currency: a perpetual or a dated future, traded on margin."""
        return ":" in self.symbol

    @property
    def expiry(self) -> str:
        """The last day of a dated future, as ``YYMMDD``; empty for all others."""
        found = _MARKET.fullmatch(str(self))
        return (found["expiry"] or "") if found else ""

    @property
    def is_perpetual(self) -> bool:
        """Whether it is a contract without an end, which pays funding."""
        return self.is_derivative and not self.expiry

    @property
    def is_synthetic(self) -> bool:
        """Whether the candles are made up: the sample source, and it alone, serves the exchange ``sample``."""
        return self.exchange == "sample"

    def __str__(self) -> str:
        return f"{self.exchange}:{self.symbol}"


@cache
def timeframe_minutes(timeframe: str) -> int:
    """Minutes in a timeframe such as ``1m``, ``15m``, ``4h`` or ``1d``.

    Raises
    ------
    SettingsError
        If the text is not a number followed by m, h or d.
    """
    match = re.fullmatch(r"([1-9]\d*)([mhd])", timeframe)
    if match is None:
        raise SettingsError(
            f"{timeframe!r} is not a timeframe", remedy="write a number and m, h or d, e.g. 1m, 15m, 4h, 1d"
        )
    return int(match[1]) * _UNITS[match[2]]


@cache
def timeframe_delta(timeframe: str) -> timedelta:
    """The length of one bar of a timeframe."""
    return timedelta(minutes=timeframe_minutes(timeframe))


def require_columns(frame: pl.DataFrame, columns: Iterable[str], *, where: str) -> None:
    """Refuse a frame that lacks columns.

    Raises
    ------
    InvalidFrame
        Names them.
    """
    known = frame.columns
    if missing := [column for column in columns if column not in known]:
        raise InvalidFrame(f"no column {', '.join(missing)}", where=where)


def require_times(frame: pl.DataFrame, columns: Iterable[str], *, where: str) -> None:
    """Refuse a frame in which one of these columns is no time (:data:`TS`) in every row.

    Raises
    ------
    InvalidFrame
        A column is of another type or has nulls.
    """
    for column in columns:
        if frame.schema[column] != TS:
            raise InvalidFrame(f"{column} is {frame.schema[column]}", where=where, remedy="make it Datetime(us, UTC)")
        if nulls := frame[column].null_count():
            raise InvalidFrame(f"{column} has {nulls} nulls", where=where, remedy="leave such rows out")


def empty_candles() -> pl.DataFrame:
    """A frame of the ``candles`` table without rows."""
    return pl.DataFrame(schema=CANDLE_COLUMNS)
