"""Faults of orders and risk: no stop, refusals, losses, an account that differs."""

from __future__ import annotations

from typing import Any, cast

from tests.backtest.worlds import EXACT, GENEROUS, START, A, flat
from tests.deploy.faults.bench import Bench, Pages, constant, provokes
from tests.deploy.faults.decisions import ENTRIES
from tests.live.metrics.world import World
from trading_assets.strategies.protections import NODE as WHOLE_NODE
from trading_assets.strategies.protections import Protections
from trading_assets.strategies.protections import State as RiskState
from trading_live.node.reconciling.handover import Look
from trading_live.node.reconciling.reconciler import Reconciler
from trading_live.reconciliation.differences import RULES, Difference


@provokes("TradingPositionUnprotected")
def unprotected(bench: Bench) -> Pages:
    node = bench.world()
    well = node.scrape()
    node.strategy._trades._protect = lambda plan: None
    node.run(0.5)
    node.scrape()
    node.clock.seconds += 30
    return constant(well, node.scrape())


@provokes("TradingRejectRateHigh")
def rejected(bench: Bench) -> Pages:
    """An engine that takes one order a second: stop and target come together."""
    node = bench.world(entries=ENTRIES, order_rate="1/00:00:01")
    well = node.scrape()
    node.run(2)
    return constant(well, node.scrape())


@provokes("TradingAckSlow")
def slow_venue(bench: Bench) -> Pages:
    node = bench.world(costs=EXACT.model_copy(update={"latency_ms": 4000.0}))
    well = node.scrape()
    node.run(1)
    return constant(well, node.scrape())


CRASH = [*flat(20), *flat(12), (95, 95, 95, 95), *flat(200, 95)]
"""Entered at 100 with the stop at 99; a minute opens at 95."""


@provokes("TradingDrawdownDeep")
def drawdown(bench: Bench) -> Pages:
    node = bench.world(rows=CRASH, share=3.0)
    node.run(0.5)
    well = node.scrape()
    node.run(0.5)
    return constant(well, node.scrape())


@provokes("TradingDailyLossNear")
def daily_loss(bench: Bench) -> Pages:
    node = bench.world(rows=CRASH, share=1.0, risk=GENEROUS.model_copy(update={"max_daily_loss": 6000.0}))
    node.run(0.5)
    well = node.scrape()
    node.run(0.5)
    return constant(well, node.scrape())


@provokes("TradingRiskState")
def held_back(bench: Bench) -> Pages:
    protections = Protections({}, equity=1e5, keep=lambda rows: None)
    node = bench.world(guards=[protections])
    well = node.scrape()
    protections.pause(START, WHOLE_NODE, RiskState.REDUCING, until=None, request="the test says so")
    return constant(well, node.scrape())


def compared(node: World) -> Reconciler:
    """What compares a node's account; nobody asks a venue here: what a look found is handed over."""
    nobody = cast("Any", None)
    return Reconciler(nobody, [A], nobody, node.journal, tell=node.pulse.tell, warn=node.pulse.warn, every_s=60)


def watched_account(bench: Bench) -> tuple[World, Reconciler]:
    guards: list[object] = []
    node = bench.world(guards=guards)
    guards.append(compared(node))
    return node, cast("Reconciler", guards[0])


@provokes("TradingReconciliationDiffers")
def differs(bench: Bench) -> Pages:
    node, reconciler = watched_account(bench)
    reconciler._take(Look())
    well = node.scrape()
    reconciler._take(Look([Difference(next(iter(RULES)), A, "order", "the venue has an order that nobody sent")]))
    return constant(well, node.scrape())


@provokes("TradingReconciliationStale")
def not_compared(bench: Bench) -> Pages:
    node, reconciler = watched_account(bench)
    reconciler._take(Look())
    node.clock.seconds = reconciler.compared_at
    well = node.scrape()
    node.clock.seconds += 600
    reconciler._take(Look(failure="the account does not answer"))
    return constant(well, node.scrape())
