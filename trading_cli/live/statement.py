"""`trading statement`: the venue's account statement beside the journal, to the cent."""

from __future__ import annotations

import typer
from rich.console import Group
from rich.table import Table

from trading_assets.core.errors import NodeError
from trading_assets.settings import Settings, load_settings
from trading_assets.settings.sections.kinds import only_asked
from trading_cli.console import console


def statement() -> None:
    """Show the venue's account statement beside what the journal comes to; exit code 1 where they differ by a cent."""
    with only_asked():
        settings = load_settings()
    agrees, shown = beside_journal(settings, _markets(settings))
    console.print(shown)
    if not agrees:
        raise typer.Exit(1)


def beside_journal(settings: Settings, markets: list[str]) -> tuple[bool, Group]:
    """Whether the statement of the settings' account is the journal's, and both, line by line."""
    from trading_assets.journal import JOURNAL_FILE
    from trading_assets.strategies.orders.order_ids import OrderIds
    from trading_live.reconciliation.statement import beside
    from trading_live.venues.account.open import account_of

    account = account_of(settings, markets)
    found = beside(account, settings.live_dir / JOURNAL_FILE, OrderIds(settings.node.account).is_ours)
    table = Table(title=f"{account.place} since {found.since:%Y-%m-%d %H:%M:%S} UTC")
    for column in ("", "currency", "venue", "journal", "difference"):
        table.add_column(column, justify="left" if column in ("", "currency") else "right")
    for line in found.lines:
        style = "" if line.agrees else "red"
        numbers = (f"{value:,.2f}" for value in (line.venue, line.journal, round(line.difference, 2) + 0.0))
        table.add_row(line.kind, line.currency, *numbers, style=style)
    words = "journal and venue agree to the cent" if found.agrees else "[red]journal and venue differ[/]"
    return found.agrees, Group(table, words)


def _markets(settings: Settings) -> list[str]:
    """Of the journal and the settings: those that the node traded."""
    from trading_assets.journal import JOURNAL_FILE, read_session
    from trading_live.venues.registry import venue_of

    venue = venue_of(settings)
    traded = read_session(settings.live_dir / JOURNAL_FILE)["fills"]["market"].unique().to_list()
    wanted = [market for market in settings.markets_of(settings.models) if venue.carries(market)]
    if not (found := sorted({*traded, *wanted})):
        raise NodeError("no market was traded", where="models", remedy="name a model's markets in the settings")
    return found
