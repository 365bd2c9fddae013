"""A comparison at work: the desk of a rehearsal, and a node that takes its turns."""

from __future__ import annotations

import time
from contextlib import contextmanager

from tests.live.conftest import MARKET
from tests.live.rehearsed import IDS, order_row, plan_of, planned
from trading_assets.journal import BufferedJournal, Journal
from trading_live.node.reconciling.reconciler import Reconciler
from trading_live.reconciliation.views import EngineSays

PATIENCE_S = 300


class Node:
    """What a node gives to the comparison: its engine's words, and turns on its thread."""

    def __init__(self, one, reconciler, told):
        self.one, self.reconciler, self.told = one, reconciler, told
        self.follows, self.vanished, self.concluded, self.filled = True, {}, [], []
        self.refused, self.closed, self.refusals = {}, [], []

    def turn(self):
        self.reconciler.turn(self.says, self)

    def conclude(self, market, reason):
        self.concluded.append((market, reason))

    def found_filled(self, market, quantity, price):
        self.filled.append((market, quantity, price))

    def answered(self, order_id):
        del self.refused[order_id]

    def close_unminded(self, market):
        self.closed.append(market)

    def book(self, rows):
        """The engine hears of everything by itself; two looks may be taken in one turn."""
        self.refusals.append(self.reconciler.refusal(MARKET))

    def query(self, order_id):
        """As above."""

    def says(self):
        """As an engine that has heard of everything, or as it was."""
        if self.follows:
            orders = {one.client_id: one.market for one in self.one.account.open_orders([MARKET])}
            self.known = EngineSays(
                {order: market for order, market in orders.items() if IDS.is_ours(order)},
                {MARKET: sum(position.quantity for position in self.one.account.positions())},
                self.vanished,
            )
        return self.known

    def turns_until(self, what):
        deadline = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < deadline, self.told
            self.turn()
            time.sleep(0.005)

    def looks(self, count=1):
        wanted = self.reconciler.looks + count
        self.turns_until(lambda: self.reconciler.looks >= wanted)
        self.turn()

    def events(self):
        return [event for event, _ in self.told]


@contextmanager
def node(one, **more):
    told = []
    journal = BufferedJournal(Journal(one.path, "node"))
    reconciler = Reconciler(
        one.account,
        [MARKET],
        IDS,
        journal,
        tell=lambda *event: told.append(event),
        warn=lambda *event: told.append(event),
        every_s=0.01,
        settle_s=0.01,
        again_s=0.01,
        **more,
    )
    with reconciler:
        yield Node(one, reconciler, told)
    journal.close()


def refused_entry(one, running):
    """A trade whose entry counts as refused: the engine hears no more of it, and waits for the account's word."""
    plan = plan_of()
    running.looks()
    one.write(planned(plan), order_row(plan, plan.entry_order_id), order_row(plan, plan.entry_order_id, "rejected"))
    running.follows, running.vanished = False, {MARKET: plan}
    running.known = EngineSays({}, {MARKET: 0.0}, running.vanished)
    return plan
