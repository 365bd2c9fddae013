"""The node's ear for books and trades: what its models read of them is recorded as it was heard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

import polars as pl
import structlog
from nautilus_trader.model import InstrumentId

from trading_assets.settings import RecordSettings
from trading_live.capture.buffer import RecordingBuffer
from trading_live.capture.listener import Listener
from trading_live.capture.spool_writer import SpoolWriter

_LOG: Final = structlog.get_logger(__name__)
_NOTHING: Final[Mapping[str, pl.DataFrame]] = {}


class AuxiliaryListener(Listener):
    """Listens beside the strategy, and leaves what it hears to a thread that writes it.

    Parameters
    ----------
    instruments
        Market -> the venue's instrument, of all that is listened to.
    books, trades
        The markets whose books and trades are read.
    spreads
        The markets whose books are listened to for their spread alone, where nobody reads them.
    buffer, writer
        What was heard since the last write, and where it goes.
    settings, historic, levels
        See :class:`Listener`.
    monotonic
        Seconds that only grow.

    Attributes
    ----------
    spreads
        Market -> the newest spread in basis points of the middle.
    heard_s
        When anything was heard last, by ``monotonic``.
    """

    def __init__(
        self,
        instruments: Mapping[str, InstrumentId],
        *,
        books: Collection[str],
        trades: Collection[str],
        spreads: Collection[str],
        buffer: RecordingBuffer,
        writer: SpoolWriter,
        settings: RecordSettings,
        historic: bool,
        levels: int,
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(
            instruments, buffer, settings, historic=historic, levels=levels, event=lambda text: _LOG.info(text)
        )
        self.spreads: dict[str, float] = {}
        self.heard_s = monotonic()
        self.writer = writer
        self._books, self._trades = frozenset(books) | frozenset(spreads), frozenset(trades)
        self._read = frozenset(books)
        self._monotonic = monotonic

    def listen(self) -> None:
        """Subscribe; a market that the venue does not have is told by the supervisor."""
        there = {market for market, iid in self._instruments.items() if self.cache.instrument(iid) is not None}
        self.subscribe(books=self._books & there, trades=self._trades & there)

    def seal(self, market: str, until_us: int) -> None:
        """Let nothing of a market that comes from now on have been known at a moment."""
        self._buffer.seal(market, until_us)

    def take(self) -> Mapping[str, pl.DataFrame]:
        """What was heard since the last call, by table; it is on its way to the disk."""
        if not len(self._buffer):
            return _NOTHING
        frames = self._buffer.take(self.now_us)
        self.writer.put(frames, self._buffer.noted())
        return frames

    def end(self) -> None:
        """Bring to disk what was heard."""
        self.writer.put(self._buffer.take(None), self._buffer.noted())
        self.writer.close()

    def _hear(self, ts_us: int) -> None:
        super()._hear(ts_us)
        self.heard_s = self._monotonic()

    def _take_book(
        self,
        market: str,
        bids: list[tuple[float, float]],
        asks: list[tuple[float, float]],
        *,
        sequence: int,
        ts_us: int,
        received_us: int,
    ) -> None:
        if bids and asks and bids[0][0] < asks[0][0]:
            self.spreads[market] = spread_bps(bids[0][0], asks[0][0])
        if market in self._read:
            super()._take_book(market, bids, asks, sequence=sequence, ts_us=ts_us, received_us=received_us)


def spread_bps(bid: float, ask: float) -> float:
    """Between best bid and ask, in basis points of the middle.

    >>> round(spread_bps(99.95, 100.05), 6)
    10.0
    """
    return (ask - bid) / (ask + bid) * 2e4
