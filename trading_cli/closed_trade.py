"""What one trade of the node was from its plan to its net profit: a screen of `trading demo`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from trading_assets.core.candles import Market
from trading_assets.core.precision import money
from trading_assets.settings import Settings
from trading_assets.store import configured_store
from trading_cli.console import named, synthetic_note

if TYPE_CHECKING:
    from trading_assets.lineage.closed_trade import ClosedTrade


def closed_trade(settings: Settings, command: str) -> Panel | None:
    """The node's most telling closed trade; None where none has ended."""
    from trading_assets.journal import JOURNAL_FILE
    from trading_assets.lineage.closed_trade import telling_trade

    path = settings.live_dir / JOURNAL_FILE
    trade = telling_trade(path, configured_store(settings), settings.node.starting_balance)
    if trade is None:
        return None
    table = Table.grid(padding=(0, 2))
    for name, text in _rows(trade, settings.trading.sizing.kind):
        table.add_row(name, text)
    table.add_row("why", f"{command} explain {escape(trade.plan.signal_id)}")
    title = f"One trade of the node: plan, size, costs, net profit{synthetic_note([trade.plan.market])}"
    return Panel(table, title=title, expand=False)


def _rows(trade: ClosedTrade, sizing: str) -> Iterator[tuple[str, str]]:
    plan, signal = trade.plan, trade.signal
    yield (
        "trade",
        f"{plan.side.word} {named(plan.market)} by {signal['model']} version {signal['model_version']}, "
        f"entered {trade.entered_at:%Y-%m-%d %H:%M} UTC at {plan.entry_price:.6g}",
    )
    yield "plan", "\n".join(_plan(trade))
    yield (
        "size",
        f"{sizing}: {plan.quantity:.6g} units, a notional of {money(trade.notional)}, "
        f"{trade.notional / trade.balance:.1%} of a balance of {money(trade.balance)}",
    )
    if signal["expected_net_pct"] is not None:
        yield "expected", f"{signal['expected_net_pct']:+.2f} % net of costs, before it was entered"
    reason = plan.exit_reason.replace("_", " ")
    yield "closed", f"{trade.closed_at:%Y-%m-%d %H:%M} UTC{f' by {reason}' if reason else ''}"
    yield "price", _amount(trade.gross)
    yield "fees", f"{_amount(-trade.fees)}  with what orders at the market slip"
    yield "funding", f"{_amount(trade.funding)}  {_funding(trade)}"
    colour = "green" if trade.net > 0 else "red"
    yield "net profit", f"[{colour}]{_amount(trade.net)}[/]  {trade.net / trade.notional:+.2%} of the notional"


def _plan(trade: ClosedTrade) -> Iterator[str]:
    """The stop and the targets as the entry's fill set them, and what moved the stop since."""
    plan, exits = trade.plan, trade.plan.exits
    first = plan.entry_price * (1 - plan.side * exits.stop)
    yield f"stop       {exits.stop:.2%} from the entry, at {first:.6g}"
    for target, order in zip(exits.targets, plan.targets, strict=True):
        part = f"{target.share:.0%} of it at {order.price:.6g}{', filled' if order.is_filled else ''}"
        yield f"target     {target.distance:.2%} from the entry, {part}"
    if plan.stop_kind != "stop_loss":
        yield f"stop then  at {plan.stop_price:.6g} ({plan.stop_kind.replace('_', ' ')})"
    yield f"time stop  {plan.expires_at:%Y-%m-%d %H:%M} UTC"


def _funding(trade: ClosedTrade) -> str:
    market = Market.parse(trade.plan.market)
    if not market.is_perpetual:
        return "none is due: not a perpetual"
    payments = f"{trade.payments} payment{'s' * (trade.payments != 1)} while it was held"
    if not trade.assumed:
        return payments
    what = "a synthetic market is charged nothing" if market.is_synthetic else "trading.costs.assumed_funding_bps"
    return f"{payments}, {trade.assumed} of them assumed: {what}"


def _amount(value: float) -> str:
    return f"{value:+,.2f}".rjust(10)
