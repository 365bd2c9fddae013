"""`trading pause` and `trading resume`: hold trading back, and let it go on."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated

import typer

from trading_assets.core.errors import SettingsError
from trading_assets.settings import Settings, load_settings
from trading_assets.settings.names import instead
from trading_assets.settings.sections.kinds import only_asked
from trading_cli.console import console

if TYPE_CHECKING:
    from trading_assets.strategies.protections import Scope
    from trading_live.operations.pauses import Request

_PATIENCE_S = 10.0
_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}

Model = Annotated[str | None, typer.Option("--model", help="One model, on all its markets.", show_default=False)]
OfMarket = Annotated[str | None, typer.Option("--market", help="One market, of every model.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why; it stands in the journal.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for the node's word.")]


def pause(
    model: Model = None,
    market: OfMarket = None,
    flatten: Annotated[bool, typer.Option("--flatten", help="Close what is open there, too.")] = False,
    lasting: Annotated[
        str | None,
        typer.Option("--for", help="How long, e.g. 30m, 2h, 1d. Default: until resumed.", show_default=False),
    ] = None,
    reason: Reason = "",
    wait: Wait = _PATIENCE_S,
) -> None:
    """Enter nothing more: the whole node, or one model or market. What is open keeps its stop and target."""
    with only_asked():
        settings = load_settings()
    from trading_live.operations import pauses

    scope = _scope(settings, model, market)
    seconds = None if lasting is None else seconds_of(lasting)
    _ask(settings, pauses.now_at("pause", scope, flatten=flatten, for_s=seconds, reason=reason), wait)


def resume(model: Model = None, market: OfMarket = None, reason: Reason = "", wait: Wait = _PATIENCE_S) -> None:
    """End what holds the node, a model or a market back; what a limit still measures holds it again at once."""
    with only_asked():
        settings = load_settings()
    from trading_live.operations import pauses

    _ask(settings, pauses.now_at("resume", _scope(settings, model, market), reason=reason), wait)


def seconds_of(text: str) -> float:
    """Seconds of a length of time.

    Raises
    ------
    SettingsError
        If it is none.

    >>> seconds_of("2h"), seconds_of("1.5m")
    (7200.0, 90.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None or not float(found[1]):
        raise SettingsError(f"--for {text!r} is no length of time", remedy="write e.g. 90s, 30m, 2h or 1d")
    return float(found[1]) * _UNITS[found[2]]


def _scope(settings: Settings, model: str | None, market: str | None) -> Scope:
    from trading_assets.core.errors import ModelError
    from trading_assets.registry.deployment import read_manifest
    from trading_assets.strategies.protections import NODE, market_scope, model_scope

    if model is not None and market is not None:
        raise SettingsError(
            "--model and --market are given", remedy="one pause holds one of them; run the command twice for both"
        )
    models, markets = set(settings.models), set(settings.markets)
    try:
        for deployed in read_manifest(settings.live_dir).models.values():
            models.add(deployed.model)
            markets |= set(deployed.markets)
    except ModelError:
        pass  # a pause does not wait for a manifest to be mended
    for what, name, known in (("model", model, models), ("market", market, markets)):
        if name is not None and name not in known:
            raise SettingsError(f"no {what} {name!r}", remedy=instead(name, known))
    if model is not None:
        return model_scope(model)
    return NODE if market is None else market_scope(market)


def _ask(settings: Settings, request: Request, wait: float) -> None:
    from trading_live.operations import pauses
    from trading_live.operations.heartbeat import is_running
    from trading_live.operations.holds import read_holds

    live_dir = settings.live_dir
    name = pauses.ask(live_dir, request)
    if not is_running(live_dir):
        console.print(f"no node runs: the next one begins with this {request.verb} of {request.scope}")
        return
    deadline = time.monotonic() + wait
    while pauses.is_waiting(live_dir, name):
        if time.monotonic() > deadline:
            console.print(f"[red]the node has not answered after {wait:g} s[/]; it does so as soon as it can")
            raise typer.Exit(1)
        time.sleep(0.01)
    held = [one for one in read_holds(live_dir) if one.scope == request.scope]
    for one in held:
        console.print(str(one), markup=False)
    if not held:
        console.print(f"{request.scope} is not held back" + ("" if request.verb == "resume" else " any more"))
    elif request.verb == "resume":
        console.print("[red]this still holds[/]; see docs/concepts/protections.md")
        raise typer.Exit(1)
