"""The node's supervisor: history and missing bars, new deployments, the kill switch, the heartbeat.

It runs inside the engine as an actor, on the engine's thread, beside the strategy that it serves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from nautilus_trader.common import DataActor
from nautilus_trader.model import Bar, BarType, InstrumentId

from trading_assets.core.candles import DECISION_BAR, DECISION_TIMEFRAME
from trading_assets.core.errors import NodeError
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.host import StrategyHost
from trading_assets.strategies.instruments import bar_type, close_time, exact
from trading_assets.strategies.orders.plans import ExitReason
from trading_assets.strategies.signals import ClosedBar
from trading_live.node.bar_requests import BarRequest, BarRequests
from trading_live.node.deployed_models import DeployedModels
from trading_live.node.engine import VenueUnreachable
from trading_live.node.instruments import InstrumentWatch
from trading_live.node.listening import SUBSCRIBE_EVERY, CatchUp, Listening, hold_steps
from trading_live.node.signals import LiveSignals
from trading_live.operations import kill_switch
from trading_live.operations.heartbeat import State

_LOG: Final = structlog.get_logger(__name__)
_EFFECTS: Final = {
    "none": "the bars held stay exact",
    "reload": "the bars held may be rounded: they are loaded again",
    "refuse": "nothing is decided there until the node is started again",
}
_PAGE: Final = 1000
_WATCH: Final = timedelta(seconds=0.5)
_CLOSE_S: Final = 90.0
"""Longer than a minute: after a restart the sandbox has no price, and takes no order, before the first bar."""


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
    """

    tell: Callable[[str, str], None]
    beat: Callable[[State], None]
    stop: Callable[[NodeError | None], None]


class Supervisor(DataActor):
    """Warms up, watches and stops.

    Parameters
    ----------
    live_dir
        Where the kill file appears.
    instruments
        Market -> the venue's instrument.
    signals
        Given the history, and told when missing bars are there.
    shelf
        Asked to follow the deployment manifest.
    hooks
        Ways out of the engine.
    feed
        Which markets' bars can be believed.
    poll
        How often the manifest is looked at.
    max_step_pct
        A lasting step of the price level within the look-back that is larger sets a market apart.
    replayed
        Whether bars carry historic times, so that the wall clock cannot tell a forming bar.
    reloads
        Whether the venue's adapter reads bars by the steps that it has loaded anew.
    close_only
        Whether to close what is open at once and then to stop: no history, no deployments.
    """

    def __new__(cls, *_: Any, **__: Any) -> Supervisor:
        """The engine's base class takes its own config at this point."""
        return super().__new__(cls)

    def __init__(
        self,
        live_dir: Path,
        instruments: Mapping[str, InstrumentId],
        signals: LiveSignals,
        shelf: DeployedModels,
        hooks: Hooks,
        feed: FeedQuarantine,
        *,
        poll: timedelta,
        max_step_pct: float,
        replayed: bool,
        reloads: bool,
        close_only: bool = False,
    ) -> None:
        super().__init__()
        self.strategy: StrategyHost | None = None
        self._live_dir = live_dir
        self._bars = {
            BarType.from_str(bar_type(str(iid), DECISION_TIMEFRAME)): market for market, iid in instruments.items()
        }
        self._bar_types = {market: kind for kind, market in self._bars.items()}
        self._instruments = dict(instruments)
        self._signals = signals
        self._shelf = shelf
        self._hooks = hooks
        self._feed = feed
        self._poll = poll
        self._max_step_pct = max_step_pct
        self._replayed = replayed
        self._close_only = close_only
        self._requests = BarRequests(self._send, time.monotonic)
        find = {market: partial(self._instrument, iid) for market, iid in instruments.items()}
        self._watched = InstrumentWatch(find, reloads=reloads)
        self._state: State = "starting"
        self._listening: Listening | None = None
        self._catch_up: CatchUp | None = None
        self._stopping = False
        self._halted = ""
        self._closing_since: float | None = None

    # -- the engine's handlers ------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Ask for history; watch from now on."""
        unknown = [str(iid) for iid in self._instruments.values() if self.cache.instrument(iid) is None]
        if unknown:
            self._fail(f"the venue does not have {', '.join(unknown)}", "check the markets of the deployed models")
            return
        self._set("warming up")
        if not self._close_only:
            for market in self._instruments:
                self._requests.ask(market, BarRequest())
            self.clock.set_timer("deployments", self._poll, callback=lambda _: self._follow())
        self.clock.set_timer("watch", _WATCH, callback=self._watch)
        self.clock.set_timer("heartbeat", timedelta(seconds=1), callback=lambda _: self._hooks.beat(self._state))

    def on_stop(self) -> None:
        """The last word."""
        self._set("stopped")

    def on_historical_bars(self, bars: Sequence[Bar]) -> None:
        """A page of the warm-up, or the bars that were missing."""
        try:
            for market in {self._bars[bar.bar_type] for bar in bars if bar.bar_type in self._bars}:
                self._take(market, [self._closed(bar) for bar in bars if self._bars.get(bar.bar_type) == market])
            if not bars and self._requests.underway is not None:
                self._take(self._requests.underway, [])
        except Exception as error:
            self._fail(f"history cannot be used: {type(error).__name__}: {error}", "see the log")

    def missing(self, market: str, since: datetime, until: datetime) -> None:
        """Ask for the bars that open in [since, until): the signals' way to close a gap."""
        count = int((until - since) / DECISION_BAR)
        self._hooks.tell("bars missing", f"{market}: {count} from {since:%Y-%m-%d %H:%M}")
        _LOG.warning("bars missing", market=market, count=count, since=since.isoformat())
        self._requests.ask(market, BarRequest(since, until))

    # -- history --------------------------------------------------------------------------------------------------

    def _send(self, market: str, request: BarRequest) -> None:
        kind = self._bar_types[market]
        if request.since is not None:
            self.request_bars(kind, start=request.since, end=request.until, limit=_PAGE)
        else:
            self.request_bars(kind, end=self._signals.histories[market].first, limit=_PAGE)

    def _take(self, market: str, bars: list[ClosedBar]) -> None:
        history = self._signals.histories[market]
        closed = sorted((bar for bar in bars if self._replayed or bar.known_at <= _now()), key=lambda bar: bar.ts)
        around = history.around(closed[0].ts, closed[-1].ts) if closed else (None, None)
        fresh = history.merge(self._feed.believe(closed, before=around[0], after=around[1]))
        request = self._requests.answered(market)
        if request is None:
            return
        if request.since is not None and request.until is not None:
            wanted = int((request.until - request.since) / DECISION_BAR)
            self._signals.go_on(market)
            rest = "" if fresh >= wanted else "; the venue has no others"
            self._hooks.tell("bars recovered", f"{market}: {fresh} of {wanted}{rest}")
            _LOG.info("bars recovered", market=market, fresh=fresh, wanted=wanted)
        elif fresh and history.height < history.rows:
            self._requests.ask(market, BarRequest())
        else:
            _LOG.info("history is there", market=market, bars=history.height, wanted=history.rows)
            self._signals.go_on(market)
        self._requests.go_on()
        if not self._requests and self._listening is None:
            self._listen()

    def _listen(self) -> None:
        assert self.strategy is not None
        short = {
            market: history.height
            for market, history in self._signals.histories.items()
            if history.height < history.rows
        }
        if short and self._closing_since is None:
            self._hooks.tell("history is short", ", ".join(f"{market}: {rows} bars" for market, rows in short.items()))
        if self._closing_since is None:
            self._set("trading")
        hold_steps(self._signals.histories.values(), self._feed, self._max_step_pct)
        held = self.strategy.open_trades
        first = sorted(self._instruments, key=lambda market: (market not in held, self._shelf.of(market) is None))
        self._listening = Listening(self.strategy, self._feed, first)
        timeframe = self.strategy.streams(first[0])[0][0]
        self._catch_up = CatchUp(self._signals.histories, self._feed, timeframe, self._signals.miss, time.monotonic)
        self._subscribe(None)

    def _subscribe(self, _: Any) -> None:
        assert self._listening is not None
        if self._listening.subscribe_next():
            self.clock.set_time_alert("subscribe", self.clock.utc_now() + SUBSCRIBE_EVERY, callback=self._subscribe)

    def _closed(self, bar: Bar) -> ClosedBar:
        known_at = close_time(bar.ts_event)
        prices = (exact(bar.open), exact(bar.high), exact(bar.low), exact(bar.close))
        return ClosedBar(
            self._bars[bar.bar_type], DECISION_TIMEFRAME, known_at - DECISION_BAR, known_at, *prices, exact(bar.volume)
        )

    # -- watching -------------------------------------------------------------------------------------------------

    def _watch(self, _: Any) -> None:
        try:
            if self._closing_since is None and (asked := self._closing_asked()) is not None:
                self._begin_closing(*asked)
            elif self._closing_since is not None:
                self._go_on_closing()
            if not self._stopping and (silent := self._requests.chase()) is not None:
                self._fail(f"the venue does not send the history of {silent}", "see data/logs", retry=True)
            self._report_halt()
            self._watch_feed()
            self._follow_instruments()
        except Exception as error:
            _LOG.exception("supervisor")
            self._fail(f"the supervisor failed: {type(error).__name__}: {error}", "see the log")

    def _watch_feed(self) -> None:
        self._feed.watch()
        if self._catch_up is not None and self._closing_since is None:
            self._catch_up.look()
        stepped = [history for market, history in self._signals.histories.items() if self._feed.is_held(market)]
        hold_steps(stepped, self._feed, self._max_step_pct)

    def _follow_instruments(self) -> None:
        for change in self._watched.changes():
            self._hooks.tell("instrument changed", f"{change.text}; {_EFFECTS[change.effect]}")
            _LOG.warning("instrument changed", change=change.text, effect=change.effect)
            if change.effect == "reload" and not self._close_only:
                self._signals.forget(change.market, f"{change.text}: its history is loaded again")
                self._requests.ask(change.market, BarRequest())
            elif change.effect == "refuse":
                self._signals.refuse(change.market, f"{change.text}: start the node again")

    def _instrument(self, iid: InstrumentId) -> Any | None:
        return self.cache.instrument(iid)

    def _report_halt(self) -> None:
        halted = self.strategy.halted if self.strategy is not None else None
        if halted is not None and halted != self._halted and self._closing_since is None:
            self._halted = halted
            self._hooks.tell("halted", halted)

    def _closing_asked(self) -> tuple[ExitReason, str] | None:
        """Why everything is to be closed now, and the words of whoever wants it."""
        if (switch := kill_switch.engaged(self._live_dir)) is not None:
            return "kill", switch.reason
        return ("close_only", "trading paper --close-only") if self._close_only else None

    def _begin_closing(self, reason: ExitReason, why: str) -> None:
        """Close what is open, whatever fails; the journal hears of it first, so that the next process would go on."""
        self._closing_since = time.monotonic()
        try:
            if self._listening is None:
                self._listen()  # no price, no fill
            self._hooks.tell(reason.replace("_", " "), why)
        finally:
            if self.strategy is not None:
                self.strategy.flatten(reason)
        self._set("closing")
        _LOG.warning("closing positions", reason=reason, why=why)
        self._go_on_closing()

    def _go_on_closing(self) -> None:
        assert self._closing_since is not None
        if self._stopping:
            return
        if self.strategy is None or self.strategy.is_flat():
            self._stopping = True
            self._hooks.stop(None)
            self._hooks.tell("flat", "all positions closed")
        elif time.monotonic() - self._closing_since > _CLOSE_S:
            self._fail(
                f"positions are still open after {_CLOSE_S:.0f} s: {', '.join(self.strategy.open_trades)}",
                "the venue sends no prices; start the node again after trading kill --reset to close them",
            )

    def _follow(self) -> None:
        try:
            self._shelf.refresh(wait=False)
        except Exception as error:
            _LOG.exception("deployments")
            self._hooks.tell("deployments unreadable", f"{type(error).__name__}: {error}")

    def _set(self, state: State) -> None:
        self._state = state
        self._hooks.beat(state)

    def _fail(self, what: str, remedy: str, *, retry: bool = False) -> None:
        """Stop the node; ``retry`` where another start may find the venue well again."""
        self._stopping = True
        self._hooks.stop((VenueUnreachable if retry else NodeError)(what, where="node", remedy=remedy))
        self._hooks.tell("failed", what)


def _now() -> datetime:
    return datetime.now(UTC)
