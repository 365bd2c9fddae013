"""Candles without surprises, and the local exchange that serves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from tests.exchange import LocalExchange

START = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture
def start() -> datetime:
    """When the plain candles begin."""
    return START


@pytest.fixture
def plain_candles() -> Callable[..., pl.DataFrame]:
    """Makes valid candles without surprises."""

    def make(rows: int, start: datetime = START, minutes: int = 1) -> pl.DataFrame:
        price = 100.0 + (pl.int_range(rows, eager=True) % 7).cast(pl.Float64)
        step = timedelta(minutes=minutes)
        ts = pl.datetime_range(start, start + rows * step, step, closed="left", time_unit="us", eager=True)
        return pl.DataFrame(
            {"ts": ts, "open": price, "high": price + 2, "low": price - 2, "close": price + 1, "volume": price * 0 + 10}
        )

    return make


@pytest.fixture
def local_exchange() -> Iterator[LocalExchange]:
    """A running local exchange without candles."""
    from tests.exchange import LocalExchange

    server = LocalExchange()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def set_ccxt_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the time that ccxt's clients go by."""
    import ccxt

    def at(now: datetime) -> None:
        ms = round(now.timestamp() * 1000)
        monkeypatch.setattr(ccxt.Exchange, "milliseconds", staticmethod(lambda: ms))
        monkeypatch.setattr(ccxt.Exchange, "seconds", staticmethod(lambda: ms // 1000))

    return at
