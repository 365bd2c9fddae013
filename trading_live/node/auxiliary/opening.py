"""From what models read to the series that hold it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from nautilus_trader.model import InstrumentId

from trading_assets.core.errors import NodeError
from trading_assets.recordings import Spool, spool_folder
from trading_assets.recordings.spool import RECORDER_LOCK, take_lock
from trading_assets.settings import Settings
from trading_assets.store import configured_store
from trading_assets.strategies.feed import Clock
from trading_live.capture.buffer import RecordingBuffer
from trading_live.capture.spool_writer import SpoolWriter
from trading_live.node.auxiliary import funding as payments
from trading_live.node.auxiliary.funding import VenueFunding
from trading_live.node.auxiliary.listening import AuxiliaryListener
from trading_live.node.auxiliary.needs import RECORDED, Needs
from trading_live.node.auxiliary.recorded import RecordedSeries
from trading_live.node.auxiliary.sentiment import StoredScores
from trading_live.node.auxiliary.series import AuxiliarySeries, Past, read_recorded
from trading_live.venues.contract import Venue
from trading_live.venues.funding import RestFunding

_BESIDE: Final = "a recorder writes books and trades of the same venue: of what both heard, the tables keep the first"


def open_series(
    settings: Settings,
    venue: Venue,
    needs: Needs,
    instruments: Mapping[str, InstrumentId],
    warn: Callable[[str, str], None],
) -> AuxiliarySeries:
    """Make the series that are read; nothing is asked or listened to before they are told to begin.

    Parameters
    ----------
    settings
        Store, spool, recording and address.
    venue
        What its books are like, and what time it is there.
    needs
        What is read.
    instruments
        Market -> the venue's instrument.
    warn
        (event, detail): told of what goes wrong, on the engine's thread. A disk that takes no recording is such a
        thing: open trades are managed without books, and models that read them decide nothing.
    """
    clock, historic = venue.clock(), venue.historic
    recorded = {key: RecordedSeries(key[0], kept) for key, kept in needs.bars.items() if key[0] in RECORDED}
    listener = None
    if recorded or needs.spreads:
        try:
            listener = _listener(settings, venue, needs, instruments, warn)
        except NodeError as error:
            warn("recording refused", f"{error}; no book and no trade is listened to")
            recorded = {}
    past = Past(read_recorded(configured_store(settings), spool_folder(settings))) if recorded else None
    now = clock.now() or datetime.now(UTC)
    scored = {market: now - needs.reach("sentiment", market) for market in needs.markets("sentiment")}
    scores = StoredScores(configured_store(settings), scored, historic=historic) if scored else None
    return AuxiliarySeries(recorded, listener, past, _funding(settings, venue, needs, clock), scores, now=clock.now)


def _funding(settings: Settings, venue: Venue, needs: Needs, clock: Clock) -> VenueFunding:
    since = {market: needs.reach("funding", market) for market in {*needs.markets("funding"), *needs.payments}}
    every_s = payments.EVERY_HISTORIC_S if venue.historic else payments.EVERY_S
    return VenueFunding(RestFunding(settings), clock, since, every_s=every_s)


def _listener(
    settings: Settings,
    venue: Venue,
    needs: Needs,
    instruments: Mapping[str, InstrumentId],
    warn: Callable[[str, str], None],
) -> AuxiliaryListener:
    books, trades = needs.markets("book"), needs.markets("trades")
    heard = sorted({*books, *trades, *needs.spreads})
    node = settings.node
    place = spool_folder(settings) / f"{node.venue}-{node.environment}"
    if place.is_dir() and (books or trades):
        if (lock := take_lock(place / RECORDER_LOCK)) is None:
            warn("recorded twice", _BESIDE)
        else:
            lock.close()
    spool = Spool(place.with_name(f"{place.name}-node-{node.account}"), settings.record.segment_s)
    return AuxiliaryListener(
        {market: instruments[market] for market in heard},
        books=books,
        trades=trades,
        spreads=needs.spreads,
        buffer=RecordingBuffer(heard, spool.folder, numbered=venue.books.numbered_trades),
        writer=SpoolWriter(spool, warn),
        settings=settings.record,
        historic=venue.historic,
        levels=venue.books.levels,
        monotonic=time.monotonic,
    )
