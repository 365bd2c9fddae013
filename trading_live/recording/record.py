"""Recording: order books and public trades of a venue, through the node's own adapter, into the spool."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nautilus_trader.common import Environment
from nautilus_trader.live import LiveNode
from nautilus_trader.model import InstrumentId, TraderId

from trading_assets.core.errors import NodeError
from trading_assets.recordings import Spool, spool_folder
from trading_assets.recordings.spool import CANDLES_FOLDER
from trading_assets.settings import Settings
from trading_assets.sources.ingest.streamed import take_streamed
from trading_assets.store import open_store
from trading_live.capture.buffer import RecordingBuffer
from trading_live.node.engine import engine_logging, explain
from trading_live.operations.interrupts import stops_engine
from trading_live.recording.candles import Candles, CandleWriter, streamed_from
from trading_live.recording.recorder import Recorder, RecordHooks, RecordStats
from trading_live.venues.contract import DataClient, Venue
from trading_live.venues.registry import venue_of

_STOP_S: Final = 1
_STORE_WAIT_S: Final = 0.5
"""What the store does not take meanwhile waits in the spool."""


def run_recorder(
    settings: Settings,
    markets: Sequence[str],
    *,
    seconds: float | None = None,
    connect_timeout_s: int = 30,
    hooks: RecordHooks | None = None,
) -> RecordStats:
    """Record until the time is over, a signal comes (SIGINT, SIGTERM), or the venue is silent for too long.

    Parameters
    ----------
    settings
        ``node`` names venue and environment, ``record`` the depth and the intervals.
    markets
        What is recorded, all of one venue.
    seconds
        How long; None for no end.
    connect_timeout_s
        How long the venue may take to answer at the start.
    hooks
        Told how it goes.

    Returns
    -------
    RecordStats
        The last word.

    Raises
    ------
    NodeError
        If another recorder writes to the same folder, the venue cannot be reached, does not have a market, is silent
        for ``record.give_up_s``, or the disk refuses. What was received before is on disk.
    """
    venue = venue_of(settings)
    venue.look()
    folder = spool_folder(settings) / f"{settings.node.venue}-{settings.node.environment}"
    timeframes = streamed_from(settings, venue, markets)
    spool = Spool(folder, settings.record.segment_s)
    candles = _candle_writer(settings, folder) if timeframes else None
    try:
        given = Candles(candles, timeframes, folder.name)
        stats, failure = _run(
            settings, venue, markets, spool, seconds, connect_timeout_s, hooks or RecordHooks(), given
        )
    finally:
        spool.close()
        if candles is not None:
            candles.close()
    if failure is not None:
        raise failure
    return stats


def _run(
    settings: Settings,
    venue: Venue,
    markets: Sequence[str],
    spool: Spool,
    seconds: float | None,
    connect_timeout_s: int,
    hooks: RecordHooks,
    candles: Candles,
) -> tuple[RecordStats, NodeError | None]:
    """One run of the engine. A failure is returned: raised here, it would keep the engine, of which there is one."""
    named = {market: venue.instrument_id(market) for market in markets}
    node = _engine(settings, venue.data_client(markets), connect_timeout_s)
    stop = node.handle().stop
    recorder = Recorder(
        {market: InstrumentId.from_str(name) for market, name in named.items()},
        spool,
        RecordingBuffer(markets, spool.folder, numbered=venue.books.numbered_trades),
        settings.record,
        hooks,
        historic=venue.historic,
        levels=venue.books.levels,
        seconds=seconds,
        stop=stop,
        candles=candles,
    )
    failure: NodeError | None = None
    try:
        node.add_actor(recorder)
        with stops_engine(stop):
            node.run()
    except RuntimeError as error:
        failure = explain(error, venue.address, connect_timeout_s)
    finally:
        node.dispose()
        recorder.flush(last=True)
        recorder.let_go()
    return recorder.stats(), recorder.failure or failure


def _candle_writer(settings: Settings, folder: Path) -> CandleWriter:
    """Writes candles to a spool beside the recording's, and on into the store."""
    store = open_store(settings.store_url, lock_timeout_s=_STORE_WAIT_S)
    spool = Spool(folder.with_name(f"{folder.name}{CANDLES_FOLDER}"), settings.record.segment_s)
    return CandleWriter(spool, folder.parent, lambda rows: take_streamed(store, rows, now=datetime.now(UTC)))


def _engine(settings: Settings, data: DataClient, connect_timeout_s: int) -> LiveNode:
    return (
        LiveNode.builder("RECORD", TraderId("RECORD-001"), Environment.LIVE)
        .with_logging(engine_logging(settings, "engine-record"))
        .with_timeout_connection(connect_timeout_s)
        .with_timeout_disconnection_secs(_STOP_S)
        .with_delay_post_stop_secs(_STOP_S)
        .with_reconciliation(False)
        .add_data_client(None, data.factory, data.config)
        .build()
    )
