"""What the journal says a node holds: read once at a start, it is the only state that survives a process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from trading_assets.core.candles import Market
from trading_assets.journal import PLANS, Fill, Holding, JournalState, nothing, read_state
from trading_assets.journal.state import STARTED
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.risk.gate import RiskGate

__all__ = ["STARTED", "Fill", "Holding", "Recovered", "newest_plans", "recover", "recovered_from"]


@dataclass(frozen=True)
class Recovered:
    """What a restarted node goes on from.

    Attributes
    ----------
    holdings
        The open positions.
    plans
        The newest plan of each market that is not closed.
    realized
        Quote currency -> profit and loss of all closed trades of the session, after fees.
    closed
        (ts, realised profit and loss) of the newest day on which a trade ended, for the daily loss limit.
    repairs
        What a kill kept from the journal and its own rows imply: (kind, event) to record before going on.
    newest
        The newest event's market time; None for an empty session.
    last_start
        What the newest ``started`` event says: venue and environment.
    """

    holdings: tuple[Holding, ...] = ()
    plans: tuple[TradePlan, ...] = ()
    realized: Mapping[str, float] | None = None
    closed: tuple[tuple[datetime, float], ...] = ()
    repairs: tuple[tuple[str, dict[str, Any]], ...] = ()
    newest: datetime | None = None
    last_start: str | None = None

    @property
    def open_markets(self) -> tuple[str, ...]:
        """The markets with a position or a plan that is not closed."""
        return tuple(sorted({one.market for one in self.holdings} | {one.market for one in self.plans}))

    def restore(self, gate: RiskGate) -> None:
        """Tell the risk gate what was realised."""
        for ts, pnl in self.closed:
            gate.realise(ts, pnl)


def recover(path: Path, *, orders_ended: str | None = None) -> Recovered:
    """Read what the newest session of a journal adds up to.

    Fills are the truth. What a kill kept from the journal is made up for: positions and plans follow from the fills. A
    trade that a kill switch was to close is closed by the next process.

    Parameters
    ----------
    path
        The journal.
    orders_ended
        Why orders that rested when the process ended have ended with it; None where they may rest or have filled.

    Raises
    ------
    NodeError
        If the file is not a journal, or what it says is damaged.
    """
    return recovered_from(read_state(path), orders_ended=orders_ended)


def recovered_from(state: JournalState, *, orders_ended: str | None = None) -> Recovered:
    """As :func:`recover`, from what a session's events add up to."""
    trades = {market: one.holding(market) for market, one in state.markets.items()}
    last = {market: trade for market, trade in trades.items() if trade is not None}
    plans = {market: _as_filled(plan, last.get(market)) for market, plan in newest_plans(state).items()}
    repairs = [*_lost_positions(last, state), *_lost_plans(last, plans), *_lost_orders(state, orders_ended)]
    ended = {event["market"] for kind, event in repairs if kind == PLANS}
    realized: dict[str, float] = {}
    for market, one in state.markets.items():
        quote = Market.parse(market).quote
        realized[quote] = realized.get(quote, 0.0) + one.realized
    return Recovered(
        holdings=tuple(trade for trade in last.values() if not trade.is_flat),
        plans=tuple(
            _to_be_closed(plan) if state.markets[plan.market].kill == plan.signal_id else plan
            for plan in plans.values()
            if plan.stage != "closed" and plan.market not in ended
        ),
        realized=realized,
        closed=((datetime.fromisoformat(state.day), state.day_pnl),) if state.day else (),
        repairs=tuple(repairs),
        newest=datetime.fromisoformat(state.newest) if state.newest else None,
        last_start=state.started,
    )


def newest_plans(state: JournalState) -> dict[str, TradePlan]:
    """Market -> its newest journalled plan."""
    rows = {market: one.plan for market, one in state.markets.items() if one.plan is not None}
    return {market: TradePlan.from_json(row["plan"]) for market, row in rows.items()}


def _to_be_closed(plan: TradePlan) -> TradePlan:
    return plan if plan.stage == "exiting" else replace(plan, stage="exiting", exit_reason="kill", exit_order_id="")


def _lost_positions(last: Mapping[str, Holding], state: JournalState) -> list[tuple[str, dict[str, Any]]]:
    repairs: list[tuple[str, dict[str, Any]]] = []
    for market, trade in last.items():
        row = state.markets[market].position
        stored = row["quantity"] if row else 0.0
        untold = row is None or datetime.fromisoformat(row["ts"]) < trade.fills[0].ts  # of a trade before
        if nothing(stored - trade.quantity, trade.traded) and not untold:
            continue
        newest = trade.fills[-1]
        event = "closed" if trade.is_flat else "opened" if nothing(stored, trade.traded) else "changed"
        repairs.append(
            (
                "positions",
                {
                    "event_id": f"recovered:{newest.order_id}:{newest.trade_id}",
                    "ts": newest.ts,
                    "market": market,
                    "position_id": row["position_id"] if row else None,
                    "event": event,
                    "quantity": 0.0 if trade.is_flat else trade.quantity,
                    "average_price": trade.average_price,
                    "realized_pnl": trade.realized_pnl,
                    "signal_id": newest.signal_id,
                },
            )
        )
    return repairs


def _lost_plans(last: Mapping[str, Holding], plans: Mapping[str, TradePlan]) -> list[tuple[str, dict[str, Any]]]:
    repairs = []
    for market, plan in plans.items():
        trade = last.get(market)
        if plan.stage == "closed" or trade is None or not trade.is_flat or trade.fills[0].signal_id != plan.signal_id:
            continue
        ended = replace(plan, stage="closed", exit_reason=plan.closed_by(trade.fills[-1].order_id))
        row = {"ts": trade.fills[-1].ts, "market": market, "signal_id": plan.signal_id, "plan": ended.to_json()}
        repairs.append((PLANS, row))
    return repairs


def _as_filled(plan: TradePlan, trade: Holding | None) -> TradePlan:
    """A plan with what the fills of its trade say of its targets."""
    filled: dict[str, float] = {}
    for one in trade.fills if trade is not None and trade.fills[0].signal_id == plan.signal_id else ():
        filled[one.order_id] = filled.get(one.order_id, 0.0) + abs(one.quantity)
    for target in plan.targets:
        plan = plan.with_filled(target.order_id, filled.get(target.order_id, 0.0))
    return plan


def _lost_orders(state: JournalState, ended: str | None) -> list[tuple[str, dict[str, Any]]]:
    repairs: list[tuple[str, dict[str, Any]]] = []
    if ended is None:
        return repairs
    for order_id, order in state.orders.items():
        event = {**order.row, "ts": datetime.fromisoformat(order.row["ts"]), "event_id": f"recovered:{order_id}"}
        event |= {"status": "canceled", "reason": ended}
        repairs.append(("orders", event))
    return repairs
