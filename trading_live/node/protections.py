"""The protections in the node: restored from the journal, told what the node measures, asked by people, obeyed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from nautilus_trader.model import InstrumentId

from trading_assets.core.candles import Market
from trading_assets.journal import BufferedJournal, session_events
from trading_assets.registry.facts import read_facts
from trading_assets.settings import Settings
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.protections import (
    NODE,
    Protections,
    Scope,
    State,
    change_of,
    market_scope,
    triggers_of,
)
from trading_assets.strategies.protections.account import MARKS
from trading_assets.strategies.protections.changes import KIND
from trading_live.node.venue_watch import VenueWatch
from trading_live.operations import pauses

_LOG: Final = structlog.get_logger(__name__)
_EVERY_S: Final = 1.0
_NEWEST: Final = 500
"""Orders and signals that are read again after a restart: more than ten minutes of them only matter in a runaway."""

type Events = Sequence[tuple[str, dict[str, Any]]]

type Measures = Callable[[], Iterable[tuple[str, str, float | None]]]
"""What is measured now: (cause, market, value); None where it is not known any more."""


class HeardBuffer:
    """The node's journal, as its strategy writes it: the protections hear what it takes.

    Parameters
    ----------
    journal
        Takes the events.
    hear
        Told of them.
    """

    def __init__(self, journal: BufferedJournal, hear: Callable[[Events], None]) -> None:
        self._journal = journal
        self._hear = hear

    def record_all(self, events: Events) -> list[int]:
        """Write events as one; they are on disk when this returns."""
        done = self._journal.record_all(events)
        self._hear(events)
        return done

    def keep_all(self, events: Events) -> None:
        """Write events as one, or keep them in memory until there is room."""
        self._journal.keep_all(events)
        self._hear(events)

    def put(self, events: Events) -> None:
        """Keep events in memory; the next write brings them to disk first."""
        self._journal.put(events)
        self._hear(events)

    def flush(self) -> bool:
        """Write what waits."""
        return self._journal.flush()


class NodeProtections:
    """Holds the node's trading back: one for each engine, of the state that the journal has.

    Parameters
    ----------
    settings
        Limits; where requests and facts appear; the balance of an account that no venue keeps.
    journal
        Restored from, and told of each change.
    tell
        (event, detail): into the node's journal, of each change in words.
    feed
        Which markets are silent.
    market_time
        Of a replay before its first bar; None where this machine's clock is the market's.
    historic
        Whether bars carry times of the past: then nothing is measured by this machine's clock.
    monotonic
        Seconds that only grow.

    Attributes
    ----------
    protections
        The state machine.
    counts
        How many requests others have failed to have answered so far, beside the venue's watch.
    """

    def __init__(
        self,
        settings: Settings,
        journal: BufferedJournal,
        tell: Callable[[str, str], None],
        feed: FeedQuarantine,
        *,
        market_time: datetime | None,
        historic: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        triggers = dict(triggers_of(settings.trading.protections))
        if historic:
            triggers.pop("venue_latency_s", None)
        balance = settings.node.starting_balance if settings.node.mode != "live" else None
        self.protections = Protections(triggers, equity=balance, keep=self._keep)
        self._settings = settings
        self._folder: Path = settings.live_dir
        self._historic = historic
        self._watch: VenueWatch | None = None
        self._failures = 0
        self.counts: list[Callable[[], int]] = []
        self._journal = journal
        self._tell = tell
        self._feed = feed
        self._market_time = market_time
        self._monotonic = monotonic
        self._strategy: StrategyHost | None = None
        self._instruments: Mapping[str, InstrumentId] = {}
        self._measures: Measures = lambda: ()
        self._looked_s = -_EVERY_S
        self._seen = -1
        self._taken: set[str] = set()
        self._facts: set[tuple[str, Scope]] = set()
        every = session_events(journal.path, ("positions", KIND))
        every += session_events(journal.path, ("orders", "signals"), newest=_NEWEST)
        self.protections.hear(sorted(every, key=lambda one: int(one[1]["seq"])))
        self._tell_facts()
        self.take_requests()

    @property
    def now(self) -> datetime:
        """The market's time."""
        if self._market_time is None:
            return datetime.now(UTC)
        newest = self._strategy.now if self._strategy is not None else None
        return newest or self._market_time

    def heard(self, journal: BufferedJournal) -> HeardBuffer:
        """The journal, for what the protections are to hear of."""
        return HeardBuffer(journal, self.protections.hear)

    def follow(
        self, strategy: StrategyHost, instruments: Mapping[str, InstrumentId], measures: Measures | None = None
    ) -> None:
        """Close this strategy's trades where something is halted; where orders are real, watch their venue.

        Parameters
        ----------
        strategy, instruments
            What is traded.
        measures
            What else is measured of markets: the spread of the book, the newest funding payment.
        """
        self._strategy, self._instruments = strategy, instruments
        self._measures = measures or self._measures
        settings = self._settings
        if settings.node.mode == "live":
            from trading_live.venues.account.open import account_of

            markets = list(instruments)
            limit = settings.trading.protections.cancel_after_s
            self._watch = VenueWatch(account_of(settings, markets), markets, cancel_after_s=limit)
            self._watch.start()

    def close(self) -> None:
        """Leave the venue as it is to be while no node runs: call it when the engine has ended."""
        if self._watch is not None:
            self._watch.close()
            self._tell_venue(self._watch)

    def alive(self) -> None:
        """Say that the engine's thread is at work: what rests at the venue is not to be canceled. Once a second."""
        if self._watch is not None:
            self._watch.alive()

    def look(self) -> None:
        """Take what people ask for, at once; once a second measure. Call it often, on the engine's thread."""
        asked = pauses.changed_ns(self._folder) != self._seen
        at = self._monotonic()
        if not asked and at - self._looked_s < _EVERY_S:
            return
        self._looked_s = at
        self.take_requests()
        self._measure()
        closes = self.protections.look(self.now)
        if closes and self._strategy is not None:
            self._strategy.close_halted()

    def take_requests(self) -> None:
        """Do what people asked for, in the order of their asking; what cannot be journalled yet waits."""
        self._seen = pauses.changed_ns(self._folder)
        if not self._seen:
            return
        found, unreadable = pauses.waiting(self._folder)
        for name in unreadable:
            self._tell("request unreadable", f"{name}: set aside, nothing is done")
        for one in found:
            if one.name not in self._taken:
                self._do(one.name, one.request)
                self._taken.add(one.name)
            if self._journal.flush():  # else its file stays, so that a process that dies now leaves it to the next
                pauses.done(self._folder, one.name)
                self._taken.discard(one.name)
        self._seen = -1 if self._taken else pauses.changed_ns(self._folder)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _do(self, name: str, asked: pauses.Request) -> None:
        if asked.verb == "pause":
            state = State.HALTED if asked.flatten else State.REDUCING
            until = None if asked.for_s is None else self.now + timedelta(seconds=asked.for_s)
            self.protections.pause(self.now, asked.scope, state, until=until, request=name)
        else:
            self.protections.resume(self.now, asked.scope, request=name)
        self._tell(asked.verb, f"{asked.scope}: {asked.reason or f'trading {asked.verb}'}")

    def _measure(self) -> None:
        """Tell the protections what the node knows beside bars and orders."""
        for market, seconds in self._feed.overdue_s().items():
            self.protections.tell("stale_data_s", market_scope(market), seconds)
        for cause, market, measured in self._measures():
            self.protections.tell(cause, market_scope(market), measured)
        self._tell_facts()
        if (watch := self._watch) is not None:
            self._tell_venue(watch)
            if not self._historic:
                self.protections.tell("clock_skew_s", NODE, watch.skew_s)
            failures = watch.failures + sum(count() for count in self.counts)
            for _ in range(failures - self._failures):
                self.protections.failed(self.now)
            self._failures = failures
        if (equity := self._equity()) is not None:
            self.protections.begin(self.now, equity)

    def _tell_facts(self) -> None:
        """Tell the protections what others have measured."""
        told = {
            (cause, Scope(kind, name)): value  # type: ignore[arg-type]
            for cause, values in read_facts(self._folder).items()
            for (kind, name), value in values.items()
        }
        for key in self._facts - told.keys():
            self.protections.tell(*key, None)
        for key, value in told.items():
            self.protections.tell(*key, value, of_the_past=True)
        self._facts = set(told)

    def _tell_venue(self, watch: VenueWatch) -> None:
        """Journal what the watching thread has to say: the journal is the engine's thread's."""
        while watch.said:
            self._tell("cancel after", watch.said.popleft())

    def _equity(self) -> float | None:
        """What the engine says that the account is worth, in the markets' quote currencies; None before it knows."""
        if self._strategy is None or not self._strategy.is_running():
            return None
        quotes = {Market.parse(market).quote for market in self._instruments}
        amounts = [amount for code, amount in self._strategy.equity().items() if code in quotes]
        return sum(amounts) or None  # an account that the engine has not heard of yet is worth nothing

    def _keep(self, rows: Events) -> None:
        """Journal what changes, a person's request under its own name, so that it is there once."""
        self._journal.keep_all([(kind, {**row, **_event_id(row)}) for kind, row in rows])
        for change in (change_of(row) for _, row in rows if row["cause"] not in MARKS):
            _LOG.warning("protection", state=change.state.word, what=str(change))
            self._tell(f"protection {change.state.word}", str(change))


def _event_id(row: Mapping[str, Any]) -> dict[str, str]:
    if not row["request"]:
        return {}
    return {"event_id": f"{row['request']}:{row['scope_kind']}:{row['scope']}:{row['cause']}"}
