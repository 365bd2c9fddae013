"""The protections of one account: told the journal's events and bars, asked before entries. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Protocol

from trading_assets.strategies.protections import machine
from trading_assets.strategies.protections.account import MARKS, START, AccountMeter, mark_row, model_of
from trading_assets.strategies.protections.changes import KIND, Change, change_of, row_of
from trading_assets.strategies.protections.facts import Facts, Reading
from trading_assets.strategies.protections.machine import Held, Verdict
from trading_assets.strategies.protections.rates import RateMeter
from trading_assets.strategies.protections.states import Scope, State, market_scope
from trading_assets.strategies.protections.triggers import Trigger
from trading_assets.strategies.signals import ClosedBar, Journal, Signal

FundingBps = Callable[[str, datetime], float | None]
"""(market, time) -> the newest payment's rate in basis points; None where there was none."""

type Events = Sequence[tuple[str, Mapping[str, Any]]]

_ACCOUNT: Final = frozenset({"daily_loss_pct", "drawdown_pct"})
_BY_PRICE: Final = _ACCOUNT | {"funding_bps"}
"""What another bar of the same moment may change."""


class Trade(Protocol):
    """What is asked of an open trade."""

    @property
    def market(self) -> str: ...  # noqa: D102
    @property
    def signal_id(self) -> str: ...  # noqa: D102


class Protections:
    """Measures, holds back, and says so.

    Parameters
    ----------
    triggers
        Cause -> its limit.
    equity
        Of the account before the first trade, in quote currency; None where :meth:`begin` will say it.
    keep
        Takes the changes, as events of the journal, which nobody else tells to :meth:`hear`.
    funding_bps
        Asked on each bar about the newest payment, where :meth:`tell` is not told.
    """

    def __init__(
        self,
        triggers: Mapping[str, Trigger],
        *,
        equity: float | None,
        keep: Callable[[list[tuple[str, dict[str, Any]]]], object],
        funding_bps: FundingBps | None = None,
    ) -> None:
        self.held: Held = {}
        self._triggers = triggers
        self._account = AccountMeter(equity)
        self._rates = RateMeter()
        self._told: dict[tuple[str, Scope], Reading] = {}
        self._accepted: dict[tuple[str, Scope], float | None] = {}
        self._keep = keep
        self._by_price = not _BY_PRICE.isdisjoint(triggers)
        self._looked: datetime | None = None
        self._funding_bps = funding_bps if "funding_bps" in triggers else None

    # -- asked ----------------------------------------------------------------------------------------------------

    def verdict(self, *, model: str = "", market: str = "") -> Verdict:
        """What is allowed of a model on a market."""
        return machine.verdict(self.held, model=model, market=market)

    def refusal(self, signal: Signal) -> str | None:
        """Why nothing is entered on a signal; None where it may be."""
        if not self.held:
            return None
        found = self.verdict(model=signal.model, market=signal.market)
        return None if found.state is State.RUNNING else found.cause

    def closes(self, trade: Trade) -> bool:
        """Whether an open trade is to be closed."""
        if not self.held:
            return False
        model = model_of(trade.signal_id, trade.market)
        return self.verdict(model=model, market=trade.market).state is State.HALTED

    @property
    def halts(self) -> bool:
        """Whether anything is HALTED."""
        return any(one.state is State.HALTED for one in self.held.values())

    # -- told -----------------------------------------------------------------------------------------------------

    def hear(self, events: Events) -> None:
        """Take in events that the journal has, in the order of writing; also to restore what an earlier process had."""
        for kind, row in events:
            self._account.hear(kind, row)
            self._rates.hear(kind, row)
            if kind == KIND and row["cause"] not in MARKS:
                change = change_of(row)
                self.held = machine.held_after(self.held, [change])
                if change.state is State.RUNNING:
                    self._rates.forget(change.cause, change.scope)
                    if change.reset_by == "person":
                        self._accepted[change.cause, change.scope] = change.value

    def tell(self, cause: str, scope: Scope, value: float | None, *, of_the_past: bool = False) -> None:
        """Take a measured value; it stands until the next one. None: it is not known any more.

        What is of the past, as a day's divergence, does not change by waiting: one that a person has accepted with a
        resume counts no more, until another value is told.
        """
        if value is None or (of_the_past and value == self._accepted.get((cause, scope))):
            self._told.pop((cause, scope), None)
        else:
            self._told[cause, scope] = Reading(cause, scope, value)

    def begin(self, now: datetime, equity: float) -> None:
        """Take what the account is worth now, open trades included, unless it was told before."""
        if self._account.start is None:
            self._record([(KIND, mark_row(now, START, equity - self._account.result))])

    def failed(self, now: datetime) -> None:
        """Count a request that the venue failed to answer."""
        self._rates.failed(now)

    def on_bar(self, bar: ClosedBar) -> bool:
        """Take a market's newest close, then look; whether anything is to be closed."""
        self._account.mark(bar.market, bar.close)
        if self._funding_bps is not None:
            paid = self._funding_bps(bar.market, bar.known_at)
            self.tell("funding_bps", market_scope(bar.market), None if paid is None else abs(paid))
        if bar.known_at == self._looked and not self._by_price:  # of forty bars that end together, one is enough
            return bool(self.held) and self.halts
        return self.look(bar.known_at)

    def look(self, now: datetime) -> bool:
        """Hold everything against its limit, and journal what changes; whether anything is to be closed."""
        self._looked = now
        if not _ACCOUNT.isdisjoint(self._triggers):
            self._record([(KIND, row) for row in self._account.marks(now)])
        readings = [*self._account.readings(now), *self._rates.readings(now), *self._told.values()]
        self._take(machine.step(self.held, Facts(now, tuple(readings)), self._triggers))
        return bool(self.held) and self.halts

    def pause(self, now: datetime, scope: Scope, state: State, *, until: datetime | None, request: str) -> list[Change]:
        """Hold a scope back, as a person wants."""
        return self._take(machine.pause(self.held, now, scope, state, until=until, request=request))

    def resume(self, now: datetime, scope: Scope, *, request: str) -> list[Change]:
        """Let a scope go on, as a person wants."""
        ended = machine.resume(self.held, now, scope, request=request)
        newest = {key: one.value for key, one in self._told.items()}
        return self._take([replace(one, value=newest.get((one.cause, one.scope), one.value)) for one in ended])

    def _take(self, changes: list[Change]) -> list[Change]:
        self._record([(KIND, row_of(change)) for change in changes])
        return changes

    def _record(self, rows: list[tuple[str, dict[str, Any]]]) -> None:
        if rows:
            self._keep(rows)
            self.hear(rows)


class HeardJournal:
    """A journal whose events the protections hear, once it has them.

    Parameters
    ----------
    journal
        Takes the events.
    hear
        Told of them.
    """

    def __init__(self, journal: Journal, hear: Callable[[Events], None]) -> None:
        self._journal = journal
        self._hear = hear

    def record_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> object:
        """Write events as one; raises where they cannot be written, and nobody heard of them."""
        done = self._journal.record_all(events)
        self._hear(events)
        return done

    def keep_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> object:
        """Take what has been done or has happened."""
        done = self._journal.keep_all(events)
        self._hear(events)
        return done
