"""What the journal says a node holds: read once at a start, it is the only state that survives a process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from trading_assets.candles import Market
from trading_assets.journal import NODE, PLANS, read_session
from trading_assets.strategies.plans import ExitReason, TradePlan
from trading_assets.strategies.risk import RiskGate

STARTED: Final = "started"
"""The node event of every start; its detail names venue and environment."""

_DUST: Final = 1e-9
_FINAL: Final = ("filled", "canceled", "rejected", "denied", "expired")


@dataclass(frozen=True, slots=True)
class Fill:
    """One journalled fill; quantity in base units, fee in quote currency."""

    seq: int
    ts: datetime
    order_id: str
    trade_id: str
    signal_id: str
    side: Literal["buy", "sell"]
    quantity: float
    price: float
    fee: float

    @property
    def signed(self) -> float:
        """Positive for a buy."""
        return self.quantity if self.side == "buy" else -self.quantity


@dataclass(frozen=True)
class Holding:
    """The fills of one market since it was last flat; the open position is their sum."""

    market: str
    fills: tuple[Fill, ...]

    @property
    def quantity(self) -> float:
        """Base units held."""
        return sum(fill.signed for fill in self.fills)

    @property
    def is_flat(self) -> bool:
        """Whether buys and sells cancel out."""
        return abs(self.quantity) < _DUST

    @property
    def average_price(self) -> float:
        """Mean price of the buys."""
        buys = [fill for fill in self.fills if fill.side == "buy"]
        bought = sum(fill.quantity for fill in buys)
        return sum(fill.quantity * fill.price for fill in buys) / bought if bought else 0.0

    @property
    def realized_pnl(self) -> float:
        """Quote currency, fees taken off: what the sells brought over the average price."""
        sells = (fill for fill in self.fills if fill.side == "sell")
        gained = sum(fill.quantity * (fill.price - self.average_price) for fill in sells)
        return gained - sum(fill.fee for fill in self.fills)


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
        (ts, realised profit and loss) of each closed position, for the daily loss limit.
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


def recover(path: Path) -> Recovered:
    """Read the newest session of a journal.

    Fills are the truth. What a kill kept from the journal is made up for: positions and plans follow from the fills,
    and an order that rested in the sandbox ended with the process.

    Raises
    ------
    NodeError
        If the file is not a journal.
    """
    events = read_session(path)
    trades = [trade for market, fills in _fills(events["fills"]).items() for trade in _trades(market, fills)]
    last = {trade.market: trade for trade in trades}
    plans = newest_plans(events)
    repairs = [
        *_lost_positions(last, events["positions"]),
        *_lost_plans(last, plans),
        *_lost_orders(events["orders"], events["fills"]),
    ]
    realized: dict[str, float] = {}
    closed = []
    for trade in trades:
        if trade.is_flat:
            quote = Market.parse(trade.market).quote
            realized[quote] = realized.get(quote, 0.0) + trade.realized_pnl
            closed.append((trade.fills[-1].ts, trade.realized_pnl))
    ended = {event["market"] for kind, event in repairs if kind == "plans"}
    times = [_instant(frame["ts"].max()) for kind, frame in events.items() if kind != NODE and frame.height]
    return Recovered(
        holdings=tuple(trade for trade in last.values() if not trade.is_flat),
        plans=tuple(plan for plan in plans.values() if plan.stage != "closed" and plan.market not in ended),
        realized=realized,
        closed=tuple(sorted(closed)),
        repairs=tuple(repairs),
        newest=max(times, default=None),
        last_start=_last_start(events[NODE]),
    )


def newest_plans(events: Mapping[str, pl.DataFrame]) -> dict[str, TradePlan]:
    """Market -> its newest journalled plan."""
    newest = events[PLANS].sort("seq").group_by("market", maintain_order=True).last()
    return {plan.market: plan for plan in (TradePlan.from_json(text) for text in newest["plan"].to_list())}


def _last_start(events: pl.DataFrame) -> str | None:
    starts = events.filter(pl.col("event") == STARTED).sort("seq")["detail"]
    return str(starts[-1]) if starts.len() else None


def _instant(value: Any) -> datetime:
    assert isinstance(value, datetime)
    return value


def _fills(frame: pl.DataFrame) -> dict[str, list[Fill]]:
    fills: dict[str, list[Fill]] = {}
    for row in frame.sort("seq").iter_rows(named=True):
        wanted = {name: row[name] for name in Fill.__dataclass_fields__}
        fills.setdefault(row["market"], []).append(Fill(**wanted))
    return fills


def _trades(market: str, fills: Iterable[Fill]) -> Iterable[Holding]:
    """Cut a market's fills where it was flat; the last part may be open."""
    part: list[Fill] = []
    for fill in fills:
        part.append(fill)
        trade = Holding(market, tuple(part))
        if trade.is_flat:
            yield trade
            part = []
    if part:
        yield Holding(market, tuple(part))


def _lost_positions(last: Mapping[str, Holding], positions: pl.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    known = {row["market"]: row for row in positions.sort("seq").iter_rows(named=True)}
    repairs: list[tuple[str, dict[str, Any]]] = []
    for market, trade in last.items():
        row = known.get(market)
        stored = row["quantity"] if row else 0.0
        if abs(stored - trade.quantity) < _DUST:
            continue
        newest = trade.fills[-1]
        event = "closed" if trade.is_flat else "opened" if abs(stored) < _DUST else "changed"
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
        ended = replace(plan, stage="closed", exit_reason=_reason(plan, trade.fills[-1].order_id))
        row = {"ts": trade.fills[-1].ts, "market": market, "signal_id": plan.signal_id, "plan": ended.to_json()}
        repairs.append(("plans", row))
    return repairs


def _reason(plan: TradePlan, closing_order: str) -> ExitReason:
    purpose = plan.purpose_of(closing_order)
    if purpose == "take_profit":
        return "take_profit"
    return "stop_loss" if purpose == "stop_loss" else plan.exit_reason or "lost"


def _lost_orders(orders: pl.DataFrame, fills: pl.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    filled = fills.group_by("order_id").agg(pl.col("quantity").sum().alias("filled"))
    newest = (
        orders.sort("seq")
        .with_columns(ended=pl.col("status").is_in(_FINAL).any().over("order_id"))
        .unique("order_id", keep="last", maintain_order=True)
        .join(filled, on="order_id", how="left")
    )
    part = pl.col("filled").is_not_null() & (pl.col("filled") < pl.col("quantity") - _DUST)
    repairs = []
    for row in newest.filter(~pl.col("ended") | (part & (pl.col("status") == "filled"))).iter_rows(named=True):
        event = {name: value for name, value in row.items() if name not in ("node", "seq", "ended", "filled")}
        event |= {"status": "canceled", "reason": "the process ended, and the sandbox with it"}
        repairs.append(("orders", {**event, "event_id": f"recovered:{row['order_id']}"}))
    return repairs
