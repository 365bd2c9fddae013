"""`trading models` promote, rollback, archive, reject, compare and events: what becomes of a version, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trading_assets.core.errors import TradingError
from trading_assets.settings import Settings, load_settings
from trading_assets.settings.names import check_known
from trading_assets.store import configured_store
from trading_assets.store.tables import MODEL_EVENTS
from trading_cli.console import console
from trading_cli.research.of_model import Model, begin, note_of, refuse_failed

if TYPE_CHECKING:
    from trading_assets.launch import LaunchResult
    from trading_assets.lifecycle import SideBySide

Version = Annotated[int, typer.Argument(min=1, help="A version; `trading models` lists them.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the registry.")]


def promote(
    model: Model,
    version: Annotated[
        int | None, typer.Argument(min=1, help="A version; default: the newest approved.", show_default=False)
    ] = None,
    reason: Annotated[str, typer.Option(help="Why it trades whatever the comparison with the champion says.")] = "",
) -> None:
    """Make an approved version the one that trades, if it is better than the champion on the same days.

    Else it is kept as a challenger. With a reason it is promoted all the same; the comparison is recorded beside it.
    """
    settings = begin("promote")
    with console.status("loading the asset graph"):
        from trading_assets.launch import promote as promote_run
    _told(settings, model, promote_run(settings, model, version=version, reason=reason))


def rollback(
    model: Model,
    to: Annotated[int | None, typer.Option(min=1, help="A version that traded before; default: the last one.")] = None,
    reason: Reason = "",
) -> None:
    """Go back to the version that traded before; a running node follows within seconds."""
    settings = begin("rollback")
    with console.status("loading the asset graph"):
        from trading_assets.launch import roll_back
    _told(settings, model, roll_back(settings, model, version=to, reason=reason))


def archive(model: Model, version: Version, reason: Reason) -> None:
    """Put a version away: it trades no more, or is no challenger any more; the node manages what it has open."""
    settings = begin("archive")
    from trading_assets import lifecycle
    from trading_assets.registry import Cause

    cause = Cause(reason=_given(reason, "archiving"))
    after = lifecycle.archive(settings, configured_store(settings), model, version, cause)
    console.print(f"{model} version {version} is {after.status}{note_of(settings, model)}")


def reject(model: Model, version: Version, reason: Reason) -> None:
    """Rule a version out: it can no longer be approved, promoted or rolled back to."""
    settings = begin("reject")
    from trading_assets import lifecycle
    from trading_assets.registry import Cause

    cause = Cause(reason=_given(reason, "a rejection"))
    after = lifecycle.reject(settings, configured_store(settings), model, version, cause)
    console.print(f"{model} version {version} is {after.status}{note_of(settings, model)}")


def compare(
    first: Annotated[str, typer.Argument(help="A version, as btc@3; or a model: the version that trades.")],
    second: Annotated[str, typer.Argument(help="Another.")],
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON.")] = False,
) -> None:
    """Compare two versions: their backtests, and the difference on the days that both have, with its interval."""
    settings = load_settings()
    store = configured_store(settings)
    from trading_assets.lifecycle import named_version, side_by_side

    one, other = named_version(store, first), named_version(store, second)
    found = side_by_side(store, one, other, resamples=settings.promotion.resamples)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
        return
    _show(settings, found)


def events(
    model: Annotated[str | None, typer.Argument(help="A model; default: all.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON, with the evidence.")] = False,
) -> None:
    """List who changed the status of which version, when and why; the newest last."""
    settings = load_settings()
    rows = configured_store(settings).read(MODEL_EVENTS, where={} if model is None else {"model": model})
    if model is not None and rows.is_empty():
        check_known(model, settings.models, "model")  # one that was taken out of the settings has its events still
    rows = rows.sort("ts", "model", "version")
    if as_json:
        typer.echo(
            json.dumps([{**row, "evidence": json.loads(row["evidence"])} for row in rows.to_dicts()], default=str)
        )
        return
    if rows.is_empty():
        console.print("No change of status is known; `trading models` lists the versions.")
        return
    table = Table("when (UTC)", "model", "version", "status", "by", "why", pad_edge=False, collapse_padding=True)
    for row in rows.iter_rows(named=True):
        change = f"{row['old_status']} -> {row['new_status']}" if row["old_status"] else row["new_status"]
        when = f"{row['ts']:%Y-%m-%d %H:%M:%S}"
        table.add_row(when, row["model"], str(row["version"]), change, row["changed_by"], row["reason"])
    console.print(table)


def _show(settings: Settings, found: SideBySide) -> None:
    names = [f"{one} ({one.status}){note_of(settings, one.model)}" for one in (found.first, found.second)]
    table = Table("backtest", *names, pad_edge=False, collapse_padding=True)
    wanted = [name for name in _ORDER if name in found.metrics["metric"]]
    shown = {name: values for name, *values in found.metrics.iter_rows()}
    for name in wanted:
        table.add_row(name, *("" if value is None else f"{value:.4g}" for value in shown[name]))
    console.print(table)
    if found.found and found.begin and found.end:
        days = f"{found.days} days both have ({found.begin:%Y-%m-%d} to {found.end:%Y-%m-%d})"
        table = Table(days, str(found.first), str(found.second), "difference", "95 %", "first better", pad_edge=False)
        for name, scale in _MEASURES.items():
            one = found.found[name.split(",")[0].replace(" ", "_")]
            low, high = scale * one.interval.low, scale * one.interval.high
            figures = (scale * one.first, scale * one.second, scale * one.interval.estimate)
            cells = (f"{value:.3f}" for value in figures)
            table.add_row(name, *cells, f"{low:.3f} to {high:.3f}", f"{one.better:.0%}")
        console.print(table)
    for note in found.notes:
        console.print(f"[yellow]note[/] {note}")


_ORDER = ("sharpe", "total_return", "max_drawdown", "win_rate", "profit_factor", "trades", "dsr", "pbo", "skill_low")
_MEASURES = {"sharpe": 1.0, "mean return, bps a day": 1e4}


def _told(settings: Settings, model: str, result: LaunchResult) -> None:
    """What became of the version that the run was about."""
    said = refuse_failed(result).materialized["deployment"]
    note = note_of(settings, model)
    console.print(f"{model} version {said['candidate']} is {said['status']}{note}: {said['decision']}")
    if said["candidate"] != said["version"]:
        console.print(
            f"version {said['version']} trades on; `trading models promote {model} {said['candidate']} --reason ...` "
            "promotes it nevertheless"
        )


def _given(reason: str, what: str) -> str:
    if not reason.strip():
        raise TradingError(f"{what} needs a reason", where="--reason")
    return reason.strip()
