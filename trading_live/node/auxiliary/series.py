"""The auxiliary series of one engine: books and trades listened to, funding asked for, sentiment read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl
import structlog

from trading_assets.core.candles import EPOCH
from trading_assets.core.errors import TradingError
from trading_assets.models.decision import Companions
from trading_assets.recordings import recorded_rows
from trading_assets.store.contract import Store
from trading_assets.strategies.plans.funding_exit import FundingDue
from trading_assets.strategies.signals import Stream
from trading_live.node.auxiliary.funding import VenueFunding
from trading_live.node.auxiliary.listening import AuxiliaryListener
from trading_live.node.auxiliary.recorded import TABLE_OF, RecordedSeries
from trading_live.node.auxiliary.sentiment import StoredScores

_LOG: Final = structlog.get_logger(__name__)
_AGAIN_S: Final = 5.0
_PATIENCE_S: Final = 30.0
"""So long a start waits for what was recorded before, for funding and for scores; then it listens without them."""

_STALE_S: Final = 30.0
"""After so long without a word of any market, no spread is known any more."""

_US: Final = timedelta(microseconds=1)

type Series = tuple[str, str]
"""Name and market."""


class Past:
    """What was recorded before this process began to listen, read in a thread of its own until it can be read.

    Parameters
    ----------
    read
        (the series and the first moment of each) -> their rows.

    Attributes
    ----------
    begun
        Whether it reads, or has read.
    trouble
        Why nothing can be read; None where it can.
    """

    def __init__(self, read: Callable[[Mapping[Series, datetime]], Mapping[Series, pl.DataFrame]]) -> None:
        self.trouble: str | None = None
        self.begun = False
        self._read = read
        self._over = threading.Event()
        self._found: Mapping[Series, pl.DataFrame] | None = None

    def start(self, wanted: Mapping[Series, datetime]) -> None:
        """Read from now on."""
        self.begun = True
        threading.Thread(target=self._run, args=(wanted,), name="recorded", daemon=True).start()

    def take(self) -> Mapping[Series, pl.DataFrame]:
        """What has been read, once; nothing before."""
        found, self._found = self._found or {}, None
        return found

    def close(self) -> None:
        """Read no more."""
        self._over.set()

    def _run(self, wanted: Mapping[Series, datetime]) -> None:
        while not self._over.is_set():
            try:
                self._found = self._read(wanted)
            except Exception as error:  # a store that is held by others, a file that is moved: it is read again
                said = str(error) if isinstance(error, TradingError) else f"{type(error).__name__}: {error}"
                if self.trouble is None:
                    _LOG.warning("recordings not read", error=said)
                self.trouble = said
                self._over.wait(_AGAIN_S)
            else:
                self.trouble = None
                return


def read_recorded(store: Store, root: Path) -> Callable[[Mapping[Series, datetime]], Mapping[Series, pl.DataFrame]]:
    """Reads books and trades from the store, and from the spool what has not been loaded yet."""

    def read(wanted: Mapping[Series, datetime]) -> Mapping[Series, pl.DataFrame]:
        names = {(TABLE_OF[name].name, market): (name, market) for name, market in wanted}
        found = recorded_rows(store, root, {key: wanted[one] for key, one in names.items()})
        return {names[key]: rows for key, rows in found.items()}

    return read


class AuxiliarySeries:
    """What features read beside bars, as of a bar's close; asked and told on the engine's thread.

    Parameters
    ----------
    recorded
        The series that are listened to.
    listener
        Hears them; None where nothing is listened to.
    past
        Reads what was recorded before.
    funding, scores
        Ask and read; None where nobody wants it.
    now
        The venue's time.
    monotonic
        Seconds that only grow.

    Attributes
    ----------
    lacking
        Stream -> what its newest decision lacked.
    listener
        An actor of the engine; None where nothing is listened to.
    """

    def __init__(
        self,
        recorded: Mapping[Series, RecordedSeries] = MappingProxyType({}),
        listener: AuxiliaryListener | None = None,
        past: Past | None = None,
        funding: VenueFunding | None = None,
        scores: StoredScores | None = None,
        *,
        now: Callable[[], datetime | None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lacking: dict[Stream, str] = {}
        self._recorded = dict(recorded)
        self._of_market: dict[str, list[RecordedSeries]] = {}
        for (_, market), series in self._recorded.items():
            self._of_market.setdefault(market, []).append(series)
        self.listener = listener
        self._past = past
        self._funding = funding
        self._scores = scores
        self._now = now
        self._monotonic = monotonic
        self._begun_s: float | None = None

    # -- its life -------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Read and ask from now on; books and trades are listened to later."""
        self._begun_s = self._monotonic()
        for one in (self._funding, self._scores):
            if one is not None:
                one.start()
        self._begin_past()

    @property
    def settled(self) -> bool:
        """Whether a node may listen: everything was read once, or has been waited for long enough."""
        if self._begun_s is None or self._monotonic() - self._begun_s > _PATIENCE_S:
            return True
        self._take_past()
        asked = all(one.settled for one in (self._funding, self._scores) if one is not None)
        return asked and all(one.loaded for one in self._recorded.values())

    def listen(self) -> None:
        """Subscribe to books and trades."""
        if self.listener is not None:
            self.listener.listen()

    def look(self) -> None:
        """Take what has been read and heard; call it every second or so."""
        self._take_past()
        if self.listener is not None:
            self._take_heard()
            self.listener.writer.tell()
        for series in self._recorded.values():
            series.tidy()

    def close(self) -> None:
        """Bring what was heard to disk, and stop asking."""
        for one in (self._past, self._funding, self._scores):
            if one is not None:
                one.close()
        if self.listener is not None:
            self.listener.end()

    # -- decisions ------------------------------------------------------------------------------------------------

    def seal(self, closed: Iterable[tuple[str, datetime]]) -> None:
        """Let what comes from now on not have been known at the close of these markets' bars."""
        mine = [(market, at) for market, at in closed if market in self._of_market]
        if not mine or self.listener is None:
            return
        for market, at in mine:
            self.listener.seal(market, (at - EPOCH) // _US)
        self._take_heard()

    def of(self, names: Iterable[str], stream: Stream, known_at: datetime) -> Companions | None:
        """The series that features of a bar read, each as it was known when the bar closed.

        Returns
        -------
        Mapping or None
            Series -> rows; None where one of them is not known as the tables will have it, which ``lacking`` tells.
        """
        found = self.known(names, stream, known_at)
        if isinstance(found, str):
            self.lacking[stream] = found
            return None
        self.lacking.pop(stream, None)
        return found

    def known(self, names: Iterable[str], stream: Stream, known_at: datetime) -> Companions | str:
        """The same for who decides in shadow: the series, or why one of them is not known."""
        found: dict[str, pl.DataFrame] = {}
        for name in names:
            rows = self._rows(name, stream, known_at)
            if isinstance(rows, str):
                return rows
            found[name] = rows
        return found

    def _rows(self, name: str, stream: Stream, known_at: datetime) -> pl.DataFrame | str:
        if name in TABLE_OF:
            series = self._recorded.get((name, stream.market))
            if series is None:
                return f"{name} of {stream.market} is not listened to"
            if not series.loaded:
                why = self._past.trouble if self._past is not None else None
                return f"{name}: what was recorded before is not read yet{f': {why}' if why else ''}"
            return series.rows(stream.timeframe, known_at)
        source = self._funding if name == "funding" else self._scores
        if source is None or stream.market not in source.markets:
            return f"{name} of {stream.market} is not asked for"
        return source.rows(stream.market, known_at)

    # -- what protections and exits ask ---------------------------------------------------------------------------

    def next_funding(self, market: str, now: datetime) -> FundingDue | None:
        """The payment to come of a market, as far as the venue tells."""
        return None if self._funding is None else self._funding.next_payment(market, now)

    def measures(self) -> Iterator[tuple[str, str, float | None]]:
        """(cause, market, value) of what protections limit: the spread, and the newest payment either way."""
        if self.listener is not None:
            silent = self._monotonic() - self.listener.heard_s > _STALE_S
            for market, bps in self.listener.spreads.items():
                yield "spread_bps", market, None if silent else bps
        if self._funding is not None:
            for market in self._funding.markets:
                bps_paid = self._funding.newest_bps(market)
                yield "funding_bps", market, None if bps_paid is None else abs(bps_paid)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _begin_past(self) -> None:
        """Have read what was recorded before, once the venue's time is known."""
        if self._past is None or self._past.begun or (now := self._now()) is None:
            return
        self._past.start({key: one.reach(now) for key, one in self._recorded.items()})

    def _take_past(self) -> None:
        if self._begun_s is not None:
            self._begin_past()
        if self._past is not None and (found := self._past.take()):
            self._take_heard()
            for key, rows in found.items():
                self._recorded[key].load(rows)

    def _take_heard(self) -> None:
        """What was heard goes to the disk, and to the series that are read."""
        if self.listener is None:
            return
        frames = self.listener.take()
        for (name, market), series in self._recorded.items():
            rows = frames.get(TABLE_OF[name].name)
            if rows is not None and rows.height:
                series.add(rows.filter(pl.col("market") == market))


NOTHING_BESIDE: Final = AuxiliarySeries()
"""Of a node whose models read bars alone."""
