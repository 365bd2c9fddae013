"""`trading kill`: close all positions, stop the node, and say what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trading_assets.core.candles import Market
from trading_assets.core.errors import NodeError, TradingError
from trading_assets.settings import Settings, load_settings
from trading_assets.settings.sections.kinds import only_asked
from trading_cli import urgent
from trading_cli.console import console, named

if TYPE_CHECKING:
    from trading_live.operations.status import Book

_PATIENCE_S = 100.0
"""Longer than a node takes that closes its positions or gives up: one that still runs then does not answer."""


def kill(
    reset: Annotated[bool, typer.Option("--reset", help="Let a node start again.")] = False,
    keep_positions: Annotated[
        bool,
        typer.Option("--keep-positions", help="With --reset: what is still open goes on with its stop and target."),
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; it stands in the journal and in `trading status`.")] = "",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the node's end.")] = _PATIENCE_S,
) -> None:
    """Close all positions, stop the node, and keep it stopped until --reset; exit code 1 if anything stays open."""
    try:
        with only_asked():
            settings = load_settings()
    except TradingError:
        if urgent.sent is not None:
            console.print("the kill switch is on; what came of it is not known:")
        raise
    if reset:
        _reset(settings, keep_positions=keep_positions)
        return
    from trading_live.closing import outcome
    from trading_live.operations import kill_switch as switch
    from trading_live.operations.status import look

    live_dir = settings.live_dir
    try:
        engaged = urgent.sent if switch.engaged(live_dir) else None
        engaged = engaged or switch.engage(live_dir, reason)
    except NodeError as error:
        console.print(f"[red]{error}[/]")
        engaged, wait = None, 0.0
    before = look(live_dir)
    if engaged is not None:
        console.print("the kill switch is on; it stays on until `trading kill --reset`")
    if not outcome.await_end(live_dir, wait, while_heard=wait >= _PATIENCE_S):
        if switch.engaged(live_dir) and wait < _PATIENCE_S:
            console.print(f"[red]the node still runs after {wait:g} s[/]; see `trading status`, or wait longer")
            raise typer.Exit(1)
        forced = outcome.end_by_force(live_dir)
        console.print(f"[red]{forced or 'the node does not end, and its process is not known'}[/]")
        if not forced:
            raise typer.Exit(1)
    _report(settings, outcome.as_of(before, live_dir, engaged), reason or "trading kill")


def _report(settings: Settings, before: Book, reason: str) -> None:
    from trading_assets.journal import JOURNAL_FILE
    from trading_live.closing import outcome
    from trading_live.closing.dead_node import has_open_trades
    from trading_live.execution.permission import start_command
    from trading_live.operations.restarts import node_name
    from trading_live.operations.status import look

    after = look(settings.live_dir)
    if settings.node.mode == "live" and has_open_trades(settings.live_dir / JOURNAL_FILE):
        if _closed_at_venue(settings):
            return
        if not (after.problem or after.positions):
            console.print("[red]no journal says what is open, or what became of an entry: see at the venue[/]")
            raise typer.Exit(1)
    if after.problem:
        console.print(f"no node is running; [red]what is open is not known: {after.problem}[/]")
        raise typer.Exit(1)
    for one in outcome.closed_since(settings.live_dir, before):
        result = f"{one.realized_pnl:+,.2f} {Market.parse(one.market).quote}"
        held = f"{one.side.word} {abs(one.quantity):,.10g}"
        console.print(f"closed {named(one.market)}: {held} at {one.price:,.10g}, result {result}")
    if not after.positions:
        console.print("no node is running; nothing is open")
        return
    for left in after.positions:
        held = f"{left.side.word} {abs(left.quantity):,.10g}"
        console.print(f"[red]still open[/] {named(left.market)}: {held} at {left.average_price:,.10g}")
    remembered = outcome.leave_to_next_process(settings.live_dir, node_name(settings.node), reason)
    at_venue = settings.node.mode == "live"
    left_to = "only what rests at the venue protects them" if at_venue else "nothing protects them"
    console.print(f"[red]no node is running: {left_to}[/]; `{start_command(settings, '--close-only')}` closes them")
    if remembered:
        console.print("after `trading kill --reset` the next node closes them before anything else")
    raise typer.Exit(1)


def _closed_at_venue(settings: Settings) -> bool:
    """Close what is left through the venue's account; whether nothing of ours is left there."""
    from trading_live.closing.dead_node import close_at_venue, write_down
    from trading_live.venues.account import VenueError

    console.print("no node is running: closing at the venue")
    try:
        found = close_at_venue(settings)
    except VenueError as error:
        console.print(f"[red]{error}[/]")
        return False
    for one in found:
        sold = sum(order.filled for order in one.closed)
        console.print(f"{named(one.market)}: {sold:,.10g} closed, {len(one.canceled)} orders canceled")
        if not one.is_flat:
            left = [f"{one.left:,.10g}"] if one.left else []
            console.print(f"[red]still open[/] {named(one.market)}: {'; '.join(filter(None, [*left, one.problem]))}")
    if not found or not all(one.is_flat for one in found):
        return False
    written = "the journal has what happened" if write_down(settings) else "the next start writes down what happened"
    console.print(f"nothing of ours is open at the venue; {written}")
    return True


def _reset(settings: Settings, *, keep_positions: bool) -> None:
    from trading_live.closing import outcome
    from trading_live.execution.permission import start_command
    from trading_live.operations import kill_switch as switch
    from trading_live.operations.restarts import node_name
    from trading_live.operations.status import look

    live_dir = settings.live_dir
    engaged = switch.engaged(live_dir)
    book = look(live_dir)
    if book.positions and keep_positions and not outcome.withdraw(live_dir, node_name(settings.node)):
        raise NodeError(
            "the journal cannot be told that positions are kept",
            where=str(live_dir),
            remedy="see trading journal check",
        )
    if book.positions and engaged and not keep_positions:
        outcome.leave_to_next_process(live_dir, node_name(settings.node), engaged.reason)
    was_on = switch.reset(live_dir)
    off = "the kill switch is off" + ("" if was_on else " (it was off)")
    console.print(f"{off}; `{start_command(settings)}` starts the node")
    if book.positions and was_on:
        markets = ", ".join(named(one.market) for one in book.positions)
        fate = "goes on with stop, target and expiry" if keep_positions else "is closed by the next node first"
        console.print(f"{markets} {fate}")
