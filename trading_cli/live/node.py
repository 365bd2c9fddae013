"""`trading replay` and `status`: the local exchange, and what the node does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from trading_assets.core.errors import SettingsError
from trading_assets.core.precision import significant
from trading_assets.core.sides import Side
from trading_assets.settings import load_settings, logs
from trading_assets.settings.sections.kinds import only_asked
from trading_cli.console import console, named, progress
from trading_cli.live.performance import account_lines

if TYPE_CHECKING:
    from trading_assets.settings import Settings
    from trading_live.operations.heartbeat import Heartbeat
    from trading_live.operations.status import NodeStatus

_NEWEST_SIGNALS = 5

Speed = Annotated[float | None, typer.Option(min=0.001, help="Replayed seconds per second.", show_default=False)]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the local exchange.", show_default=False)]


def replay(
    market: Annotated[list[str] | None, typer.Option(help="A market; repeatable. Default: all.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="UTC, e.g. 2025-05-28 or 2025-05-28T12:00.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="UTC, exclusive. Default: all that is stored.")] = None,
    speed: Speed = None,
    port: Port = None,
    faults: Annotated[Path | None, typer.Option(help="A script of faults (YAML) that it commits.")] = None,
    statement: Annotated[Path | None, typer.Option(help="Where to write the account's statement (CSV).")] = None,
) -> None:
    """Serve stored candles as a local exchange in Binance USD-M's protocol and Bybit's, and take orders as they do.

    It waits for its first subscriber. With --statement each change of the account's balance is written when it ends.
    """
    with only_asked():
        settings = load_settings()
    logs.configure(settings, "replay")
    if statement is not None and not statement.parent.is_dir():
        raise SettingsError(f"no folder {statement.parent}", where="--statement", remedy="make it, or write elsewhere")
    from trading_live.operations.interrupts import ends_quietly
    from trading_live.replay import Faults, Progress, open_replay, serve

    with ends_quietly(), progress() as bar:
        task = bar.add_task("replay", total=100, note="waits for a subscriber")

        def show(now: Progress) -> None:
            note = "waits for a subscriber" if now.waiting else f"{now.replayed_at:%Y-%m-%d %H:%M} UTC"
            if now.held_s > 1:
                note += f"; slowed to {now.speed:,.0f}x, the node does not keep up with more"
            bar.update(task, completed=100 * now.fraction, note=note)

        server = open_replay(
            settings,
            markets=market,
            start=instant(start),
            end=instant(end),
            speed=speed,
            port=port,
            on_progress=show,
            faults=None if faults is None else Faults.read(faults),
        )
        served = ", ".join(map(named, market or settings.markets))
        console.print(f"local exchange on {settings.replay.host}:{server.port}: {served}")
        serve(server)
        if told := server.account.summary():
            console.print(f"account: {told}")
        if statement is not None:
            server.account.statement().write_csv(statement)


def status(
    check: Annotated[
        bool, typer.Option("--check", help="One line; exit code 0 if all is well, 1 if somebody has to look.")
    ] = False,
) -> None:
    """Show the node, its models, open positions, newest signals and the kill switch."""
    with only_asked():
        settings = load_settings()
    if check:
        _check(settings)
        return
    from trading_live.operations.status import read_status

    now = read_status(settings)
    for line in [*_status_lines(now), *([] if now.journal_error else account_lines(settings))]:
        console.print(line)
    models = Table("deployed model", "version", "bundle hash", "markets")
    for model in now.deployed:
        models.add_row(model.model, str(model.version), model.bundle_hash[:12], ", ".join(map(named, model.markets)))
    positions = Table(
        "open position", "side", "quantity", "average price", "stop", "target", "expires", "targets filled"
    )
    for one in now.positions:
        prices = (one.average_price, one.stop_price, one.target_price)
        cells = ("-" if price is None else significant(price) for price in prices)
        held = (one.side.word, significant(abs(one.quantity)))
        moved = "" if one.stop_kind == "stop_loss" else f", stop {one.stop_kind.replace('_', ' ')}"
        filled = f"{one.targets_filled} of {one.targets} targets{moved}"
        positions.add_row(named(one.market), *held, *cells, str(one.expires_at or "-"), filled)
    signals = Table("newest signals: bar", "model", "market", "decision")
    for row in now.signals.tail(_NEWEST_SIGNALS).iter_rows(named=True):
        bar = f"{row['bar_ts']:%Y-%m-%d %H:%M}"
        signals.add_row(bar, f"{row['model']} {row['timeframe']}", named(row["market"]), _said(row))
    for table in (models, positions, signals):
        if table.row_count:
            console.print(table)
    if now.journal_error:
        raise typer.Exit(1)


def _said(row: dict[str, Any]) -> str:
    return f"{row['action']} {Side(row['side']).word}: {row['reason']}"


def _check(settings: Settings) -> None:
    from trading_live.operations.health import check_node

    doing, problems = check_node(settings)
    typer.echo("; ".join(str(one) for one in problems) if problems else f"ok: {doing}")
    if problems:
        raise typer.Exit(1)


def _status_lines(now: NodeStatus) -> list[str]:
    from trading_assets.strategies.protections import State

    beat = now.heartbeat
    state = "not running"
    if now.running:
        state = f"{beat.state}, process {beat.pid}" if beat and now.responsive else "[red]does not answer[/]"
        state += f": {beat.detail}" if beat and beat.detail else ""
    lines = [f"node         {state}"]
    if beat:
        lines += [
            f"venue        {beat.venue} {beat.environment}, {beat.mode}",
            f"market time  {beat.market_time or '-'}",
        ]
        lines += _challenger_lines(beat)
        lines += [f"waiting      {named(market)}: {reason}" for market, reason in beat.waiting.items()]
        lines += [f"[red]halted       {beat.halted}[/]"] if beat.halted else []
        if beat.journal:
            still = ", ".join(map(named, beat.open_markets)) or "nothing"
            lines.append(f"[red]journal      no entries: {beat.journal}; open by the node's memory: {still}[/]")
    lines += [
        f"[{'red' if one.state is State.HALTED else 'yellow'}]{'held back':<12}[/] {escape(str(one))}"
        for one in now.held
    ]
    lines += [f"asked for    {one.verb} of {escape(str(one.scope))}, which no node has taken yet" for one in now.asked]
    lines.append(f"kill switch  {f'[red]on[/]: {now.kill.reason}' if now.kill else 'off'}")
    lines += [f"[red]manifest     {now.manifest_error}[/]"] if now.manifest_error else []
    if now.journal_error:
        return [*lines, f"[red]journal      what is open is not known: {now.journal_error}[/]"]
    return [*lines, f"journal      {now.journal_events:,} events, {now.journal_bytes / 1e6:.1f} MB"]


def _challenger_lines(beat: Heartbeat) -> list[str]:
    """What decides in shadow, and why a challenger does not."""
    versions: dict[str, list[str]] = {}
    for one in beat.challengers:
        versions.setdefault(one.model, []).append(f"v{one.version}")
    told = "; ".join(f"{model} {', '.join(those)}" for model, those in versions.items())
    aside = [f"[yellow]set aside[/]    {name}: {why}" for name, why in beat.challengers_aside.items()]
    return [*([f"challengers  {told} in shadow"] if told else []), *aside]


def instant(text: str | None) -> datetime | None:
    """A UTC instant from ISO text.

    Raises
    ------
    SettingsError
        If it is not one.
    """
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{text!r} is not a time", remedy="write e.g. 2025-05-28 or 2025-05-28T12:00") from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
