"""What a session's events add up to, and the checkpoints that spare reading them all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from trading_assets.core.candles import Market
from trading_assets.core.errors import NodeError
from trading_assets.journal.events import NODE, PLANS, damaged, decode
from trading_assets.journal.file import reading
from trading_assets.journal.holdings import Fill, Holding, nothing
from trading_assets.store.tables import ACCOUNT_EQUITY, BALANCES, FILLS, LIVE_FEATURES, ORDERS, PAYMENTS, POSITIONS

STARTED: Final = "started"
"""The node event of every start; its detail names venue and environment."""

KILL: Final = "kill"
"""The node event of the kill switch: every trade that is open is to be closed, by the next process if need be."""

KILL_WITHDRAWN: Final = "kill withdrawn"
"""The node event that lets the trades of a kill that was not carried out go on."""

SUM_TO_NOTHING: Final = (LIVE_FEATURES.name, PAYMENTS.name, BALANCES.name, ACCOUNT_EQUITY.name)
"""Kinds that say nothing of what is open; they need not be read to know it."""

_VERSION: Final = 2
_DUST: Final = 0.25
"""Of what was traded: more than this is no rest of rounding, and stays open whatever a plan says."""

_ENDED: Final = ("canceled", "rejected", "denied", "expired")


@dataclass(slots=True)
class MarketState:
    """One market's newest trade and what came of those before it; rows are events as they were written.

    Attributes
    ----------
    fills
        Of the newest trade; each with its ``seq``.
    held, traded
        The newest trade's open quantity, negative for a short one, and all that was bought and sold for it; base units.
    realized
        Profit and loss of the session's closed trades, after fees, in quote currency.
    position, plan
        The newest event of the kind, or None.
    kill
        The trade (its signal) that a kill was to close.
    ended
        Whether the newest trade is over by its plan, with less left of it on spot than can be sold.
    """

    fills: list[dict[str, Any]] = field(default_factory=list)
    held: float = 0.0
    traded: float = 0.0
    realized: float = 0.0
    position: dict[str, Any] | None = None
    plan: dict[str, Any] | None = None
    kill: str | None = None
    ended: bool = False

    def holding(self, market: str) -> Holding | None:
        """The newest trade, open or closed; None before the first fill."""
        return Holding(market, tuple(map(Fill.of, self.fills)), self.ended) if self.fills else None


@dataclass(slots=True)
class OrderState:
    """An order that may still rest: its newest event, how much of it was filled in base units, and since when it is."""

    row: dict[str, Any]
    filled: float = 0.0
    since: str = ""


@dataclass(slots=True)
class JournalState:
    """What the events of a session up to ``seq`` add up to.

    Attributes
    ----------
    seq, session
        The newest event's number and its session.
    markets
        Market -> its state.
    orders
        Order id -> an order that no event has ended.
    newest
        The newest market time (ISO, UTC) of any event but the node's own.
    started
        The newest ``started`` event's detail: venue and environment.
    day, day_pnl
        The newest trade's end (ISO, UTC), and the profit and loss of all trades that ended on its UTC day.
    """

    seq: int = 0
    session: int = 1
    markets: dict[str, MarketState] = field(default_factory=dict)
    orders: dict[str, OrderState] = field(default_factory=dict)
    newest: str | None = None
    started: str | None = None
    day: str | None = None
    day_pnl: float = 0.0

    def add(self, seq: int, session: int, kind: str, payload: str) -> Self:
        """Take in the event that comes next; a new session leaves all before it behind.

        Raises
        ------
        NodeError
            If the event is damaged.
        """
        if session != self.session:
            self.__init__(session=session)  # type: ignore[misc]
        if kind in SUM_TO_NOTHING:
            self.seq = seq
            return self
        row = decode(seq, payload)
        try:
            self._take(seq, kind, row)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise damaged(seq, f"{type(error).__name__}: {error}") from None
        self.seq = seq
        return self

    def _take(self, seq: int, kind: str, row: dict[str, Any]) -> None:
        if kind == NODE:
            self._node_event(row)
            return
        if (ts := row.get("ts")) is not None:
            datetime.fromisoformat(ts)
            self.newest = max(ts, self.newest or ts)  # ISO texts of UTC sort as the times do
        if kind == FILLS.name:
            self._fill({**row, "seq": seq})
        elif kind == ORDERS.name:
            self._order(row)
        elif kind == POSITIONS.name:
            self._market(row["market"]).position = row
        elif kind == PLANS:
            state = self._market(row["market"])
            state.plan = row
            if state.kill is not None and state.kill != row["signal_id"]:
                state.kill = None
            self._leave_dust(row["market"], state, row)

    def _market(self, market: str) -> MarketState:
        return self.markets.setdefault(market, MarketState())

    def _node_event(self, row: Mapping[str, Any]) -> None:
        event = row.get("event")
        if event == STARTED:
            self.started = row["detail"]
        elif event in (KILL, KILL_WITHDRAWN):
            for state in self.markets.values():
                state.kill = state.plan["signal_id"] if event == KILL and state.plan else None

    def _fill(self, row: dict[str, Any]) -> None:
        fill, state = Fill.of(row), self._market(row["market"])
        if nothing(state.held, state.traded):
            state.fills, state.held, state.traded, state.ended = [], 0.0, 0.0, False
        state.fills.append(row)
        state.held += fill.signed
        state.traded += fill.quantity
        order = self.orders.get(fill.order_id)
        if order is not None:
            order.filled += fill.quantity if fill.side == order.row["side"] else -fill.quantity
            self._forget_filled(fill.order_id, order)
        if nothing(state.held, state.traded):
            self._closed(state, Holding(row["market"], tuple(map(Fill.of, state.fills))).realized_pnl, fill.ts)

    def _leave_dust(self, market: str, state: MarketState, row: Mapping[str, Any]) -> None:
        """End a spot trade whose plan is closed: its fees in coins leave less than a step, which nobody can sell."""
        if not state.fills or nothing(state.held, state.traded) or Market.parse(market).is_derivative:
            return
        if state.fills[-1]["signal_id"] != row["signal_id"] or json.loads(row["plan"]).get("stage") != "closed":
            return
        if abs(state.held) > _DUST * state.traded:
            return
        state.ended, state.held = True, 0.0
        holding = state.holding(market)
        assert holding is not None
        self._closed(state, holding.realized_pnl, holding.fills[-1].ts)

    def _closed(self, state: MarketState, pnl: float, ts: datetime) -> None:
        state.realized += pnl
        last = datetime.fromisoformat(self.day) if self.day else ts
        if ts.date() > last.date():
            self.day_pnl = 0.0
        if ts.date() >= last.date():
            self.day, self.day_pnl = max(ts, last).isoformat(), self.day_pnl + pnl

    def _order(self, row: dict[str, Any]) -> None:
        order_id, status = row["order_id"], row["status"]
        if status == "initialized":
            self.orders[order_id] = OrderState(row, since=row["ts"])
        elif status in _ENDED:
            self.orders.pop(order_id, None)
        elif (order := self.orders.get(order_id)) is not None:
            order.row = row
            self._forget_filled(order_id, order)

    def _forget_filled(self, order_id: str, order: OrderState) -> None:
        wanted = order.row.get("quantity") or 0.0
        if order.filled >= wanted or nothing(order.filled - wanted, wanted):
            del self.orders[order_id]


def read_state(path: Path) -> JournalState:
    """What the newest session adds up to: the newest checkpoint and the events after it.

    Raises
    ------
    NodeError
        If the file cannot be read, or an event after the checkpoint is damaged.
    """
    with reading(path) as connection:
        return JournalState() if connection is None else state_of(connection)


def state_of(connection: sqlite3.Connection) -> JournalState:
    """As :func:`read_state`, of an open journal."""
    return add_all(checkpointed(connection) or JournalState(), connection)


def add_all(state: JournalState, connection: sqlite3.Connection) -> JournalState:
    """Take in all events after the state's own."""
    events: Iterable[tuple[int, int, str, str]] = connection.execute(
        "SELECT seq, session, kind, payload FROM journal WHERE seq > ? ORDER BY seq", (state.seq,)
    )
    for event in events:
        state.add(*event)
    return state


def checkpointed(connection: sqlite3.Connection) -> JournalState | None:
    """The newest checkpoint; None where there is none that this version can read."""
    if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'journal_checkpoint'").fetchone()[0]:
        return None  # a version before this one wrote the file
    row = connection.execute("SELECT state FROM journal_checkpoint WHERE version = ?", (_VERSION,)).fetchone()
    try:
        return None if row is None else from_json(row[0])
    except NodeError:
        return None  # the events say the same


def write_checkpoint(connection: sqlite3.Connection, state: JournalState) -> None:
    """Make the state the journal's checkpoint."""
    connection.execute(
        "INSERT OR REPLACE INTO journal_checkpoint VALUES (1, ?, ?, ?)", (_VERSION, state.seq, to_json(state))
    )


def to_json(state: JournalState) -> str:
    """As text for the file."""
    return json.dumps(asdict(state))


def from_json(text: str) -> JournalState:
    """Read back what :func:`to_json` wrote.

    Raises
    ------
    NodeError
        If it is damaged.
    """
    try:
        fields = json.loads(text)
        markets = {market: MarketState(**one) for market, one in fields.pop("markets").items()}
        orders = {order_id: OrderState(**one) for order_id, one in fields.pop("orders").items()}
        return JournalState(**fields, markets=markets, orders=orders)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NodeError(f"the journal's checkpoint is damaged: {error}") from None
