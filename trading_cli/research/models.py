"""`trading models`: every version with its status and the figures of its backtest; and what is done with one."""

from __future__ import annotations

import polars as pl
import typer
from rich.table import Table

from trading_assets.settings import load_settings
from trading_assets.store import configured_store
from trading_assets.store.tables import BACKTEST_METRICS, MODEL_VERSIONS
from trading_cli.console import console, is_synthetic
from trading_cli.research import versions

app = typer.Typer()
for command in (
    *(versions.promote, versions.rollback, versions.archive, versions.reject),
    *(versions.compare, versions.events),
):
    app.command()(command)

_STYLE = {
    "active": "bold green",
    "approved": "green",
    "challenger": "cyan",
    "draft": "yellow",
    "archived": "dim",
    "rejected": "red",
}
_SHOWN = {"Sharpe": ("sharpe", ".2f"), "wins": ("win_rate", ".0%"), "trades": ("trades", ".0f"), "DSR": ("dsr", ".3f")}


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List the model versions, newest first: status, when they were trained, and their backtest; or change one.

    As the runs left them in the store: the registry itself need not be opened.
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_settings()
    store = configured_store(settings)
    known = store.read(MODEL_VERSIONS)
    if known.is_empty():
        console.print("No model is registered yet; run `trading demo` or `trading backfill --models`.")
        return
    metrics = store.read(BACKTEST_METRICS).filter(pl.col("metric").is_in([metric for metric, _ in _SHOWN.values()]))
    measured = {(name, version, metric): value for name, version, metric, value in _keyed(metrics)}
    table = Table("model", "version", "status", *_SHOWN, "trained to", pad_edge=False, collapse_padding=True)
    made_up = []
    for row in known.sort("model", "version", descending=[False, True]).iter_rows(named=True):
        name, version, status = row["model"], row["version"], row["status"]
        spec = settings.models.get(name)
        figures = [(measured.get((name, version, metric)), form) for metric, form in _SHOWN.values()]
        if spec and is_synthetic(spec.markets) and name not in made_up:
            made_up.append(name)
        table.add_row(
            name,
            str(version),
            f"[{_STYLE.get(status, '')}]{status}[/]",
            *("" if value is None else format(value, form) for value, form in figures),
            f"{row['train_end']:%Y-%m-%d}" if row["train_end"] else "",
        )
    console.print(table)
    if made_up:
        console.print(f"[yellow]synthetic[/] candles: {', '.join(made_up)}")


def _keyed(metrics: pl.DataFrame) -> list[tuple[str, int, str, float]]:
    return metrics.select("model", "version", "metric", "value").rows()
