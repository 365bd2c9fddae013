"""What a node journalled of one decision: the signal, the plan, the orders, the fills and the position."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl

from trading_assets.core.errors import NodeError
from trading_assets.core.sides import Side
from trading_assets.journal import PLANS, SHADOW, TABLES, find_events, newest_events, shadow_signals
from trading_assets.store import Store
from trading_assets.store.tables import FILLS, LIVE_FEATURES, ORDERS, POSITIONS, SHADOW_SIGNALS, SIGNALS
from trading_assets.strategies.orders.order_ids import LENGTH, OrderIds
from trading_assets.strategies.plans.plan import TradePlan

_NAMED: Final = ((ORDERS.name, "order_id"), (FILLS.name, "trade_id"), (POSITIONS.name, "position_id"))
_OFFERED: Final = 3
_SIGNAL: Final = re.compile(r"(?P<model>.+)-v(?P<version>\d+)-(?P<market>[^-]+:.+)-(?P<bar>\d{8}T\d{4})")


class Events(Protocol):
    """Where events come from."""

    def of(self, kind: str, column: str, value: str | datetime) -> pl.DataFrame:
        """The events of a kind whose column says a value, in the order of writing."""
        ...

    def newest(self, kind: str, count: int) -> pl.DataFrame:
        """The last events of a kind."""
        ...

    def shadow(self, bar_ts: datetime) -> pl.DataFrame:
        """What champions and challengers said in shadow on bars that opened then: rows of ``shadow_signals``."""
        ...


@dataclass(frozen=True, slots=True)
class JournalEvents:
    """Events of a journal's file."""

    path: Path

    def of(self, kind: str, column: str, value: str | datetime) -> pl.DataFrame:
        """The events of a kind whose column says a value, in the order of writing."""
        return find_events(self.path, kind, column, value)

    def newest(self, kind: str, count: int) -> pl.DataFrame:
        """The last events of a kind."""
        return newest_events(self.path, kind, count)

    def shadow(self, bar_ts: datetime) -> pl.DataFrame:
        """What was said in shadow on bars that opened then."""
        return shadow_signals(find_events(self.path, SHADOW, "bar_ts", bar_ts))


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """Events that were loaded into the store: of any node, without the plans, which stay in the journal."""

    store: Store

    def of(self, kind: str, column: str, value: str | datetime) -> pl.DataFrame:
        """The events of a kind whose column says a value, in the order of writing."""
        if kind not in TABLES and kind != SHADOW_SIGNALS.name:
            return pl.DataFrame()
        query = f"SELECT * FROM {kind} WHERE {column} = $value ORDER BY node, seq"  # both are names of the project
        return self.store.query(query, {"value": value})

    def newest(self, kind: str, count: int) -> pl.DataFrame:
        """The last events of a kind."""
        return self.store.query(f"SELECT * FROM {kind} ORDER BY ts DESC, seq DESC LIMIT {count:d}").reverse()

    def shadow(self, bar_ts: datetime) -> pl.DataFrame:
        """What was said in shadow on bars that opened then."""
        return self.of(SHADOW_SIGNALS.name, "bar_ts", bar_ts)


@dataclass(frozen=True, slots=True)
class Trail:
    """What is journalled of one decision.

    Attributes
    ----------
    signal
        The row of ``signals``.
    features
        The row of ``live_features``: what the node saw; None where it was not kept.
    plan
        The newest one; None where no trade was planned, or the journal is not there.
    orders, fills, positions
        Of the trade, in the order of writing.
    """

    signal: Mapping[str, Any]
    features: Mapping[str, Any] | None
    plan: TradePlan | None
    orders: pl.DataFrame
    fills: pl.DataFrame
    positions: pl.DataFrame

    @property
    def side(self) -> Side:
        """Of the signal."""
        return Side(self.signal["side"])

    @property
    def correlation_id(self) -> str:
        """What the ids of its orders begin with, and the log's lines about it hold; empty where nothing was ordered."""
        first = self.orders["order_id"][0] if self.orders.height else ""
        return OrderIds.trade_of(first) if len(first) == LENGTH else ""

    @property
    def closed(self) -> Mapping[str, Any] | None:
        """The position's last row where the trade has ended."""
        ended = self.positions.filter(pl.col("event") == "closed")
        return ended.row(-1, named=True) if ended.height else None


def find(reference: str, events: Events) -> Trail:
    """The trail of a signal, or of the signal that an order, a trade or a position is of.

    Of a signal that several sessions made, as replays of the same days do, the newest one.

    Parameters
    ----------
    reference
        ``signal_id``, ``order_id``, ``trade_id``, ``position_id``, or what the log calls ``correlation_id``; empty for
        the newest entry.

    Raises
    ------
    NodeError
        If nothing of that name is journalled, or no signal caused it.
    """
    signal = _signal(reference, events)
    signal_id, node, since = signal["signal_id"], signal["node"], signal["seq"]

    def caused(kind: str) -> pl.DataFrame:
        rows = events.of(kind, "signal_id", signal_id)
        return rows.filter(pl.col("node") == node, pl.col("seq") > since) if rows.height else rows

    plans = caused(PLANS)
    return Trail(
        signal=signal,
        features=_seen(signal, events),
        plan=TradePlan.from_json(plans["plan"][-1]) if plans.height else None,
        orders=caused(ORDERS.name),
        fills=caused(FILLS.name),
        positions=caused(POSITIONS.name),
    )


def _signal(reference: str, events: Events) -> dict[str, Any]:
    if not reference:
        entered = events.newest(SIGNALS.name, 10_000).filter(pl.col("action") == "enter")
        if entered.is_empty():
            raise NodeError(
                "the journal has no entry yet", remedy=_offered(events) or "trading paper or trading demo makes some"
            )
        return entered.row(-1, named=True)
    for kind, column in ((SIGNALS.name, "signal_id"), *_NAMED):
        found = events.of(kind, column, reference)
        if found.is_empty():
            continue
        if kind == SIGNALS.name:
            return found.row(-1, named=True)
        if not (signal_id := found["signal_id"][-1]):
            raise NodeError(
                f"no signal caused {reference!r}: {_what(found.row(-1, named=True))}",
                remedy="only decisions can be rebuilt; name a signal or an order of a trade",
            )
        return _signal(signal_id, events)
    if (said := _in_shadow(reference, events)) is not None:
        return said
    if (
        len(entry := OrderIds.entry_of(reference)) == LENGTH
        and not events.of(ORDERS.name, "order_id", entry).is_empty()
    ):
        return _signal(entry, events)
    raise NodeError(
        f"no signal, order, trade or position {reference!r} is journalled",
        remedy=_offered(events) or "the journal has no signal yet",
    )


def _offered(events: Events) -> str:
    """What can be asked for instead."""
    newest = events.newest(SIGNALS.name, _OFFERED)["signal_id"].to_list()
    return f"the newest signals are {', '.join(reversed(newest))}" if newest else ""


def _in_shadow(reference: str, events: Events) -> dict[str, Any] | None:
    """What a challenger said, as the signal that it would have been; its journal keeps no prediction set."""
    if (named := _SIGNAL.fullmatch(reference)) is None:
        return None
    try:
        bar_ts = datetime.strptime(named["bar"], "%Y%m%dT%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    rows = events.shadow(bar_ts)
    if rows.is_empty():
        return None
    own = rows.filter(market=named["market"], model=named["model"], model_version=int(named["version"]))
    if own.is_empty():
        return None
    row = own.row(-1, named=True)
    needs = f"in shadow, nothing is ordered on it: probability {row['probability']:.4f}, needed {row['threshold']:.4g}"
    return {**row, "signal_id": reference, "reason": needs}


def _what(row: Mapping[str, Any]) -> str:
    said = " ".join(str(row[name]) for name in ("purpose", "event", "side") if row.get(name))
    return f"{said} of {row['market']} at {row['ts']:%Y-%m-%d %H:%M}"


def _seen(signal: Mapping[str, Any], events: Events) -> dict[str, Any] | None:
    rows = events.of(LIVE_FEATURES.name, "bar_ts", signal["bar_ts"])
    if rows.is_empty():
        return None
    own = rows.filter(pl.col(name) == signal[name] for name in ("node", "market", "timeframe", "bundle_hash"))
    return own.row(-1, named=True) if own.height else None
