"""Sentiment scores as the store has them, read again and again in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

import polars as pl
import structlog

from trading_assets.core.errors import TradingError
from trading_assets.features.framework.stored_series import SENTIMENT_DELAY, one_per_time, read_sentiment
from trading_assets.store.contract import Store

_LOG: Final = structlog.get_logger(__name__)
EVERY_S: Final = 20.0
_OLDEST: Final = SENTIMENT_DELAY / 2
"""So long before a bar's close the store must have been read: what was known then counts only after the delay."""

_AHEAD: Final = timedelta(days=1)


class StoredScores:
    """What is known of the scores of markets.

    Parameters
    ----------
    store
        Where the hourly run writes them.
    since
        Market -> the first moment of which scores are read.
    historic
        Whether bars carry times of the past: then the store has all that was known, and its last reading is never old.
    now
        This machine's clock.
    every_s
        Between two readings.
    """

    def __init__(
        self,
        store: Store,
        since: Mapping[str, datetime],
        *,
        historic: bool,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        every_s: float = EVERY_S,
    ) -> None:
        self.trouble: str | None = None
        self._store = store
        self._since = dict(since)
        self._historic = historic
        self._now = now
        self._every_s = every_s
        self._known: Mapping[str, pl.DataFrame] = MappingProxyType({})
        self._read_at: datetime | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sentiment", daemon=True)

    @property
    def markets(self) -> Iterable[str]:
        """Of which scores are read."""
        return self._since

    @property
    def settled(self) -> bool:
        """Whether a first reading has ended, well or not."""
        return self._read_at is not None or self.trouble is not None

    def start(self) -> None:
        """Read from now on."""
        self._thread.start()

    def close(self) -> None:
        """Read no more; what is being read is left to itself."""
        self._over.set()

    def rows(self, market: str, known_at: datetime) -> pl.DataFrame | str:
        """What was known of a market's scores at a moment, or why that cannot be said."""
        read_at = self._read_at
        if read_at is None:
            return f"sentiment: {self.trouble or 'the store has not been read yet'}"
        if not self._historic and known_at - read_at > _OLDEST:
            why = self.trouble or "no reading has ended since"
            return f"sentiment: the store was last read at {read_at:%H:%M:%S}, more than {_OLDEST} before: {why}"
        return self._known[market].filter(pl.col("known_at") <= known_at)

    def read(self) -> None:
        """Read once; where the store cannot be read, what was read before stays."""
        at = self._now()
        try:
            end = datetime.max.replace(tzinfo=UTC) if self._historic else at + _AHEAD
            self._known = {
                market: one_per_time(read_sentiment(self._store, market, since, end))
                for market, since in self._since.items()
            }
        except TradingError as error:
            if self.trouble is None:
                _LOG.warning("sentiment not read", error=str(error))
            self.trouble = str(error)
        else:
            self._read_at, self.trouble = at, None

    def _run(self) -> None:
        self.read()
        while not self._over.wait(self._every_s):
            self.read()
