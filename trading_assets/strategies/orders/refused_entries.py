"""Orders that count as refused, and that a venue may have filled or placed all the same."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections import Counter
from dataclasses import replace
from typing import Any, Final

from trading_assets.strategies.host.circuit_breaker import noted
from trading_assets.strategies.instruments import exact
from trading_assets.strategies.orders.contracts import contracts
from trading_assets.strategies.orders.journal_rows import plan_row
from trading_assets.strategies.orders.limits import on_grid
from trading_assets.strategies.orders.stop_moves import UNHEARD, MovingStops
from trading_assets.strategies.plans.plan import TradePlan

ALL: Final = 1 - 1e-9
"""So much of a quantity is all of it."""

_STOPS: Final = 3
"""So many stops are sent for what a refused entry bought where an order binds the balance: what has the venue refuse
three has it refuse the next, and the engine may not hear of the position before the next start."""


class RefusedEntries(MovingStops):
    """The part of a strategy's orders that believes no refusal before the account has been asked.

    What an entry has bought that was refused is protected at once, before the engine knows of it. The engine learns of
    the position by its own checks, seconds later, and opens it by an order of its own.

    Attributes
    ----------
    asks
        Whether somebody asks the account, and will say what became of a trade.
    vanished
        The markets of trades that wait for that: of entries that were refused, of positions that are gone, and of those
        that the engine knows nothing of; nothing is entered there.
    refused
        Id -> market of other orders that were refused, until the account has said that they do not rest: a venue may
        have placed them, and a later trade would meet them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asks = False
        self.vanished: set[str] = set()
        self.refused: dict[str, str] = {}
        self._bought: set[str] = set()
        self._stops_tried = Counter[str]()
        self._unheard: dict[str, tuple[TradePlan, bool]] = {}

    @abstractmethod
    def _opened(self, plan: TradePlan, quantity: float, price: float) -> None:
        """Protect a trade that has come to be."""

    @abstractmethod
    def _part_filled(self, plan: TradePlan) -> None:
        """Look in a moment whether the entry is still filling."""

    def _in_doubt(self, market: str) -> bool:
        """Whether an entry that the engine calls refused may have filled, or has, and the engine has yet to hear it."""
        return market in self.vanished or market in self._bought

    def _settled(self, market: str) -> None:
        """The engine knows what became of it."""
        self.vanished.discard(market)
        self._bought.discard(market)
        self._stops_tried.pop(market, None)

    @noted
    def found_filled(self, market: str, quantity: float, price: float) -> None:
        """Protect what an entry bought that counts as refused; the engine learns of its position by itself, later."""
        plan, instrument = self.open.get(market), self._strategy.cache.instrument(self._instruments[market])
        if plan is None or plan.stage != "entering" or market not in self.vanished or instrument is None:
            return
        if self._matching.binds and self._stops_tried[market] >= _STOPS and not self._rests(plan.stop_order_id):
            return
        self.vanished.discard(market)
        self._bought.add(market)
        position = self.position(market)
        if position is not None and self.held(market, position) >= quantity * ALL:
            self._part_filled(plan)
            return
        if self._matching.binds and self._rests(plan.stop_order_id):
            return  # one of another size would need the balance that it binds
        covered = replace(plan, stop_price=plan.filled(quantity, price).stop_price)
        whole = contracts(quantity, self.size(market))
        if self._matching.binds:
            whole = on_grid(whole, exact(instrument.size_increment), math.floor)
        covered, orders = self._with_stop(covered, instrument, instrument.make_qty(whole))
        self._stops_tried[market] += len(orders)
        self._act(covered, orders)

    def _asked_anew(self, plan: TradePlan) -> bool:
        """Ask the account again about an entry of which the engine has yet to hear.

        No exit can be sent for what the engine does not know: if it is still there and its stop does not rest, it is
        sent another one.
        """
        if plan.market not in self._bought or self.position(plan.market) is not None:
            return False
        self._bought.discard(plan.market)
        self.vanished.add(plan.market)
        if not self._rests(plan.stop_order_id):
            plan = replace(plan, stop_order_id="", replaced_order_id=plan.stop_order_id)
            self.open[plan.market] = plan
            self._rows.append(("plans", plan_row(plan, self._clock())))
        return True

    def _refused_entry(self, plan: TradePlan, reason: str) -> None:
        """Remember an entry that counts as refused: the venue may have said nothing of it, or what is not so."""
        self._unheard[plan.market] = (plan, re.search(UNHEARD, reason) is not None)

    def _filled_after_all(self, market: str) -> None:
        """Protect what an entry bought that was taken as refused.

        The engine knows neither order nor fill of it and opens the position by an order of its own. Where the venue had
        refused the entry in words, only a position of exactly its size is taken for its.
        """
        if market not in self._unheard:
            return
        (plan, silent), before = self._unheard.pop(market), self.adopts
        self.adopts = True  # the engine has opened it by an order of its own
        position = self.position(market)
        self.adopts = before
        if position is None or float(position.signed_qty) * plan.side <= 0:
            return
        quantity = self.held(market, position)
        if quantity * ALL <= plan.quantity and (silent or quantity >= plan.quantity * ALL):
            self._opened(plan, quantity, float(position.avg_px_open))

    # -- other orders that were refused -------------------------------------------------------------------------------

    def _doubt(self, market: str, order_id: str) -> None:
        """Have the account asked about a refused order; what is refused need not be protected by it meanwhile."""
        if self.asks and not self._matching.simulated:
            self.refused[order_id] = market

    @noted
    def answered(self, order_id: str) -> None:
        """Take the account's word that a refused order does not rest."""
        self.refused.pop(order_id, None)
