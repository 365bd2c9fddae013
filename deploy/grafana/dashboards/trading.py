"""The dashboard of the account: what is open, what it is worth, what was decided and ordered."""

from __future__ import annotations

from deploy.grafana.dashboards.board import Board, Row, lines, number

_MARKET = '{instance=~"$instance", market=~"$market"}'
_NODE = '{instance=~"$instance"}'
RISK_WORDS = {"0": "running", "1": "reducing", "2": "halted"}

TRADING = Board(
    "trading",
    "Trading",
    "Account, positions, decisions and orders of a node.",
    (
        Row(
            "Now",
            (
                number("Equity", f"trading_equity{_NODE}", text="Balance and open positions at their last price."),
                number("Drawdown", f"trading_drawdown_ratio{_NODE}", unit="percentunit", limit=0.1),
                number("Realised today", f"trading_daily_realized_pnl{_NODE}", text="After fees, of the UTC day."),
                number("Open positions", f"sum(trading_position_quantity{_NODE} != bool 0)"),
                number("Leverage", f"trading_leverage_ratio{_NODE}", text="Open positions as a multiple of equity."),
                number(
                    "Allowed",
                    f"max(trading_node_halted{_NODE} * 2 or trading_risk_state{_NODE})",
                    limit=1,
                    text="The strictest of the circuit breaker and the protections.",
                    words=RISK_WORDS,
                ),
            ),
        ),
        Row(
            "Account",
            (
                lines("Equity", (f"trading_equity{_NODE}", "equity"), (f"trading_equity_peak{_NODE}", "peak")),
                lines("Drawdown", (f"trading_drawdown_ratio{_NODE}", "{{currency}}"), unit="percentunit"),
                lines(
                    "Profit and loss",
                    (f"trading_realized_pnl{_NODE}", "realised"),
                    (f"trading_unrealized_pnl{_NODE}", "unrealised"),
                    (f"trading_fees_paid{_NODE}", "fees"),
                ),
                lines(
                    "The day's loss and its limit",
                    (f"-trading_daily_realized_pnl{_NODE}", "loss of the day"),
                    ('trading_risk_limit{instance=~"$instance", limit="max_daily_loss"}', "limit"),
                ),
            ),
        ),
        Row(
            "Positions",
            (
                lines("Worth of positions", (f"trading_position_notional{_MARKET}", "{{market}}")),
                lines("Their result so far", (f"trading_position_unrealized_pnl{_MARKET}", "{{market}}")),
                lines("Exposure", (f"trading_exposure_notional{_NODE}", "{{side}}")),
                lines(
                    "Without a stop for",
                    (f"trading_position_unprotected_seconds{_MARKET}", "{{market}}"),
                    unit="s",
                    text="0 where a stop rests or an exit is on its way.",
                ),
            ),
        ),
        Row(
            "Decisions and orders",
            (
                lines(
                    "Decisions an hour",
                    (f"sum by (action) (increase(trading_decisions_total{_NODE}[1h]))", "{{action}}"),
                ),
                lines("Orders that are not over", (f"trading_orders{_NODE}", "{{state}}")),
                lines(
                    "Order events in ten minutes",
                    (f"sum by (status) (increase(trading_order_events_total{_NODE}[10m]))", "{{status}}"),
                ),
                lines(
                    "Rejected",
                    (f"instance:trading_orders_rejected:ratio10m{_NODE}", "share of ten minutes' orders"),
                    unit="percentunit",
                ),
                lines("Fills an hour", (f"sum by (side) (increase(trading_fills_total{_NODE}[1h]))", "{{side}}")),
                lines("Traded an hour", (f"increase(trading_traded_notional_total{_NODE}[1h])", "notional")),
                lines(
                    "Trades closed an hour",
                    (f"sum by (result) (increase(trading_trades_closed_total{_NODE}[1h]))", "{{result}}"),
                ),
                lines(
                    "Orders of the last minute",
                    (f"trading_orders_per_minute{_NODE}", "orders"),
                    text="By the market's clock.",
                ),
            ),
        ),
        Row(
            "What holds it back",
            (
                lines(
                    "Risk state",
                    (f"trading_risk_state{_NODE}", "{{scope}}"),
                    text="0 running, 1 reducing (no entries), 2 halted (flat): the protections' verdict.",
                    words=RISK_WORDS,
                ),
                lines(
                    "Protections",
                    (f"trading_risk_hold{_NODE}", "{{scope}}: {{cause}}"),
                    text="Each in force; none while all is well.",
                    words=RISK_WORDS,
                ),
                lines(
                    "Differences of journal, engine and venue",
                    (f"trading_reconciliation_differences{_MARKET}", "{{market}}"),
                    text="Nothing is entered on a market that has one.",
                ),
                lines(
                    "Since they were compared",
                    (f"trading_reconciliation_age_seconds{_NODE}", "age"),
                    unit="s",
                    text="From five minutes on an alert.",
                ),
            ),
        ),
    ),
)
