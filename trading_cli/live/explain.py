"""`trading explain`: why the node made a trade, from its fills back to the candles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer
from rich.markup import escape
from rich.table import Table

from trading_assets.core.precision import significant
from trading_assets.core.sides import Side
from trading_assets.settings import load_settings
from trading_assets.settings.sections.kinds import only_asked
from trading_cli.console import console, named

if TYPE_CHECKING:
    from trading_assets.lineage import Explanation

_ORDER = ("ts", "order_id", "purpose", "side", "order_type", "quantity", "price", "status")
_FILL = ("ts", "order_id", "trade_id", "side", "quantity", "price", "fee", "fee_currency")
_HEADS = {
    "shap": "what moved it (SHAP)",
    "without": "what the log-odds would lose without it",
}


def explain(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="[ORDER|TRADE|SIGNAL]",
            help="The id of an order, a trade (of a fill), a position or a signal, or a correlation id of the log. "
            "Default: the newest entry.",
            show_default=False,
        ),
    ] = "",
    top: Annotated[int, typer.Option(min=1, help="How many features to show, the largest contributions first.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            help="Another journal than the node's, or an export of one.",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Rebuild a decision from candles and bundle, and show that it is the journalled one; exit code 1 where it is not.

    Then what moved it, the plan, the orders, the fills and what they were made with. Without a journal on this machine,
    the store's tables are read.
    """
    with only_asked():
        settings = load_settings()
    from trading_assets.journal import JOURNAL_FILE
    from trading_assets.lineage import JournalEvents, StoredEvents, explain
    from trading_assets.store import configured_store

    journal, store = file or settings.live_dir / JOURNAL_FILE, configured_store(settings)
    events = JournalEvents(journal) if journal.is_file() or file is not None else StoredEvents(store)
    found = explain(reference, events=events, store=store, settings=settings)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2, allow_nan=False))
    else:
        _show(found, top)
    if not found.equal:
        raise typer.Exit(1)


def _show(found: Explanation, top: int) -> None:
    for line in _decision(found):
        console.print(line, highlight=False, soft_wrap=True)
    if found.how != "none":
        console.print(_contributions(found, top))
    for line in _trade(found):
        console.print(line, highlight=False, soft_wrap=True)
    for title, frame, columns in (
        ("orders", _by_order(found.trail.orders), _ORDER),
        ("fills", found.trail.fills, _FILL),
    ):
        if frame.height:
            console.print(_rows(title, frame, columns))
    for line in _lineage(found):
        console.print(line, highlight=False, soft_wrap=True)


def _decision(found: Explanation) -> Iterator[str]:
    signal, decision, side = found.trail.signal, found.rebuilt.decision, found.trail.side
    yield f"[bold]{escape(signal['signal_id'])}[/]"
    yield (
        f"  {named(signal['market'])}, {side.word}, {signal['timeframe']} bar of {signal['bar_ts']:%Y-%m-%d %H:%M} "
        f"UTC: {signal['action']}"
    )
    yield f"  {escape(signal['reason'])}"
    if found.trail.correlation_id:
        yield f"in the logs  {found.trail.correlation_id}"
    yield f"probability  {signal['probability']!r} journalled, {found.probability!r} rebuilt: {_verdict(found)}"
    if kind := found.rebuilt.calibrator(side):
        yield f"             {found.rebuilt.raw(side)!r} before calibration ({kind})"
    if (record := found.rebuilt.record(side)) is not None:
        wants = Side(wanted).word if (wanted := found.rebuilt.wanted) else "none"
        yield f"rule         wanted: {wants}; {record.hits:,} of {record.signals:,} such signals reached their target"
    if found.prediction_set is not None or signal.get("prediction_set") is not None:
        yield f"set          {_set(signal.get('prediction_set'))} journalled, {_set(found.prediction_set)} rebuilt"
    if signal.get("expected_net_pct") is not None:
        parts = {name: signal[f"expected_{name}_pct"] for name in ("net", "gross", "fees", "slippage", "funding")}
        yield (
            "expected     {net:+.3f} % net: {gross:+.3f} % gross, less fees {fees:.3f} %, slippage {slippage:.3f} %, "
            "funding {funding:.3f} %".format(**parts)
        )
    if decision.take_profit is not None and decision.stop_loss is not None:
        yield f"barriers     target {decision.take_profit:.3%}, stop {decision.stop_loss:.3%} of the entry price"
    compared = len(found.bundle.features)
    if found.differing is None:
        yield "features     the journal does not hold the row that the node saw any more"
    elif not found.differing:
        yield f"features     all {compared} equal to those that the node journalled"
    for doubt in found.doubts:
        yield f"[yellow]doubt[/]        {escape(doubt)}"


def _set(code: int | None) -> str:
    from trading_assets.validation.coverage import NAMES

    return "none" if code is None else NAMES[code]


def _verdict(found: Explanation) -> str:
    if found.apart is None:
        return "[red]there is nothing to compare[/]"
    if found.apart > found.bundle.tolerance:
        return f"[red]{found.apart:.3g} apart[/], {found.bundle.tolerance:g} is allowed"
    if not found.equal:
        return "[red]equal, but for the prediction set[/]"
    return "[green]equal to the last bit[/]" if not found.apart else f"[green]equal[/] to {found.bundle.tolerance:g}"


def _contributions(found: Explanation, top: int) -> Table:
    shown, rest = found.contributions[:top], found.contributions[top:]
    table = Table("feature", "value", "log-odds", "meaning", title=_HEADS[found.how], title_justify="left")
    for one in shown:
        value = "missing" if one.value is None else f"{significant(one.value, 5)} {one.unit}".strip()
        table.add_row(one.feature, value, f"{one.log_odds:+.4f}", escape(one.description))
    if rest and found.how == "shap":
        table.add_row(f"{len(rest)} others", "", f"{sum(one.log_odds for one in rest):+.4f}", "")
    return table


def _trade(found: Explanation) -> Iterator[str]:
    plan, closed = found.trail.plan, found.trail.closed
    if plan is not None:
        targets = ", ".join(f"{one.price:g}{' (filled)' if one.is_filled else ''}" for one in plan.targets)
        moved = "" if plan.stop_kind == "stop_loss" else f" ({plan.stop_kind.replace('_', ' ')})"
        named = f"target{'s' * (len(plan.targets) > 1)} {targets}, " if targets else ""
        filled = f"entry {plan.entry_price:g}, {named}stop {plan.stop_price:g}{moved}"
        yield (
            f"plan         {filled if plan.entry_price else 'not filled'}, quantity {plan.quantity:g}, "
            f"closed at the market at {plan.expires_at:%Y-%m-%d %H:%M} at the latest"
        )
    if closed is not None:
        why = f" ({plan.exit_reason.replace('_', ' ')})" if plan is not None and plan.exit_reason else ""
        colour = "green" if closed["realized_pnl"] > 0 else "red"
        yield (
            f"result       [{colour}]{closed['realized_pnl']:+,.2f}[/] after fees, closed "
            f"{closed['ts']:%Y-%m-%d %H:%M}{why}"
        )
    elif found.trail.positions.height:
        yield "result       the position is open"


def _by_order(events: pl.DataFrame) -> pl.DataFrame:
    """One row for each order, with all that became of it."""
    if events.is_empty():
        return events
    first = pl.exclude("status").first()
    return events.group_by("order_id", maintain_order=True).agg(first, pl.col("status").str.join(", "))


def _rows(title: str, frame: pl.DataFrame, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, no_wrap=name.endswith("_id"))  # to be copied
    for row in frame.with_columns(pl.col("ts").dt.strftime("%m-%d %H:%M:%S")).select(columns).iter_rows():
        table.add_row(*("" if one is None else str(one) for one in row))
    return table


def _lineage(found: Explanation) -> Iterator[str]:
    from trading_assets.models.code_version import code_version

    bundle, held = found.bundle, found.rebuilt.held
    made, frame = bundle.provenance, held.frame
    yield (
        f"bars         {frame.height:,} from {frame['ts'][0]:%Y-%m-%d %H:%M} to {frame['ts'][-1]:%Y-%m-%d %H:%M}"
        + (" as stored" if held.source == "bars" else f", built from {held.source} candles")
        + (f" ({held.missing:,} are missing)" if held.missing else "")
    )
    yield f"bundle       {bundle.bundle_hash} ({bundle.folder})"
    yield (
        f"training     {made.train_rows:,} rows decided on {made.train_start:%Y-%m-%d %H:%M} to "
        f"{made.train_end:%Y-%m-%d %H:%M}{f', by {made.estimator}' if made.estimator else ''}"
    )
    yield f"data set     {made.dataset_hash} ({made.dataset_rows:,} rows)"
    yield f"code         {made.code_version}; rebuilt with {code_version()}"
    if made.run_id:
        yield f"run          {made.run_id} (Dagster)"
