"""`trading demo`: the whole path on the markets of the settings, from candles to a node whose orders a venue fills."""

from __future__ import annotations

import os
import shlex
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from trading_assets.core.errors import NodeError, TradingError
from trading_assets.core.precision import money
from trading_assets.settings import SETTINGS_FILE_VARIABLE, Settings, load_settings, logs
from trading_assets.store import TABLES, configured_store
from trading_cli.closed_trade import closed_trade
from trading_cli.console import console, synthetic_note
from trading_cli.live.statement import beside_journal
from trading_cli.market_data.backfill import backfill_markets, judge_models, require_models, verdicts
from trading_cli.rehearsal import rehearsed, stop
from trading_live.operations.kill_switch import require_off

if TYPE_CHECKING:
    from rich.console import RenderableType

    from trading_live.replay.orders import AccountView

_PLAIN = ".venv/bin/trading"


def demo(
    paper_seconds: Annotated[
        float, typer.Option(min=1, help="Seconds in which the days kept from training are replayed.")
    ] = 30.0,
) -> None:
    """Run the main job: data, models, backtests, gates, promotion, a rehearsal, the journal back in the tables."""
    began = time.monotonic()
    settings = load_settings()
    logs.configure(settings, "demo")
    require_models(settings)
    require_off(settings.live_dir)  # it would refuse the node, minutes later
    markets = list(settings.markets)
    console.print(
        Panel(f"From candles to orders at a venue on {len(markets)} markets{synthetic_note(markets)}", expand=False)
    )

    _headline("1/5 candles, bars, features, labels")
    if failed := [result.subject for result in backfill_markets(settings) if not result.success]:
        raise TradingError(
            f"the backfill of {', '.join(failed)} failed", remedy="the reasons stand above and in the UI"
        )

    _headline("2/5 walk-forward, candidate, backtest, gates")
    judged = judge_models(settings)
    console.print(verdicts(settings, judged))
    approved = [result.subject for result in judged if "approved" in result.materialized]
    if not approved:
        raise TradingError("no model passed its gates: nothing to trade", remedy="the failed gates stand above")

    _headline("3/5 promotion by the sensor")
    _promote(settings)

    _headline(f"4/5 orders at the local exchange, with made-up keys{synthetic_note(markets)}")
    for shown in _rehearse(settings, approved, paper_seconds):
        console.print(shown)

    _headline("5/5 the node's journal back in the tables")
    _load_journal(settings)
    if (trade := closed_trade(settings, _short_command())) is not None:
        console.print(trade)
    console.print(_closing_screen(settings, time.monotonic() - began))
    if (command := _command()) != _PLAIN:
        console.print(f"alias trading='{command}'  # for the commands above", soft_wrap=True)


def _headline(text: str) -> None:
    console.print(f"\n[bold]{text}[/]")


def _promote(settings: Settings) -> None:
    """Let the promotion sensor see the approvals; a repeated demo finds everything promoted already."""
    from trading_assets.launch import tick_promotion_sensor
    from trading_assets.registry.deployment import read_manifest

    failed = [result for result in tick_promotion_sensor(settings) if not result.success]
    manifest = read_manifest(settings.live_dir)
    for result in failed:
        what = f"the promotion of {result.subject} failed: {result.failures}"
        if not manifest.models:
            raise TradingError(what, remedy="see the UI")
        console.print(f"[yellow]{escape(what)}[/]")  # as of a second model on a market's bars; the others trade
    for model in manifest.models.values():
        console.print(f"{model.model} version {model.version} is active{synthetic_note(list(model.markets))}")


def _rehearse(settings: Settings, models: list[str], seconds: float) -> list[RenderableType]:
    """Replay the days kept from training to a node of its own process, whose orders the local exchange fills.

    The node is stopped as Ctrl-C would; what the exchange has booked by then is compared with the journal.

    Raises
    ------
    NodeError
        If the node ends early, or the exchange's statement is not the journal's.
    """
    markets = sorted(settings.markets_of(models))
    days = timedelta(days=min(settings.models[model].holdout_days for model in models) or 1.0)
    output = settings.data_dir / "logs" / "demo-node.txt"
    with rehearsed(settings, markets, days=days, seconds=seconds, output=output) as (server, node):
        stop(node)
        return [_booked(settings, server.account), _statement(settings, markets, server.port)]


def _statement(settings: Settings, markets: list[str], port: int) -> RenderableType:
    """The exchange's statement beside the journal's, by the requests that a real account would be asked with."""
    node = settings.node.model_copy(update={"mode": "live", "environment": "replay"})
    replay = settings.replay.model_copy(update={"port": port})
    agrees, shown = beside_journal(settings.model_copy(update={"node": node, "replay": replay}), markets)
    if not agrees:
        console.print(shown)
        raise NodeError("the exchange's statement is not the journal's", where=f"port {port}", remedy="see data/logs")
    return shown


def _booked(settings: Settings, account: AccountView) -> Table:
    """What the local exchange has booked, beside what the node's journal says of it."""
    from trading_assets.journal import JOURNAL_FILE, read_session

    fills = read_session(settings.live_dir / JOURNAL_FILE)["fills"]
    table = Table("booked", "local exchange", "journal")
    table.add_row("fills", f"{len(account.fills):,}", f"{fills.height:,}")
    traded = (float(sum(one.quantity for one in account.fills)), float(fills["quantity"].sum()))
    table.add_row("bought and sold, base units", *(f"{one:,.3f}" for one in traded))
    return table


def _load_journal(settings: Settings) -> None:
    from trading_assets.launch import load_journal

    result = load_journal(settings)
    if not result.success:
        raise TradingError(f"the journal could not be loaded: {result.failures}", remedy="see the UI")
    store = configured_store(settings)
    summary = store.read(TABLES["performance_summary"])
    table = Table("rehearsal", *(model + synthetic_note(_markets(settings, model)) for model in summary["model"]))
    for name in (
        "first_ts",
        "last_ts",
        "decisions",
        "trades_closed",
        "win_rate",
        "realized_pnl",
        "fees",
        "funding",
        "open_positions",
    ):
        table.add_row(name, *map(_cell, summary[name]))
    console.print(table)
    counts = {name: store.read(TABLES[name]).height for name in ("signals", "orders", "fills", "positions")}
    console.print(", ".join(f"{count:,} {name}" for name, count in counts.items()) + " in the tables")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return money(value)
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value)


def _markets(settings: Settings, model: str) -> list[str]:
    return settings.models[model].markets if model in settings.models else []


def _command() -> str:
    """How the `trading` command is called on this project again: with the flags that this demo was given."""
    flags = {"--settings": SETTINGS_FILE_VARIABLE, "--data-dir": "TRADING_DATA_DIR"}
    given = ((flag, os.environ.get(variable)) for flag, variable in flags.items())
    program = _from_here(str(Path(sys.prefix) / "bin" / "trading"))
    return " ".join([program, *(f"{flag} {shlex.quote(_from_here(path))}" for flag, path in given if path)])


def _short_command() -> str:
    """The same, by the alias that the demo ends with where flags were given."""
    return _PLAIN if _command() == _PLAIN else "trading"


def _from_here(path: str) -> str:
    """A path as one would type it."""
    there = Path(path)
    return str(there.relative_to(Path.cwd()) if there.is_relative_to(Path.cwd()) else there)


def _closing_screen(settings: Settings, seconds: float) -> Panel:
    from trading_assets.backtest.report.files import reports

    command = _short_command()
    opened = [
        ("ui", "http://localhost:3000"),
        ("report --open", "the report of one that trades"),
        ("models", "the registry"),
        ("status", "the node and its positions"),
        ('sql "SELECT * FROM trades"', "see docs/reference/tables.md"),
    ]
    lines = [
        f"Done in {seconds:.0f} s. All results above rest on "
        + ("[yellow]synthetic[/] candles." if synthetic_note(list(settings.markets)) else "your candles."),
        "",
        *(f"{command} {one:<29}{what}" for one, what in opened),
    ]
    lines += ["", *(f"report  {one.file}" for one in reports(settings.reports_dir)[-len(settings.models) :])]
    return Panel("\n".join(lines), title="What to open next", expand=False)
