"""What `trading check` says of sizes."""

from __future__ import annotations

from rich.table import Table

from trading_assets.settings import Settings
from trading_cli.console import console


def show_sizes(settings: Settings) -> None:
    """Print how large a first position of each model is, of the balance that a node starts with."""
    from trading_assets.core.precision import money
    from trading_assets.strategies.sizing.examples import size_example

    equity = settings.node.starting_balance
    table = Table("model", "a first entry", "notional", "lost at stop", "leverage")
    limited = []
    for name in settings.models:
        one = size_example(settings, name, equity)
        lost = f"{money(one.at_stop)} ({one.at_stop / equity:.2%})"
        table.add_row(name, one.assumed, money(one.notional), lost, f"{one.leverage:.2f}")
        limited += [f"          {name}: {why}" for why in one.limited]
    console.print(table)
    console.print(f"sizes     {settings.trading.sizing.kind}, of {money(equity)} (node.starting_balance)")
    for line in limited:
        console.print(line, soft_wrap=True)
