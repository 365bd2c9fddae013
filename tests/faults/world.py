"""A market on the local exchange, a store, and a session that catches up as the product does, until it dies."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from tests.exchange import MARKET, LocalExchange
from trading_assets.core.candles import OHLCV
from trading_assets.settings import CcxtSource
from trading_assets.sources import ingest
from trading_assets.sources.candles.exchange import ExchangeCandles
from trading_assets.sources.gaps.repair import repair
from trading_assets.sources.ingest.resume import parts_to_fetch
from trading_assets.sources.transport.backoff import Backoff
from trading_assets.store import Store
from trading_assets.store.tables import CANDLES

START: Final = datetime(2025, 3, 1, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
PAGE: Final = 60
REREAD: Final = 5
"""Bars that a catch-up reads once more for revisions."""

REFUSED: Final = {"429", "418", "500", "502", "503", "maintenance", "drop", "timeout", "truncated", "html"}
"""Faults that cost a retry each."""


def walk(minutes: int, *, seed: int = 7) -> pl.DataFrame:
    """Valid candles of a random walk."""
    rng = np.random.default_rng(seed)
    close = np.round(100 + np.cumsum(rng.normal(0, 0.1, minutes)), 2)
    opened = np.concatenate([[100.0], close[:-1]])
    ts = pl.datetime_range(START, START + minutes * MINUTE, MINUTE, closed="left", time_unit="us", eager=True)
    return pl.DataFrame({"ts": ts}).with_columns(
        open=pl.Series(opened),
        high=pl.Series(np.round(np.maximum(opened, close) + 0.05, 2)),
        low=pl.Series(np.round(np.minimum(opened, close) - 0.05, 2)),
        close=pl.Series(close),
        volume=pl.Series(np.round(rng.gamma(2, 5, minutes) + 0.001, 3)),
    )


LIMIT_S: Final = 2.0
"""How long an answer may take where one is to be too late, and how long it takes then."""
TOO_LATE_S: Final = 2.5


def settings_of(url: str, attempts: int, timeout_s: float = 300) -> CcxtSource:
    """The source as a user sets it up, for the local exchange; an answer that is late by chance is none too late."""
    return CcxtSource(
        kind="ccxt",
        exchange="binanceusdm",
        base_url=url,
        page_limit=PAGE,
        max_attempts=attempts,
        timeout_s=timeout_s,
        rate_limit=False,
    )


def catch_up(
    store: Store, source: ExchangeCandles, end: datetime, now: datetime, progress: Callable[..., None] | None = None
) -> int:
    """Fetch what is left of the window, as a backfill does; how many candles came."""
    parts = parts_to_fetch(store, market=MARKET, timeframe="1m", pieces=[(START, end)], now=now, reread_bars=REREAD)
    report = ingest(
        store, source, market=MARKET, timeframe="1m", start=START, end=end, now=now, parts=parts, progress=progress
    )
    return report.rows


@dataclass
class World:
    """One market, what the exchange has of it, and the sessions that fetch it.

    Attributes
    ----------
    truth
        All candles that the exchange will ever have.
    now
        The present: what closes later does not exist yet.
    """

    exchange: LocalExchange
    store: Store
    truth: pl.DataFrame
    now: datetime
    attempts: int = 3
    slept: list[float] = field(default_factory=list)
    retries: int = 0

    @property
    def end(self) -> datetime:
        """The window's end, beyond all candles: it still grows."""
        return START + timedelta(days=30)

    @property
    def _limit_s(self) -> float:
        return LIMIT_S if any(one.fault == "timeout" for one in self.exchange.faults.script) else 300

    def show(self) -> None:
        """Let the exchange serve all that is closed now."""
        self.exchange.hold(self.truth.filter(pl.col("ts") + MINUTE <= self.now))

    def session(self, progress: Callable[..., None] | None = None, store: Store | None = None) -> int:
        """One process's catch-up, with a source of its own; returns the candles fetched."""
        source = ExchangeCandles(
            settings_of(self.exchange.url, self.attempts, self._limit_s),
            Backoff(self.attempts, sleep=self.slept.append, chance=lambda: 1.0),
            lambda: self.now,
        )
        try:
            return catch_up(store or self.store, source, self.end, self.now, progress)
        finally:
            self.retries += source.retries

    def mend(self) -> None:
        """Ask again for what is missing, as ``trading gaps --repair`` does."""
        source = ExchangeCandles(settings_of(self.exchange.url, self.attempts), Backoff(1), lambda: self.now)
        window = {"start": START, "end": self.end, "now": self.now}
        repair(self.store, source, market=MARKET, timeframe="1m", peers={}, again=True, **window)  # type: ignore[arg-type]

    def stored(self) -> pl.DataFrame:
        """All candles in the store."""
        return self.store.read(CANDLES).select("ts", *OHLCV)

    def lost(self) -> int:
        """Candles of the exchange that are not stored with its newest values, and stored ones that it does not have."""
        has = self.truth.filter(pl.col("ts") + MINUTE <= self.now)
        stored = self.stored()
        return has.join(stored, on=["ts", *OHLCV], how="anti").height + max(stored.height - has.height, 0)


class Death(BaseException):
    """The process ends here, whatever it was doing."""


class DyingStore:
    """A store whose process dies at its n-th write, before or after it."""

    def __init__(self, store: Store, writes: int, *, after: bool) -> None:
        self._store, self._left, self._after = store, writes, after

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def upsert(self, table: object, frame: pl.DataFrame) -> object:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Death
        done = self._store.upsert(table, frame)  # type: ignore[arg-type]
        if self._left < 0:
            raise Death
        return done


class Lines(logging.Handler):
    """Keeps what the source logs."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def source_log() -> Iterator[list[str]]:
    """The lines that the exchange source logs meanwhile."""
    handler, logger = Lines(), logging.getLogger("trading_assets.sources")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
