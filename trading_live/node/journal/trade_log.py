"""One trade's story in the log, from the bar to the exit, each line with the trade's correlation id.

The journal is given everything that is decided and done; what it takes is logged here, a moment later and on a thread
of its own, so that no order waits for a line of text. Each line has the moment at which it happened.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog

from trading_assets.core.timeframes import Timeframe
from trading_assets.settings.logs import TRADES
from trading_assets.strategies.host.watching import Watch
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.signals import ClosedBar

CORRELATION: Final = "correlation_id"
"""The field by which lines of one trade are found. The ids of the trade's orders begin with it, so that it also finds
the engine's own lines, and the orders on the venue's page."""

_LOG: Final = structlog.get_logger(TRADES)
_BREATH_S: Final = 0.02
"""So long after it happened a line is written: the entry, and what protects it, are on their way by then."""

_GOODBYE_S: Final = 5.0
_MOST_WAITING: Final = 10_000
_MOST_TRADES: Final = 2_000
_DECISION: Final = (
    "model",
    "model_version",
    "side",
    "probability",
    "threshold",
    "expected_net_pct",
    "action",
    "reason",
)
_ORDER: Final = ("order_id", "purpose", "side", "order_type", "quantity", "price", "venue_order_id", "reason")
_FILL: Final = ("order_id", "trade_id", "side", "quantity", "price", "fee", "fee_currency", "filled_by")
_POSITION: Final = ("quantity", "average_price", "realized_pnl")
_PLAN: Final = ("stop_price", "stop_kind", "expires_at", "exit_reason")

type Events = Sequence[tuple[str, Mapping[str, Any]]]


class Watched(Protocol):
    """A strategy, as far as it can be watched."""

    watch: Watch | None


class TradeLog:
    """Logs decisions, orders, fills, positions and plans.

    Decisions to enter, or to refuse an entry, are logged with INFO, together with the bar that they were made on; those
    that nothing was wanted on with DEBUG.

    Parameters
    ----------
    account
        Our name of the account: the ids of orders begin with it.
    """

    def __init__(self, account: str) -> None:
        self._ids = OrderIds(account)
        self._queue: queue.SimpleQueue[tuple[float, Events] | None] = queue.SimpleQueue()
        self._heard: dict[tuple[str, str], float] = {}
        self._known: dict[str, str] = {}
        self._stages: dict[str, tuple[str, str]] = {}

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Write lines within a block; what was taken by its end is written."""
        thread = threading.Thread(target=self._run, name="trade-log", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._queue.put(None)
            thread.join(_GOODBYE_S)

    def take(self, events: Events) -> None:
        """Take what the journal was given; of a log that cannot be written, no more than it can hold."""
        if self._queue.qsize() < _MOST_WAITING:
            self._queue.put((time.time(), events))

    def follow(self, strategy: Watched) -> None:
        """Hear when bars come; whoever watches the strategy already goes on to."""
        strategy.watch = _Hearing(self._heard, strategy.watch)

    # -- on its own thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (taken := self._queue.get()) is not None:
            at, events = taken
            time.sleep(max(min(at + _BREATH_S - time.time(), _BREATH_S), 0))
            for kind, row in events:
                try:
                    self._tell(kind, row, at)
                except Exception:  # a line is never worth those that follow
                    _LOG.exception("trade log")

    def _tell(self, kind: str, row: Mapping[str, Any], at: float) -> None:
        if kind == "signals":
            self._decision(row, at)
        elif kind == "orders":
            self._order(row, at)
        elif kind == "fills":
            self._line(logging.INFO, "fill", row, at, _FILL)
        elif kind == "positions":
            self._line(logging.INFO, f"position {row['event']}", row, at, _POSITION)
        elif kind == "plans":
            self._plan(row, at)

    def _decision(self, row: Mapping[str, Any], at: float) -> None:
        market, timeframe, opened = row["market"], row["timeframe"], row["bar_ts"]
        level = logging.DEBUG if row["action"] == "hold" else logging.INFO
        if not logging.getLogger(TRADES).isEnabledFor(level):
            return
        closed = opened + Timeframe.parse(timeframe).length
        self._know(row["signal_id"], self._ids.of_signal(market, row["signal_id"], closed))
        bar = {"signal_id": row["signal_id"], "market": market, "timeframe": timeframe, "opened": opened}
        heard = self._heard.get((market, timeframe), at)
        self._line(level, "bar", bar | {"closed": closed}, heard, ("timeframe", "opened", "closed"))
        self._line(level, "decision", row, at, ("timeframe", *_DECISION))

    def _order(self, row: Mapping[str, Any], at: float) -> None:
        if self._ids.is_ours(row["order_id"]) and row["signal_id"]:
            self._know(row["signal_id"], self._ids.trade_of(row["order_id"]))
        self._line(logging.INFO, f"order {row['status'].replace('_', ' ')}", row, at, _ORDER)

    def _plan(self, row: Mapping[str, Any], at: float) -> None:
        """A plan is written with each of its changes: a line for each stage, and for each stop."""
        plan = json.loads(row["plan"])
        if self._ids.is_ours(plan["entry_order_id"]):
            self._know(row["signal_id"], self._ids.trade_of(plan["entry_order_id"]))
        now = (row["signal_id"], f"{plan['stage']} {plan['stop_price']} {plan['exit_reason']}")
        if self._stages.get(row["market"]) != now:
            self._stages[row["market"]] = now
            self._line(logging.INFO, f"trade {plan['stage']}", {**row, **plan}, at, _PLAN)

    def _know(self, signal_id: str, correlation: str) -> None:
        self._known.pop(signal_id, None)
        self._known[signal_id] = correlation
        if len(self._known) > _MOST_TRADES:
            del self._known[next(iter(self._known))]

    def _line(self, level: int, event: str, row: Mapping[str, Any], at: float, names: Sequence[str]) -> None:
        said = {name: _plain(row[name]) for name in names if row.get(name) not in (None, "")}
        signal_id = row["signal_id"]
        ids = {CORRELATION: self._known.get(signal_id, ""), "signal_id": signal_id, "market": row["market"]}
        stamp = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
        _LOG.log(level, event, **{name: one for name, one in ids.items() if one}, **said, timestamp=stamp)


class _Hearing:
    """Notes when decision bars come, for whoever watches too."""

    def __init__(self, heard: dict[tuple[str, str], float], further: Watch | None) -> None:
        self._heard = heard
        self._further = further

    def bar(self, bar: ClosedBar, arrived_ns: int) -> None:
        """A bar came."""
        self._heard[bar.market, bar.timeframe] = arrived_ns / 1e9
        if self._further is not None:
            self._further.bar(bar, arrived_ns)

    def order_event(self, event: Any) -> None:
        """An order has a new status."""
        if self._further is not None:
            self._further.order_event(event)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
