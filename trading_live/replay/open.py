"""From the settings to a running local exchange."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from trading_assets.core.errors import MissingCandles, SettingsError
from trading_assets.settings import Settings
from trading_assets.settings.names import instead
from trading_assets.store import configured_store
from trading_assets.store.tables import CANDLES
from trading_live.operations.interrupts import ends_quietly
from trading_live.replay.faults import Faults
from trading_live.replay.orders.opening import terms_of
from trading_live.replay.player import Progress
from trading_live.replay.server import ReplayServer
from trading_live.replay.tape import read_tape

_LISTEN_S: Final = 0.5


def open_replay(
    settings: Settings,
    *,
    markets: Sequence[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    speed: float | None = None,
    port: int | None = None,
    hold: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
    faults: Faults | None = None,
) -> ReplayServer:
    """Read the candles and make a server of them; :meth:`ReplayServer.start` or ``with`` starts it.

    Parameters
    ----------
    settings
        Store, markets and the ``replay`` section.
    markets
        Which markets; all of the settings by default.
    start, end
        The replayed window; by default the last three days that are stored of the first market.
    speed, port
        Instead of the settings' values.
    hold
        Whether the clock waits for the first subscription.
    on_progress
        Told how far the replay is.
    faults
        What goes wrong with its REST answers.

    Raises
    ------
    SettingsError
        For an unknown market or an empty range.
    MissingCandles
        If there is nothing to replay.
    """
    wanted = list(markets or settings.markets)
    for market in wanted:
        if market not in settings.markets:
            raise SettingsError(f"no market {market!r}", where="markets", remedy=instead(market, settings.markets))
    if start is not None and end is not None and end <= start:
        raise SettingsError(f"the replay is empty: end {end} is not after start {start}", where="replay")
    store = configured_store(settings)
    timeframes = {market: settings.markets[market].timeframe for market in wanted}
    if start is None:
        first = wanted[0]
        newest = store.tail(
            CANDLES,
            where={"market": first, "timeframe": timeframes[first]},
            before=end or datetime.max.replace(tzinfo=settings.history_start.tzinfo),
            rows=1,
        )
        if newest.is_empty():
            raise MissingCandles("no candles to replay", where=first, remedy="run trading backfill")
        start = newest["ts"].item() - timedelta(days=3)
    tape = read_tape(store, timeframes, start=start, end=end)
    return ReplayServer(
        tape,
        host=settings.replay.host,
        port=settings.replay.port if port is None else port,
        speed=speed or settings.replay.speed,
        hold=hold,
        on_progress=on_progress,
        faults=faults,
        terms=terms_of(settings),
    )


def serve(server: ReplayServer, *, until_finished: bool = False) -> None:
    """Serve until interrupted (SIGINT, SIGTERM), or until the last bar was sent."""
    with ends_quietly(), server:
        while not server.wait(_LISTEN_S):  # Polars restarts a wait without end that SIGINT interrupts
            pass
        while not until_finished and server.running:
            server.join(_LISTEN_S)
