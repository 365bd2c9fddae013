"""While the node runs, journal, engine and venue are compared every minute, off the engine's thread.

A thread of its own asks the account and compares; what the engine holds, and what is written and told, pass through
:meth:`Reconciler.turn`, which the engine's thread calls with each heartbeat.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import structlog

from trading_assets.core.candles import Market
from trading_assets.core.errors import NodeError
from trading_assets.journal import BufferedJournal, find_events, read_state
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.orders.plans import ExitReason
from trading_live.execution.asking import ask, is_spot, journalled_fills
from trading_live.execution.at_venue_recovery import ended_by, with_rows
from trading_live.execution.coin_prices import UNVALUED, CoinPrices
from trading_live.execution.comparison import compare, unminded
from trading_live.execution.differences import Difference
from trading_live.execution.fees import FeesInDoubt
from trading_live.execution.recovery import newest_plans
from trading_live.execution.settlement import Rows, settled, unwritten_order
from trading_live.execution.statement import Statement
from trading_live.execution.views import EngineSays, JournalSays, VenueSays
from trading_live.node.refused_orders import RefusedOrders
from trading_live.venues.account.contract import Account, VenueError

_LOG: Final = structlog.get_logger(__name__)
SETTLE_S: Final = 2.0
"""Between two looks at a difference: what was on its way has arrived by then."""

AGAIN_S: Final = 5.0
"""After a difference: the next look, by which a stop is lifted."""

BEHIND_S: Final = 60.0
"""So long the engine may take to hear by its own checks what the venue has; then the journal says it without."""

ENGINE_S: Final = 30.0
_BREATH_S: Final = 0.2
_GOODBYE_S: Final = 5.0

MOST_FAILURES: Final = 2
"""Looks in a row that the venue did not answer: from then on nothing is entered."""

ACCOUNT: Final = "account"
"""Where a difference is of no market."""

DIFFERS: Final = "account differs"
AGREES: Final = "account agrees"
UNANSWERED: Final = "account not compared"
"""Node events."""


Conclude = Callable[[str, ExitReason], None]
Filled = Callable[[str, float, float], None]
Query = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Look:
    """What one comparison found.

    Attributes
    ----------
    differences
        That were there twice.
    rows
        For the journal.
    failure
        Why the account could not be asked; empty where it could.
    concluded
        Market -> why its trade is over.
    """

    differences: Sequence[Difference] = ()
    rows: Rows = field(default_factory=list)
    failure: str = ""
    concluded: Mapping[str, ExitReason] = field(default_factory=dict)


class Reconciler:
    """Compares, stops entries where something differs, settles it by its rule, and lets go when all agree again.

    Parameters
    ----------
    account
        At the venue.
    markets
        That the node trades.
    ids
        Whose an order is.
    journal
        Written on the engine's thread, read from its file on the own one.
    tell, warn
        (event, detail): into the journal, and as a warning.
    every_s
        From one look to the next while nothing differs.
    settle_s, again_s
        Between the two looks of one, and to the next where something differed.
    behind_s
        So long what the engine has still to hear is left to it.
    adopts
        Whether only this node trades the account.

    Attributes
    ----------
    differences
        Market, or :data:`ACCOUNT`, -> how many the newest look that was answered found.
    compared_at
        The monotonic second at which that was; before the first, of the beginning.
    failures
        Requests that the venue did not answer, or refused for now.
    """

    def __init__(
        self,
        account: Account,
        markets: Sequence[str],
        ids: OrderIds,
        journal: BufferedJournal,
        *,
        tell: Callable[[str, str], None],
        warn: Callable[[str, str], None],
        every_s: float,
        settle_s: float = SETTLE_S,
        again_s: float = AGAIN_S,
        behind_s: float = BEHIND_S,
        adopts: bool = False,
    ) -> None:
        self.looks = 0
        self.last_s: float | None = None
        self.differences: Mapping[str, int] = dict.fromkeys(markets, 0)
        self.compared_at = time.monotonic()
        self.failures = 0
        self._account = account
        self._markets = list(markets)
        self._ids = ids
        self._journal = journal
        self._tell, self._warn = tell, warn
        self._every_s, self._settle_s, self._again_s = every_s, settle_s, again_s
        self._behind_s = behind_s
        self._lasting: dict[tuple[str, str, str], float] = {}
        self._statement = Statement(account, journal.path)
        self.prices = CoinPrices()
        self._wanted = threading.Event()
        self._begun = threading.Event()
        self._poke = threading.Event()
        self._ended = threading.Event()
        self._engine: queue.SimpleQueue[EngineSays] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[Look] = queue.SimpleQueue()
        self._entries: queue.SimpleQueue[tuple[str, float, float]] = queue.SimpleQueue()
        self._hurried: frozenset[str] = frozenset()
        self._fees = FeesInDoubt()
        self._unheard: set[str] = set()
        self._refused = RefusedOrders(account)
        self._stopped: Mapping[str, str] = {}
        self._told: dict[tuple[str, str, str], str] = {}
        self._unanswered = 0
        self._failing = ""
        self._rival = ""
        self._adopts = adopts
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def __enter__(self) -> Reconciler:
        """Journal where the account stands before the engine starts; compare from its first heartbeat on."""
        try:
            self._journal.keep_all(self._statement.news()[0])
            self.prices.begin(self._account, {Market.parse(market).quote for market in self._markets})
        except VenueError as error:
            self._warn(UNANSWERED, str(error))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._poke.set()
        self._engine.put(EngineSays({}, {}))  # nobody else answers any more
        self._thread.join(_GOODBYE_S)
        if not self._unanswered and self.looks and not self._thread.is_alive():
            with suppress(VenueError):
                self._journal.keep_all(self._statement.news()[0])

    # -- on the engine's thread -----------------------------------------------------------------------------------

    def refusal(self, market: str) -> str | None:
        """Why nothing may be entered on a market; None where all agree."""
        if self._failing:
            return f"the account could not be compared: {self._failing}"
        if self._rival:
            return f"another node trades the account: {self._rival}"
        if doubted := self._refused.of(market):
            return f"the account has not said yet whether {', '.join(doubted)} rests, which was refused"
        why = self._stopped.get(market)
        return None if why is None else f"journal, engine and venue differ: {why}"

    def turn(
        self,
        engine: Callable[[], EngineSays],
        conclude: Conclude = lambda *_: None,
        *,
        book: Callable[[Rows], None] = lambda _: None,
        filled: Filled = lambda *_: None,
        query: Query = lambda _: None,
        close: Query = lambda _: None,
        answered: Query = lambda _: None,
        hurry: Collection[str] = (),
        refused: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Hand over what the engine holds if it is asked for, and take what was found. Call it often: it is cheap.

        Parameters
        ----------
        engine
            Says what it holds.
        conclude
            Told of trades that are over, and why.
        book
            Told of what is journalled that the engine has not heard.
        filled
            Told of entries that count as refused and have filled: market, quantity and average price.
        query
            Has the engine ask the venue about an order that rests by the engine alone.
        close
            Closes what is held on a market and no trade minds.
        answered
            Told of orders that were refused and do not rest.
        hurry
            The markets of trades that wait to be told; a new one is looked at without delay.
        refused
            Id -> market of orders that were refused, until it is told of them; so is a new one of these.
        """
        self._begun.set()
        doubts = self._refused.turn(refused, answered)
        if doubts or not self._hurried.issuperset(hurry):
            self._poke.set()
        self._hurried = frozenset(hurry)
        if self._wanted.is_set():
            self._wanted.clear()
            self._engine.put(engine())
        for words in self.prices.lacking():
            self._warn(UNVALUED, words)
        self._tell_entries(conclude, filled)
        while not self._found.empty():
            look = self._found.get()
            self._take(look)
            book(look.rows)
            for order_id in _to_ask(look.differences):
                query(order_id)
            for market in _kind(look.differences, "unminded position"):
                close(market)
            for market, reason in look.concluded.items():
                conclude(market, reason)

    def _tell_entries(self, conclude: Conclude, filled: Filled) -> None:
        while not self._entries.empty():
            market, quantity, price = self._entries.get()
            if quantity:
                filled(market, quantity, price)
            else:
                conclude(market, "unfilled")

    def _take(self, look: Look) -> None:
        if look.failure:
            self._unanswered += 1
            if self._unanswered == MOST_FAILURES:
                self._failing = look.failure
                self._warn(UNANSWERED, f"{look.failure}; nothing is entered until it is")
            return
        if self._failing:
            self._tell(AGREES, "the account answers again")
        self._unanswered, self._failing = 0, ""
        self.compared_at = time.monotonic()
        self.differences = dict.fromkeys(self._markets, 0) | Counter(one.market or ACCOUNT for one in look.differences)
        if look.rows:
            self._journal.keep_all(look.rows)
        now = {one.key: str(one) for one in look.differences}
        for key, words in now.items():
            if key not in self._told:
                self._warn(DIFFERS, words)
        stopped = {one.market: one.detail for one in look.differences if one.stops}
        self._rival = next((one.detail for one in look.differences if one.kind == "other node"), "")
        for market in sorted(self._stopped.keys() - stopped.keys()):
            self._tell(AGREES, f"{market}: entries go on")
        self._told, self._stopped = now, stopped

    # -- on its own thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._begun.wait(_BREATH_S):
            if self._ended.is_set():
                return
        wait_s = 0.0
        while not self._ended.is_set():
            self._poke.wait(wait_s)
            self._poke.clear()
            if self._ended.is_set():
                return
            begun = time.monotonic()
            try:
                look = self.look()
            except VenueError as error:
                self.failures += 1
                look = Look(failure=str(error))
            except Exception as error:  # a comparison that fails must not end the node, and must not pass for one
                _LOG.exception("reconciler")
                look = Look(failure=f"{type(error).__name__}: {error}")
            self.looks, self.last_s = self.looks + 1, time.monotonic() - begun
            self._found.put(look)
            wait_s = self._again_s if look.differences or look.failure else self._every_s

    def look(self) -> Look:
        """Compare, twice where something differs; cancel what is ours and nobody explains."""
        self.prices.learn(self._account)
        differences, says, engine, venue = self._compare()
        first = {one.key for one in differences}
        if first:
            if self._settle():
                return Look()
            differences, says, engine, venue = self._compare()
        lasting = [self._explained(one) for one in differences if one.key in first]
        self._lasting = {one.key: self._lasting.get(one.key, time.monotonic()) for one in lasting}
        settling = self._settled(lasting, says)
        for one in lasting:
            if one.kind == "unknown order" and one.order is not None:
                self._account.cancel(one.market, one.order.client_id)
                signal = says.trading.get(one.market, "")
                settling.append(unwritten_order(one.order, signal, "canceled", self._account.clock()))
        state = with_rows(read_state(self._journal.path), settling)
        over = {market: ended_by(plan, state, venue, self._ids) for market, plan in engine.vanished.items()}
        over = {market: why for market, why in over.items() if not venue.held.get(market) or is_spot(market)}
        rows, drifts = self._statement.news()
        concluded = {market: why for market, why in over.items() if why is not None}
        return Look([*lasting, *drifts], [*settling, *rows], concluded=concluded)

    def _explained(self, one: Difference) -> Difference:
        """An order with our prefix that the journal has never had is another node's: it is not canceled.

        The engine takes over what it finds at the venue, so that its word says nothing of who sent an order. It may be
        the stop of that node's position. Where ``node.adopt`` says that only this node trades the account, it is ours
        all the same.
        """
        if one.kind != "unknown order" or one.order is None or self._adopts:
            return one
        if not find_events(self._journal.path, "orders", "order_id", one.subject).is_empty():
            return one
        return replace(one, kind="other node", detail=f"{one.detail}, which this node has never sent")

    def _compare(self) -> tuple[list[Difference], JournalSays, EngineSays, VenueSays]:
        if (trouble := self._journal.trouble) is not None:
            raise NodeError(f"the journal cannot be written: {trouble}")
        engine = self._asked_engine()
        self._ask_refused(engine)
        state = read_state(self._journal.path)
        says = JournalSays.of(state, journalled_fills(self._journal.path))
        plans = {market: plan for market, plan in newest_plans(state).items() if plan.stage != "closed"}
        fees = self._fees.of(says)
        venue = ask(self._account, says, plans, self._markets, ours=self._ids.is_ours, fees=fees)
        begun = [self._ids.of_trade(plan) for plan in plans.values()]
        found = compare(
            says,
            engine,
            venue,
            markets=self._markets,
            ours=self._ids.is_ours,
            explains=lambda order: order.client_id.startswith(tuple(begun)),
            spot=is_spot,
        )
        found += unminded(says, venue, {*plans, *engine.vanished}, markets=self._markets, spot=is_spot)
        self._fees.learn(says, venue, found)
        return found, says, engine, venue

    def _settle(self) -> bool:
        """Let arrive what is on its way; whether the end came meanwhile. What is asked for then is not kept waiting."""
        until = time.monotonic() + self._settle_s
        while not self._ended.is_set() and (left := until - time.monotonic()) > 0:
            if self._poke.wait(left) and not self._ended.is_set():
                self._poke.clear()
                self._ask_refused(self._asked_engine())
        return self._ended.is_set()

    def _ask_refused(self, engine: EngineSays) -> None:
        """Ask about entries first, which may have bought what nothing protects, then about what they should have."""
        for market, plan in engine.vanished.items():
            if plan.stage == "entering":
                self._ask_entry(market, plan.entry_order_id, waits=plan.entry_order_id in engine.orders)
        self._unheard.update(self._refused.ask())

    def _ask_entry(self, market: str, order_id: str, *, waits: bool) -> None:
        """Say at once what became of an entry that counts as refused, or waits: what it has bought is not protected."""
        order = self._account.order(market, order_id)
        if order is None or (not order.filled and order.status != "open"):
            self._entries.put((market, 0.0, 0.0))
        elif order.filled:
            if not waits:
                self._unheard.add(order_id)
            held = {one.market: one.average_price for one in self._account.positions()} if order.price is None else {}
            self._entries.put((market, order.filled, order.price or held.get(market, 0.0)))

    def _asked_engine(self) -> EngineSays:
        while not self._engine.empty():
            self._engine.get()
        self._wanted.set()
        try:
            said = self._engine.get(timeout=ENGINE_S)
        except queue.Empty:
            raise NodeError(f"the engine said nothing for {ENGINE_S:g} s") from None
        if self._ended.is_set():
            raise NodeError("the engine has ended")
        return said

    def _settled(self, differences: Sequence[Difference], says: JournalSays) -> Rows:
        """Rows for markets on which engine and venue agree: what the engine has still to hear, it journals itself.

        One that waits for an order for ever, as for one that was canceled while it was on its way, hears nothing more:
        what lasts is journalled all the same. Should the engine make up the same fill later, it is taken back. Of an
        order that it calls refused it hears nothing more at all.
        """
        behind = {one.market for one in differences if one.kind.startswith("engine")}
        old = time.monotonic() - self._behind_s
        ripe = [
            one
            for one in differences
            if one.market not in behind or one.subject in self._unheard or self._lasting.get(one.key, old + 1) <= old
        ]
        if not ripe:
            return []
        markets, now = read_state(self._journal.path).markets, self._account.clock()
        return settled(ripe, says, markets, now, self.prices)


def _kind(differences: Sequence[Difference], kind: str) -> list[str]:
    return [one.market for one in differences if one.kind == kind]


def _to_ask(differences: Sequence[Difference]) -> list[str]:
    """Orders that the engine alone has open, and whose end would explain to it the position that it lacks.

    Where its position is right already, it has made up a fill from that: told of the order, it would count it twice.
    """
    lacking = {one.market for one in differences if one.kind == "engine position"}
    return [one.subject for one in differences if one.kind == "engine order" and one.market in lacking]
