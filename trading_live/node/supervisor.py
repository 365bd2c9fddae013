"""The node's supervisor: history and missing bars, new deployments, the kill switch, the heartbeat.

It runs inside the engine as an actor, on the engine's thread, beside the strategy that it serves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog
from nautilus_trader.common import DataActor
from nautilus_trader.model import Bar, BarType, InstrumentId

from trading_assets.core.candles import timeframe_delta
from trading_assets.core.errors import NodeError
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.instruments import bar_type, close_time, exact
from trading_assets.strategies.signals import ClosedBar, Stream
from trading_live.node.auxiliary.series import AuxiliarySeries
from trading_live.node.bars.listening import SUBSCRIBE_EVERY, CatchUp, Listening, hold_steps
from trading_live.node.bars.requests import BarRequest
from trading_live.node.decisions.challengers import Challengers
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.signals import LiveSignals
from trading_live.node.engine import VenueUnreachable
from trading_live.node.garbage import Garbage
from trading_live.node.history_loader import HistoryLoader
from trading_live.node.instruments import Change, InstrumentWatch
from trading_live.node.shutdown import Shutdown
from trading_live.operations.heartbeat import State
from trading_live.operations.interrupts import take_back

_LOG: Final = structlog.get_logger(__name__)
_EFFECTS: Final = {
    "none": "the bars held stay exact",
    "reload": "the bars held may be rounded: they are loaded again",
    "refuse": "nothing is decided there until the node is started again",
}
_PAGE: Final = 1000
_FORMING: Final = 2
"""So many bars of an answer may be of no use: one that is still open, and one that is there already."""
_WATCH: Final = timedelta(seconds=0.5)
_BETWEEN: Final = timedelta(seconds=1.5)
"""Heartbeats come in the middle of a second: a venue's bars end with one, and come soon after."""

_LOOK: Final = timedelta(milliseconds=20)
"""How often the folder is looked at for a kill or a pause: a look costs microseconds, and a kill is not to wait."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the supervisor tells the process that it runs in.

    Attributes
    ----------
    tell
        (event, detail) into the node's journal.
    beat
        Writes the heartbeat for a state.
    stop
        Stops the node; a text is the reason of a failure.
    alive
        Says that the engine's thread is at work, until the engine ends: also while all is being closed.
    look
        Sees to the protections.
    settled
        Whether the account has been compared, and nothing is left to be done there.
    """

    tell: Callable[[str, str], None]
    beat: Callable[[State], None]
    stop: Callable[[NodeError | None], None]
    alive: Callable[[], None]
    look: Callable[[], None]
    settled: Callable[[], bool]


class Supervisor(DataActor):
    """Warms up, watches and stops.

    Parameters
    ----------
    instruments
        Market -> the venue's instrument.
    strategy
        Told to listen, halted and closed.
    signals
        Which markets wait for bars, and for what.
    loader
        Asks for history and missing bars; the supervisor sends its requests.
    models, challengers
        Asked to follow the deployment manifest.
    feed
        Which markets' bars can be believed.
    shutdown
        Says when to close everything.
    hooks
        Ways out of the engine.
    auxiliary
        Begun at the start, waited for and told to listen.
    poll
        How often the manifest is looked at.
    max_step_pct
        A lasting step of the price level within the look-back that is larger sets a market apart.
    reloads
        Whether the venue's adapter reads bars by the steps that it has loaded anew.
    """

    def __new__(cls, *_: Any, **__: Any) -> Supervisor:
        """The engine's base class takes its own config at this point."""
        return super().__new__(cls)

    def __init__(
        self,
        instruments: Mapping[str, InstrumentId],
        strategy: StrategyHost,
        signals: LiveSignals,
        loader: HistoryLoader,
        models: DeployedModels,
        challengers: Challengers,
        feed: FeedQuarantine,
        shutdown: Shutdown,
        hooks: Hooks,
        auxiliary: AuxiliarySeries,
        *,
        poll: timedelta,
        max_step_pct: float,
        reloads: bool,
    ) -> None:
        super().__init__()
        self._instruments = dict(instruments)
        self._bar_types = {
            stream: BarType.from_str(bar_type(str(instruments[stream.market]), stream.timeframe))
            for stream in signals.histories
        }
        self._streams = {kind: stream for stream, kind in self._bar_types.items()}
        self._strategy = strategy
        self._signals = signals
        self._loader = loader
        self._models = models
        self._challengers = challengers
        self._feed = feed
        self._shutdown = shutdown
        self._hooks = hooks
        self._auxiliary = auxiliary
        self._poll = poll
        self._max_step_pct = max_step_pct
        find = {market: partial(self._instrument, iid) for market, iid in instruments.items()}
        self._watched = InstrumentWatch(find, reloads=reloads)
        self._state: State = "starting"
        self._listening: Listening | None = None
        self._catch_up: CatchUp | None = None
        self._stopping = False
        self._halted = ""
        self._names = ", ".join(map(str, instruments.values()))
        self._garbage = Garbage()
        loader.serve(signals, self._send)

    # -- the engine's handlers ------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Ask for history; watch from now on."""
        absent = [market for market, iid in self._instruments.items() if self._instrument(iid) is None]
        if len(absent) == len(self._instruments) and not self._strategy.asks_account:
            self._fail_without_markets()
            return
        for market in absent:
            self._leave_out(market)
        self._set("warming up")
        if not self._shutdown.close_only:
            self._loader.warm_up(one for one in self._signals.histories if one.market in self._instruments)
            self._auxiliary.begin()
            self.clock.set_timer("deployments", self._poll, callback=lambda _: self._follow())
        self.clock.set_timer("watch", _WATCH, callback=self._watch)
        self.clock.set_timer("look", _LOOK, callback=self._look)
        half = self.clock.utc_now().replace(microsecond=0) + _BETWEEN
        self.clock.set_timer("heartbeat", timedelta(seconds=1), start_time=half, callback=self._beat)

    def on_stop(self) -> None:
        """The last word."""
        self._set("stopped")

    def on_historical_bars(self, bars: Sequence[Bar]) -> None:
        """A page of the warm-up, or the bars that were missing."""
        try:
            for stream in {self._streams[bar.bar_type] for bar in bars if bar.bar_type in self._streams}:
                mine = [self._closed(bar) for bar in bars if self._streams.get(bar.bar_type) == stream]
                self._loader.take(stream, mine)
            if not bars:
                self._loader.take(None, [])
            self._listen_if_warm()
        except Exception as error:
            self._fail(f"history cannot be used: {type(error).__name__}: {error}", "see the log")

    # -- history --------------------------------------------------------------------------------------------------

    def _leave_out(self, market: str) -> None:
        """Go on without a market that the engine does not know; a trade open there is left to the account."""
        why = f"the venue does not have {self._instruments.pop(market)}"
        if (said := self._signals.refused.get(market)) is not None:
            why = f"{why}: {said}"
        self._signals.refuse(market, why)
        left = market in self._strategy.open_trades
        rest = "is minded through the account" if self._strategy.asks_account else "stays as it is"
        rest = f"; the trade that the journal holds open there {rest}" if left else ""
        self._hooks.tell("market missing", f"{market}: {why}{rest}")
        _LOG.warning("market missing", market=market, why=why, open_trade=left)

    def _send(self, stream: Stream, request: BarRequest) -> None:
        kind = self._bar_types[stream]
        if request.since is not None:
            self.request_bars(kind, start=request.since, end=request.until, limit=_PAGE)
        else:
            history = self._signals.histories[stream]
            lacking = history.rows - history.height + _FORMING
            self.request_bars(kind, end=history.first, limit=min(lacking, _PAGE))

    def _listen_if_warm(self) -> None:
        """Listen once no history is waited for: all came, or was refused."""
        warm = self._state == "warming up" and not self._loader and not self._shutdown.close_only
        if warm and self._listening is None and not self._stopping and self._auxiliary.settled:
            self._auxiliary.listen()
            self._listen()

    def _listen(self) -> None:
        signals = self._signals
        histories = {stream: one for stream, one in signals.histories.items() if stream.market in self._instruments}
        short = {stream: one.height for stream, one in histories.items() if one.height < signals.bars_needed(stream)}
        if not self._shutdown.begun:
            if short:
                text = ", ".join(f"{one.market}: {rows} bars of {one.timeframe}" for one, rows in short.items())
                self._hooks.tell("history is short", text)
            self._set("trading")
        hold_steps(histories.values(), self._feed, self._max_step_pct)
        if not self._instruments:
            return
        held = self._strategy.open_trades
        first = sorted(self._instruments, key=lambda market: (market not in held, not self._models.trades(market)))
        self._listening = Listening(self._strategy, self._feed, first)
        timeframe = self._strategy.streams(first[0])[0][0]
        self._catch_up = CatchUp(histories, self._feed, timeframe, self._signals.miss, time.monotonic)
        self._subscribe(None)

    def _subscribe(self, _: Any) -> None:
        assert self._listening is not None
        if self._listening.subscribe_next():
            self.clock.set_time_alert("subscribe", self.clock.utc_now() + SUBSCRIBE_EVERY, callback=self._subscribe)

    def _closed(self, bar: Bar) -> ClosedBar:
        known_at = close_time(bar.ts_event)
        prices = (exact(bar.open), exact(bar.high), exact(bar.low), exact(bar.close))
        market, timeframe = self._streams[bar.bar_type]
        return ClosedBar(market, timeframe, known_at - timeframe_delta(timeframe), known_at, *prices, exact(bar.volume))

    def _instrument(self, iid: InstrumentId) -> Any | None:
        return self.cache.instrument(iid)

    # -- watching -------------------------------------------------------------------------------------------------

    def _look(self, _: Any) -> None:
        try:
            self._watch_shutdown()
            if not self._shutdown.begun:
                self._hooks.look()
        except Exception as error:
            _LOG.exception("supervisor")
            self._fail(f"the supervisor failed: {type(error).__name__}: {error}", "see the log")

    def _watch(self, _: Any) -> None:
        try:
            if not self._stopping and (silent := self._loader.chase()) is not None:
                self._fail(f"the venue does not send the history of {silent.market}", "see data/logs", retry=True)
            self._listen_if_warm()
            self._end_without_markets()
            self._auxiliary.look()
            self._report_halt()
            self._watch_feed()
            for change in self._watched.changes():
                self._follow_instrument(change)
        except Exception as error:
            _LOG.exception("supervisor")
            self._fail(f"the supervisor failed: {type(error).__name__}: {error}", "see the log")

    def _beat(self, _: Any) -> None:
        take_back()
        self._hooks.alive()
        self._hooks.beat(self._state)
        self._garbage.look()

    def _watch_shutdown(self) -> None:
        if (asked := self._shutdown.asked()) is not None:
            self._shutdown.begin(*asked, self._listen_for_prices)
            self._set("closing")
        if not self._shutdown.begun or self._stopping:
            return
        if self._shutdown.is_done():
            self._stopping = True
            self._hooks.stop(None)
            self._hooks.tell("flat", "all positions closed")
        elif (overdue := self._shutdown.overdue()) is not None:
            remedy = "the venue sends no prices; start the node again after trading kill --reset to close them"
            self._fail(overdue, remedy)

    def _listen_for_prices(self) -> None:
        if self._listening is None:
            self._listen()

    def _watch_feed(self) -> None:
        self._feed.watch()
        if self._catch_up is not None and not self._shutdown.begun:
            self._catch_up.look()
        every = self._signals.histories.items()
        stepped = [history for stream, history in every if self._feed.is_held(stream.market)]
        hold_steps(stepped, self._feed, self._max_step_pct)

    def _follow_instrument(self, change: Change) -> None:
        self._hooks.tell("instrument changed", f"{change.text}; {_EFFECTS[change.effect]}")
        _LOG.warning("instrument changed", change=change.text, effect=change.effect)
        if change.effect == "reload" and not self._shutdown.close_only:
            self._loader.load_again(change.market, f"{change.text}: its history is loaded again")
        elif change.effect == "refuse":
            self._signals.refuse(change.market, f"{change.text}: start the node again")

    def _report_halt(self) -> None:
        halted = self._strategy.halted
        if halted is not None and halted != self._halted and not self._shutdown.begun:
            self._halted = halted
            self._hooks.tell("halted", halted)

    def _follow(self) -> None:
        try:
            self._models.refresh(wait=False)
            self._challengers.refresh()
        except Exception as error:
            _LOG.exception("deployments")
            self._hooks.tell("deployments unreadable", f"{type(error).__name__}: {error}")

    def _set(self, state: State) -> None:
        self._state = state
        self._hooks.beat(state)

    def _end_without_markets(self) -> None:
        """End where the engine knows no market, once the account has nothing of ours there."""
        over = not (self._instruments or self._stopping or self._shutdown.begun or self._strategy.open_trades)
        if over and self._hooks.settled():
            self._fail_without_markets()

    def _fail_without_markets(self) -> None:
        self._fail(f"the venue does not have {self._names}", "check the markets of the deployed models")

    def _fail(self, what: str, remedy: str, *, retry: bool = False) -> None:
        """Stop the node; ``retry`` where another start may find the venue well again."""
        self._stopping = True
        self._hooks.stop((VenueUnreachable if retry else NodeError)(what, where="node", remedy=remedy))
        self._hooks.tell("failed", what)
