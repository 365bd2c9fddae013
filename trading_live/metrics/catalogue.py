"""Every metric that the node exports, with its meaning and labels; ``docs/reference/metrics-exported.md`` shows them.

A label has few values, known beforehand: models, markets that are listened to, actions, states. Reasons and ids are not
among them: the journal has those.
"""

from __future__ import annotations

from typing import Final

from trading_assets.monitoring.exported.page import Catalogue

NODE: Final = Catalogue()

# -- the process --------------------------------------------------------------------------------------------------

INFO: Final = NODE.gauge("trading_node_info", "1; what runs here.", "node", "venue", "environment", "mode", "version")
STATE: Final = NODE.gauge("trading_node_state", "1 for the state that the node is in, 0 for all others.", "state")
STARTED: Final = NODE.gauge("trading_node_started_timestamp_seconds", "When the process began.")
HEARTBEAT_AGE: Final = NODE.gauge(
    "trading_node_heartbeat_age_seconds",
    "Since the engine's thread said last that it lives; grows where it hangs while this page is still served.",
)
MARKET_TIME: Final = NODE.gauge(
    "trading_node_market_timestamp_seconds", "End of the newest bar dealt with: the market's clock."
)
HALTED: Final = NODE.gauge("trading_node_halted", "1 while the strategy enters nothing any more.")
KILL_SWITCH: Final = NODE.gauge("trading_node_kill_switch", "1 while the kill switch is on.")
ERRORS: Final = NODE.counter(
    "trading_node_errors_total", "Exceptions that the circuit breaker caught; each halts the strategy."
)
EVENTS: Final = NODE.counter(
    "trading_node_events_total", "What the node told its journal, by the name of the event.", "event"
)
RECONNECTS: Final = NODE.counter(
    "trading_node_reconnects_total", "Connections to the venue that were lost and made again.", "client"
)
SOCKETS: Final = NODE.gauge("trading_node_connections", "Connections to the venue by state.", "state")
QUEUE: Final = NODE.gauge(
    "trading_node_queue_length",
    "What waits: bars for their decision, events for their handler, challengers' passes, history, journal events.",
    "queue",
)
ENGINE_QUEUE: Final = NODE.gauge(
    "trading_node_engine_queue_length",
    "Depth of an engine's queue when it warned last; 0 when it cleared.",
    "queue",
)
DISK_FREE: Final = NODE.gauge("trading_node_disk_free_bytes", "Free where the journal grows.")
DISK_LEAST: Final = NODE.gauge("trading_node_disk_min_free_bytes", "The setting node.min_free_mb.")
DROPPED: Final = NODE.gauge(
    "trading_node_dropped_series", "Series left out of this page because their metric has too many."
)
INCOMPLETE: Final = NODE.gauge(
    "trading_node_page_incomplete", "1 where something on this page could not be read; the node's log says what."
)

# -- bars ---------------------------------------------------------------------------------------------------------

BARS: Final = NODE.counter("trading_bars_total", "Closed bars that came, by timeframe.", "timeframe")
BAR_AGE: Final = NODE.gauge("trading_bar_age_seconds", "Since the newest bar of a market came.", "market")
BAR_LIMIT: Final = NODE.gauge(
    "trading_bar_limit_seconds",
    "How old a market's newest bar may become: the length of its finest bars and node.feed.max_silence_s.",
    "market",
)
BAR_END: Final = NODE.gauge("trading_bar_end_timestamp_seconds", "End of the newest bar of a market.", "market")
UNTRUSTED: Final = NODE.gauge(
    "trading_market_untrusted", "1 while a market's feed is not trusted: stale, quarantined or clock.", "market", "kind"
)
WAITING: Final = NODE.gauge("trading_market_waiting", "1 while nothing can be decided on a market.", "market")
MISSED: Final = NODE.counter("trading_bars_missed_total", "Bars that were found missing and asked for again.")
RECOVERED: Final = NODE.counter("trading_bars_recovered_total", "Of those, the ones that the venue had.")
CLOCK: Final = NODE.gauge(
    "trading_node_clock_skew_seconds",
    "By how much the newest bars ended after they came, by this machine's clock, the largest of all markets; bars come "
    "after their end, so a positive one means that the clock is slow. Not told in a replay.",
)

# -- decisions and models -----------------------------------------------------------------------------------------

DECISIONS: Final = NODE.counter(
    "trading_decisions_total", "Decisions by model and action: enter, hold or refuse.", "model", "action"
)
DECISION_AGE: Final = NODE.gauge("trading_decision_age_seconds", "Since the newest decision, or since trading began.")
DECISION_LIMIT: Final = NODE.gauge(
    "trading_decision_limit_seconds",
    "How old the newest decision may become: twice the shortest timeframe decided on and node.feed.max_silence_s.",
)
LATENCY: Final = NODE.histogram(
    "trading_latency_seconds",
    "How long a stage took. bar_to_decision: from a bar's arrival to the decision on it, gathering included. "
    "decision_to_order: from there to the sent entry, through the journal. bar_to_order: both. journal_write: the "
    "write that an entry waits for. order_to_ack: from a sent order to the venue's first word on it.",
    "stage",
)
MODEL_INFO: Final = NODE.gauge(
    "trading_model_info", "1 for each version in use.", "model", "version", "bundle_hash", "role"
)
MODELS: Final = NODE.gauge("trading_models", "Versions by state: in_use, refused, challenger, set_aside.", "state")

# -- orders and fills ---------------------------------------------------------------------------------------------

ORDERS: Final = NODE.gauge("trading_orders", "Orders that are not over, by the engine's state.", "state")
ORDER_EVENTS: Final = NODE.counter(
    "trading_order_events_total", "Events of orders by what these are for, and new status.", "purpose", "status"
)
FILLS: Final = NODE.counter("trading_fills_total", "Fills by side.", "side")
TRADED: Final = NODE.counter("trading_traded_notional_total", "Price times quantity of all fills.")
FEES: Final = NODE.gauge("trading_fees_paid", "Fees of this process' fills, rebates taken off.", "currency")
TRADES: Final = NODE.counter("trading_trades_closed_total", "Round trips by result: won or lost.", "result")
ORDERS_MINUTE: Final = NODE.gauge("trading_orders_per_minute", "Orders of the last minute, by the market's clock.")

# -- account ------------------------------------------------------------------------------------------------------

POSITION: Final = NODE.gauge("trading_position_quantity", "Held, negative for a short position.", "market")
NOTIONAL: Final = NODE.gauge("trading_position_notional", "What it is worth, negative for a short position.", "market")
POSITION_PNL: Final = NODE.gauge("trading_position_unrealized_pnl", "Its profit and loss so far.", "market")
UNPROTECTED: Final = NODE.gauge(
    "trading_position_unprotected_seconds",
    "How long an open position has had neither a stop that rests nor an exit on its way; 0 while it has.",
    "market",
)
EXPOSURE: Final = NODE.gauge("trading_exposure_notional", "Open positions together, by side.", "side")
LEVERAGE: Final = NODE.gauge("trading_leverage_ratio", "Both sides together as a multiple of equity.")
EQUITY: Final = NODE.gauge("trading_equity", "Balance and open positions at their last price.", "currency")
PEAK: Final = NODE.gauge("trading_equity_peak", "The highest equity that this process has seen.", "currency")
DRAWDOWN: Final = NODE.gauge(
    "trading_drawdown_ratio", "How far equity is below that peak, open trades included.", "currency"
)
UNREALIZED: Final = NODE.gauge("trading_unrealized_pnl", "Of all open positions.", "currency")
REALIZED: Final = NODE.gauge(
    "trading_realized_pnl",
    "Of the engine's positions, after fees; without what the journal held before.",
    "currency",
)
DAILY_PNL: Final = NODE.gauge("trading_daily_realized_pnl", "After fees, of the market's UTC day.")
LIMIT: Final = NODE.gauge("trading_risk_limit", "The setting trading.risk.<limit>, where it is set.", "limit")

# -- what guards it -----------------------------------------------------------------------------------------------

JOURNAL_TROUBLE: Final = NODE.gauge("trading_journal_trouble", "1 while the journal cannot be written.")
JOURNAL_WAITING: Final = NODE.gauge("trading_journal_waiting_events", "Events that stand in memory only.")
JOURNAL_BYTES: Final = NODE.gauge("trading_journal_size_bytes", "The journal's file with what is not yet folded in.")
RISK_STATE: Final = NODE.gauge(
    "trading_risk_state", "0 running, 1 reducing (no entries), 2 halted (flat): the protections' verdict.", "scope"
)
RISK_HOLD: Final = NODE.gauge(
    "trading_risk_hold", "1 reducing, 2 halted: each hold in force with its cause.", "scope", "cause"
)
RECONCILED_AGE: Final = NODE.gauge(
    "trading_reconciliation_age_seconds", "Since journal, engine and venue were compared last."
)
DIFFERENCES: Final = NODE.gauge(
    "trading_reconciliation_differences", "What journal, engine and venue do not agree on, by market.", "market"
)
