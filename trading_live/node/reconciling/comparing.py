"""One comparison of journal, engine and venue: on a thread of its own, as the venue is asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from trading_assets.core.candles import Market
from trading_assets.core.errors import NodeError
from trading_assets.journal import BufferedJournal, nothing, read_state
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import ExitReason, TradePlan
from trading_live.closing.unattended import closed_positions, unattended
from trading_live.node.reconciling.handover import Entry, Handover, Look
from trading_live.node.reconciling.refused_orders import RefusedOrders
from trading_live.reconciliation.asking import ask, is_of_journal, is_spot, journalled_fills
from trading_live.reconciliation.coin_prices import CoinPrices
from trading_live.reconciliation.comparison import compare, unminded
from trading_live.reconciliation.differences import Difference
from trading_live.reconciliation.fees import FeesInDoubt
from trading_live.reconciliation.settlement import Rows, settled, unwritten_order
from trading_live.reconciliation.statement import Statement
from trading_live.reconciliation.views import SINCE_BEFORE, EngineSays, JournalSays, VenueSays
from trading_live.recovery.at_venue import ended_by, with_rows
from trading_live.recovery.from_journal import newest_plans
from trading_live.venues.account.contract import Account, VenueFill, VenueOrder

SETTLE_S: Final = 2.0
"""Between two looks at a difference: what was on its way has arrived by then."""

BEHIND_S: Final = 60.0
"""So long the engine may take to hear by its own checks what the venue has; then the journal says it without."""


class Comparing:
    """Compares, cancels what is ours and nobody explains, and says what is to be journalled and concluded.

    Parameters
    ----------
    account
        At the venue.
    markets
        That the node trades.
    ids
        Whose an order is.
    journal
        Read from its file.
    engine
        Gives the engine's word.
    settle_s
        Between the two looks of one.
    behind_s
        So long what the engine has still to hear is left to it.
    adopts
        Whether only this node trades the account.

    Attributes
    ----------
    prices
        Of the coins that fees are paid in.
    refused
        Orders that may rest although they were refused.
    """

    def __init__(
        self,
        account: Account,
        markets: Sequence[str],
        ids: OrderIds,
        journal: BufferedJournal,
        engine: Handover,
        *,
        settle_s: float = SETTLE_S,
        behind_s: float = BEHIND_S,
        adopts: bool = False,
    ) -> None:
        self.prices = CoinPrices()
        self.refused = RefusedOrders(account)
        self._account, self._markets, self._ids, self._journal = account, list(markets), ids, journal
        self._engine = engine
        self._settle_s, self._behind_s, self._adopts = settle_s, behind_s, adopts
        self._lasting: dict[tuple[str, str, str], float] = {}
        self._statement = Statement(account, journal.path)
        self._fees = FeesInDoubt()
        self._unheard: set[str] = set()
        self._reasons: dict[str, ExitReason] = {}

    def learn_prices(self) -> None:
        """What the coins are worth that fees may be paid in; raises ``VenueError``."""
        self.prices.begin(self._account, {Market.parse(market).quote for market in self._markets})

    def news(self) -> Rows:
        """What the account's statement says since it was read last, for the journal; raises ``VenueError``."""
        return self._statement.news()[0]

    def look(self) -> Look:
        """Compare, twice where something differs; cancel what is ours and nobody explains."""
        self.prices.learn(self._account)
        differences, says, engine, venue = self._compare()
        if ended := self._end_unattended(says, engine, venue):
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
                signal = says.signals.get(one.subject) or says.trading.get(one.market, "")
                settling.append(unwritten_order(one.order, signal, "canceled", self._account.clock()))
        state = with_rows(read_state(self._journal.path), settling)
        vanished = {market: self._told_why(plan) for market, plan in engine.vanished.items()}
        over = {market: ended_by(plan, state, venue, self._ids) for market, plan in vanished.items()}
        over = {market: why for market, why in over.items() if not venue.held.get(market) or is_spot(market)}
        rows, drifts = self._statement.news()
        concluded = {market: why for market, why in over.items() if why is not None}
        rows += closed_positions(state, concluded.keys() & engine.apart)
        return Look([*lasting, *ended, *drifts], [*settling, *rows], concluded=concluded)

    def _end_unattended(self, says: JournalSays, engine: EngineSays, venue: VenueSays) -> list[Difference]:
        """End what the engine cannot; at once, for nothing else protects it."""
        if not engine.apart:
            return []
        now, ours = self._account.clock(), self._ids.is_ours
        found = unattended(says, engine, venue, now, markets=self._markets, ours=ours)
        self._reasons |= {one.market: one.reason for one in found if one.reason}
        return [one.end(self._account, ours) for one in found]

    def _told_why(self, plan: TradePlan) -> TradePlan:
        """A trade with the reason for which the account was to close it."""
        return replace(plan, exit_reason=plan.exit_reason or self._reasons.get(plan.market, ""))

    def _explained(self, one: Difference) -> Difference:
        """An order with our prefix, of a trade that the journal has never had, is another node's: it is not canceled.

        The engine takes over what it finds at the venue, so that its word says nothing of who sent an order. It may be
        the stop of that node's position. Where ``node.adopt`` says that only this node trades the account, it is ours
        all the same.
        """
        if one.kind != "unknown order" or one.order is None or self._adopts:
            return one
        if is_of_journal(self._journal.path, one.subject):
            return one
        return replace(one, kind="other node", detail=f"{one.detail}, which this node has never sent")

    def _compare(self) -> tuple[list[Difference], JournalSays, EngineSays, VenueSays]:
        if (trouble := self._journal.trouble) is not None:
            raise NodeError(f"the journal cannot be written: {trouble}")
        engine = self._engine.ask()
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
        while not self._engine.ended and (left := until - time.monotonic()) > 0:
            if self._engine.wait(left):
                self._ask_refused(self._engine.ask())
        return self._engine.ended

    def _ask_refused(self, engine: EngineSays) -> None:
        """Ask about entries first, which may have bought what nothing protects, then about what they should have."""
        for plan in engine.vanished.values():
            if plan.stage == "entering":
                self._ask_entry(plan, waits=plan.entry_order_id in engine.orders)
        self._unheard.update(self.refused.ask())

    def _ask_entry(self, plan: TradePlan, *, waits: bool) -> None:
        """Say at once what became of an entry that counts as refused, or waits: what it has bought is not protected.

        Its fills count as much as the order's own word: a venue may know of no order that it has filled.
        """
        market, order_id = plan.market, plan.entry_order_id
        order = self._account.order(market, order_id)
        if order is not None and order.status == "open" and not waits:  # the engine would hear of no further fill
            self._account.cancel(market, order_id)
            order = self._account.order(market, order_id) or order
        fills = self._account.fills(market, plan.known_at - SINCE_BEFORE)
        first = next((place for place, one in enumerate(fills) if one.client_id == order_id), len(fills))
        mine = [one for one in fills[first:] if one.client_id == order_id]
        bought = max(sum(one.quantity for one in mine), 0.0 if order is None else order.filled)
        if bought and not waits:
            self._unheard.add(order_id)
        if not bought and (order is None or order.status != "open"):
            self._engine.entries.put(Entry(market, 0.0, 0.0))
        elif bought and not (mine and nothing(sum(one.signed for one in fills[first:]), bought)):
            taken = sum(one.fee for one in mine if is_spot(market) and one.fee_currency == Market.parse(market).base)
            self._engine.entries.put(Entry(market, bought - taken, self._paid(market, order, mine)))
        # else it waits, or is gone again, as after a liquidation, and the comparison says why

    def _paid(self, market: str, order: VenueOrder | None, fills: Sequence[VenueFill]) -> float:
        """The average price of an entry."""
        if order is not None and order.price:
            return order.price
        if fills:
            return sum(one.price * one.quantity for one in fills) / sum(one.quantity for one in fills)
        return next((one.average_price for one in self._account.positions() if one.market == market), 0.0)

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
