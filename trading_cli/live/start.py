"""`trading paper` and `trading live`: the node, without real orders and with them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from trading_assets.core.errors import NodeError
from trading_assets.settings import load_settings, logs
from trading_assets.settings.sections.kinds import only_asked
from trading_cli.console import console, named

if TYPE_CHECKING:
    from trading_assets.settings import Settings

Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the local exchange.", show_default=False)]
CloseOnly = Annotated[bool, typer.Option("--close-only", help="Close what is open, then end.")]
Supervised = Annotated[bool, typer.Option("--supervised", help="Start it again after it died.")]


def paper(port: Port = None, close_only: CloseOnly = False, supervised: Supervised = False) -> None:
    """Run the node without real orders: the deployed models on the venue's market data, filled in a sandbox."""
    settings = _settings(port)
    if settings.node.mode == "live":
        raise NodeError(
            "node.mode is live: orders go to the venue",
            where="node.mode",
            remedy="start it with trading live, or set node.mode: paper",
        )
    _run(settings, "paper", [], port=port, close_only=close_only, supervised=supervised)


def live(
    accept: Annotated[
        str | None,
        typer.Option(
            "--i-accept-real-orders",
            metavar="ACCOUNT",
            help="Needed for real money: the account that orders are sent for, as node.account names it.",
            show_default=False,
        ),
    ] = None,
    port: Port = None,
    close_only: CloseOnly = False,
    supervised: Supervised = False,
) -> None:
    """Run the node with orders at the venue: a rehearsal, a testnet, or real money, by node.environment."""
    from trading_live.execution.permission import FLAG, require_permission

    settings = _settings(port)
    if settings.node.mode != "live":
        raise NodeError(
            f"node.mode is {settings.node.mode}: no order would be sent",
            where="node.mode",
            remedy="set node.mode: live, or start it with trading paper",
        )
    require_permission(settings, accept)
    flags = [] if accept is None else [FLAG, accept]
    _run(settings, "live", flags, port=port, close_only=close_only, supervised=supervised, accepted=accept)


def _settings(port: int | None) -> Settings:
    with only_asked():
        settings = load_settings()
    if port is None:
        return settings
    return settings.model_copy(update={"replay": settings.replay.model_copy(update={"port": port})})


def _run(
    settings: Settings,
    command: str,
    flags: list[str],
    *,
    port: int | None,
    close_only: bool,
    supervised: bool,
    accepted: str | None = None,
) -> None:
    """Run the node in this process, or beside a supervisor."""
    from trading_assets.core.unread import unread
    from trading_assets.features import LIVE_ENVIRONMENT
    from trading_live.operations.interrupts import ends_quietly

    os.environ.update(LIVE_ENVIRONMENT)
    with unread(logs.dropped, children=supervised), ends_quietly():
        logs.configure(settings, "node-supervisor" if supervised else "node")
        if supervised:
            from trading_live.operations.restarts import supervise

            flags = [
                *flags,
                *(["--close-only"] if close_only else []),
                *([] if port is None else ["--port", str(port)]),
            ]
            raise typer.Exit(supervise(settings, [sys.executable, "-m", "trading_cli", command, *flags]))
        from trading_live.execution.permission import described
        from trading_live.node.node import run_node

        if close_only:
            _close(settings, accepted)
            return
        console.print(f"{described(settings)}; Ctrl-C stops, `trading kill` closes positions and stops")
        run_node(
            settings, on_decision=lambda signal, action: console.print(_decision(signal, action)), accepted=accepted
        )


def _close(settings: Settings, accepted: str | None) -> None:
    from trading_live.node.node import run_node
    from trading_live.operations.status import read_status

    console.print(f"closing what is open on {settings.node.venue} ({settings.node.environment})")
    run_node(settings, close_only=True, accepted=accepted)
    after = read_status(settings, newest=1)
    if left := ", ".join(named(one.market) for one in after.positions) or after.journal_error:
        console.print(f"[red]still open: {left}[/]")
        raise typer.Exit(1)
    console.print("nothing is open")


def _decision(signal: object, action: str) -> str:
    market, ts, probability, side = (getattr(signal, name) for name in ("market", "known_at", "probability", "side"))
    style = {"enter": "bold green", "refuse": "yellow"}.get(action, "dim")
    return f"{ts:%Y-%m-%d %H:%M} {named(market)}  {side.word} p={probability:.3f}  [{style}]{action}[/]"
