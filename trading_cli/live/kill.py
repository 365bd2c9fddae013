"""`trading kill`: close all positions, stop the node, and say what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trading_assets.core.candles import Market
from trading_assets.core.errors import NodeError
from trading_assets.settings import Settings, load_settings
from trading_assets.settings.sections.kinds import only_asked
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
    with only_asked():
        settings = load_settings()
    if reset:
        _reset(settings, keep_positions=keep_positions)
        return
    from trading_live.execution import closing
    from trading_live.operations import kill_switch as switch
    from trading_live.operations.status import look

    live_dir = settings.live_dir
    before = look(live_dir)
    try:
        switch.engage(live_dir, reason)
    except NodeError as error:
        console.print(f"[red]{error}[/]")
        wait = 0.0
    else:
        console.print("the kill switch is on; it stays on until `trading kill --reset`")
    if not closing.await_end(live_dir, wait):
        if switch.engaged(live_dir) and wait < _PATIENCE_S:
            console.print(f"[red]the node still runs after {wait:g} s[/]; see `trading status`, or wait longer")
            raise typer.Exit(1)
        forced = closing.end_by_force(live_dir)
        console.print(f"[red]{forced or 'the node does not end, and its process is not known'}[/]")
        if not forced:
            raise typer.Exit(1)
    _report(settings, before, reason or "trading kill")


def _report(settings: Settings, before: Book, reason: str) -> None:
    from trading_live.execution import closing
    from trading_live.operations.restarts import node_name
    from trading_live.operations.status import look

    after = look(settings.live_dir)
    if after.problem:
        console.print(f"no node is running; [red]what is open is not known: {after.problem}[/]")
        raise typer.Exit(1)
    for one in closing.closed_since(settings.live_dir, before):
        result = f"{one.realized_pnl:+,.2f} {Market.parse(one.market).quote}"
        held = f"{one.side.word} {abs(one.quantity):,.10g}"
        console.print(f"closed {named(one.market)}: {held} at {one.price:,.10g}, result {result}")
    if not after.positions:
        console.print("no node is running; nothing is open")
        return
    for left in after.positions:
        held = f"{left.side.word} {abs(left.quantity):,.10g}"
        console.print(f"[red]still open[/] {named(left.market)}: {held} at {left.average_price:,.10g}")
    remembered = closing.leave_to_next_process(settings.live_dir, node_name(settings.node), reason)
    console.print("[red]no node is running: nothing protects them[/]; `trading paper --close-only` closes them")
    if remembered:
        console.print("after `trading kill --reset` the next node closes them before anything else")
    raise typer.Exit(1)


def _reset(settings: Settings, *, keep_positions: bool) -> None:
    from trading_live.execution import closing
    from trading_live.operations import kill_switch as switch
    from trading_live.operations.restarts import node_name
    from trading_live.operations.status import look

    live_dir = settings.live_dir
    engaged = switch.engaged(live_dir)
    book = look(live_dir)
    if book.positions and keep_positions and not closing.withdraw(live_dir, node_name(settings.node)):
        raise NodeError(
            "the journal cannot be told that positions are kept",
            where=str(live_dir),
            remedy="see trading journal check",
        )
    if book.positions and engaged and not keep_positions:
        closing.leave_to_next_process(live_dir, node_name(settings.node), engaged.reason)
    was_on = switch.reset(live_dir)
    console.print("the kill switch is off" + ("" if was_on else " (it was off)") + "; `trading paper` starts the node")
    if book.positions and was_on:
        markets = ", ".join(named(one.market) for one in book.positions)
        fate = "goes on with stop, target and expiry" if keep_positions else "is closed by the next node first"
        console.print(f"{markets} {fate}")
