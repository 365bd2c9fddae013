"""`trading statement`: the venue's account statement beside the journal, to the cent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Group
from rich.table import Table

from trading_assets.core.errors import NodeError
from trading_assets.settings import Settings, load_settings
from trading_assets.settings.sections.kinds import only_asked
from trading_cli.console import console

if TYPE_CHECKING:
    from trading_live.reconciliation.statement import Comparison


def statement() -> None:
    """Show the venue's account statement beside what the journal comes to; exit code 1 where they differ by a cent."""
    with only_asked():
        settings = load_settings()
    from trading_assets.journal import JOURNAL_FILE
    from trading_assets.strategies.orders.order_ids import OrderIds
    from trading_live.reconciliation.statement import beside
    from trading_live.venues.account.open import account_of

    account = account_of(settings, _markets(settings))
    found = beside(account, settings.live_dir / JOURNAL_FILE, OrderIds(settings.node.account).is_ours)
    console.print(beside_table(found, account.place))
    if not found.agrees:
        raise typer.Exit(1)


def beside_table(found: Comparison, place: str) -> Group:
    """The lines of the statement beside the journal's, and whether they agree."""
    table = Table(title=f"{place} since {found.since:%Y-%m-%d %H:%M:%S} UTC")
    for column in ("", "currency", "venue", "journal", "difference"):
        table.add_column(column, justify="left" if column in ("", "currency") else "right")
    for line in found.lines:
        style = "" if line.agrees else "red"
        numbers = (f"{value:,.2f}" for value in (line.venue, line.journal, round(line.difference, 2) + 0.0))
        table.add_row(line.kind, line.currency, *numbers, style=style)
    return Group(table, "journal and venue agree to the cent" if found.agrees else "[red]journal and venue differ[/]")


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
