"""What the recorder has in memory between two writes: trades, snapshots and gaps, and the newest of each market."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.store.tables import BOOK_SNAPSHOTS, PUBLIC_TRADES, RECORDING_GAPS, Table
from trading_live.capture.sequence_gaps import Hole, SequenceGaps

BOOKS: Final = "books"
TRADES: Final = "trades"
LAST_FILE: Final = "last.json"

_LATE_US: Final = 2_000_000
"""How long a missing number may still come."""


@dataclass(slots=True)
class _Columns:
    """Rows of one table, column by column; times are microseconds."""

    table: Table
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def take(self) -> pl.DataFrame:
        """The rows as a frame; they are forgotten."""
        rows, self.rows = self.rows, []
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self.table.columns)
        series = []
        for (name, dtype), values in zip(self.table.columns.items(), columns, strict=True):
            plain = pl.Series(name, list(values), dtype=pl.Int64 if dtype == TS else dtype)
            series.append(plain.cast(TS) if dtype == TS else plain)
        return pl.DataFrame(series)


class RecordingBuffer:
    """Takes down what the venue sends, and notices what it did not send.

    Parameters
    ----------
    markets
        What is recorded.
    folder
        Where the newest number and time of each market are kept, so that the next recorder knows what it missed.
    numbered
        Whether the exchange numbers a market's trades one after the other.
    """

    def __init__(self, markets: Sequence[str], folder: Path, *, numbered: bool) -> None:
        self._file = folder / LAST_FILE
        self._numbered = numbered
        self._books, self._trades, self._gaps = map(_Columns, (BOOK_SNAPSHOTS, PUBLIC_TRADES, RECORDING_GAPS))
        self._newest: dict[str, dict[str, int]] = {market: {} for market in markets}
        for market, last in _read_last(self._file).items():
            self._newest[market] = last
        self._trade_numbers = {
            market: SequenceGaps(last.get("trade_id"), last.get(TRADES, 0)) for market, last in self._newest.items()
        }
        self._broken = {(market, stream): "restart" for market in markets for stream in (BOOKS, TRADES)}
        self._sealed: dict[str, int] = {}
        self._sequences: dict[str, tuple[int, int]] = {}
        self.books = self.trades = self.gaps = self.crossed = 0

    def trade(
        self, market: str, trade_id: str, price: float, quantity: float, side: str, *, ts_us: int, received_us: int
    ) -> None:
        """Take down a trade; times in microseconds, the exchange's and the recorder's."""
        received_us = max(received_us, self._sealed.get(market, 0))
        self._trades.rows.append((market, ts_us, received_us, trade_id, price, quantity, side))
        self.trades += 1
        reason = self._broken.pop((market, TRADES), None)
        newest = self._newest[market]
        if self._numbered and trade_id.isdecimal():
            self._trade_numbers[market].see(int(trade_id), ts_us, received_us=received_us, reason=reason or "skipped")
        elif reason is not None and newest.get(TRADES, ts_us) < ts_us:
            self._gap(market, TRADES, newest[TRADES], ts_us, received_us, reason, None)
        newest[TRADES] = max(ts_us, newest.get(TRADES, 0))

    def book(
        self,
        market: str,
        bids: Sequence[tuple[float, float]],
        asks: Sequence[tuple[float, float]],
        *,
        sequence: int,
        ts_us: int,
        received_us: int,
    ) -> bool:
        """Take down a snapshot of (price, size) levels, best first; none that is crossed, empty or seen before.

        Returns whether the book has changed since the last snapshot.
        """
        if self._sequences.get(market) == (ts_us, sequence):
            return False
        self._sequences[market] = (ts_us, sequence)
        if not bids or not asks or bids[0][0] >= asks[0][0]:
            self.crossed += 1
            return True
        received_us = max(received_us, self._sealed.get(market, 0))
        sides = [[level[position] for level in side] for side in (bids, asks) for position in (0, 1)]
        self._books.rows.append((market, ts_us, received_us, sequence, *sides))
        self.books += 1
        newest = self._newest[market]
        reason = self._broken.pop((market, BOOKS), None)
        if reason is not None and newest.get(BOOKS, ts_us) < ts_us:
            self._gap(market, BOOKS, newest[BOOKS], ts_us, received_us, reason, None)
        newest[BOOKS] = max(ts_us, newest.get(BOOKS, 0))
        return True

    def broken(self) -> None:
        """The connection was lost: what comes next may not follow what came last."""
        for market in self._newest:
            for stream in (BOOKS, TRADES):
                self._broken.setdefault((market, stream), "reconnect")

    def seal(self, market: str, until_us: int) -> None:
        """Let nothing of a market that comes from now on have been known at a moment: something was decided on it.

        Who decides right after a bar's close has not seen what was still on its way, whatever this machine's clock
        says; so it is known a microsecond later.
        """
        self._sealed[market] = max(until_us + 1, self._sealed.get(market, 0))

    def __len__(self) -> int:
        """How many rows wait to be taken."""
        return sum(len(columns.rows) for columns in (self._books, self._trades, self._gaps))

    def take(self, now_us: int | None) -> dict[str, pl.DataFrame]:
        """What was taken down since the last call, by table; without ``now_us``, holes do not wait for late trades."""
        for market, numbers in self._trade_numbers.items():
            for hole in numbers.ripe(2**63 if now_us is None else now_us - _LATE_US):
                self._lack(market, hole)
        return {columns.table.name: columns.take() for columns in (self._books, self._trades, self._gaps)}

    def remember(self) -> None:
        """Keep each market's newest number and time for the next recorder; call it when their rows are on disk."""
        keep_noted(self._file.parent, self.noted())

    def noted(self) -> str:
        """Each market's newest number and time, for :func:`keep_noted`."""
        for market, numbers in self._trade_numbers.items():
            if numbers.newest is not None:
                self._newest[market]["trade_id"] = numbers.newest
        return json.dumps(self._newest)

    def _lack(self, market: str, hole: Hole) -> None:
        self._gap(market, TRADES, hole.since_us, hole.until_us, hole.seen_us, hole.reason, hole.missing)

    def _gap(
        self, market: str, stream: str, since_us: int, until_us: int, seen_us: int, reason: str, missing: int | None
    ) -> None:
        self._gaps.rows.append((market, stream, since_us, until_us, seen_us, reason, missing))
        self.gaps += 1


def keep_noted(folder: Path, noted: str) -> None:
    """Keep what a buffer noted for the next recorder; call it when the rows of that time are on disk."""
    beside = folder / f".{LAST_FILE}.{os.getpid()}"
    beside.write_text(noted)
    beside.replace(folder / LAST_FILE)


def _read_last(file: Path) -> dict[str, dict[str, int]]:
    """What the recorder before noted; nothing where it is absent or torn."""
    try:
        found = json.loads(file.read_text())
        return {str(market): {str(key): int(value) for key, value in last.items()} for market, last in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
