"""The backtest's report: one self-contained HTML page."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from trading_assets.backtest.confidence import coverage_rows
from trading_assets.backtest.gates import GateResult
from trading_assets.backtest.metrics import breakdown, drawdowns
from trading_assets.backtest.report.figures import (
    SHOWN,
    belief_rows,
    drawdown_rows,
    format_metric,
    group_rows,
    luck_rows,
    metric_row,
    side_rows,
    sizing_text,
    stress_figures,
)
from trading_assets.backtest.report.pictures import Picture
from trading_assets.backtest.simulation.engine import BacktestResult
from trading_assets.backtest.stress import edge_text
from trading_assets.settings import BacktestSettings, LabelSettings
from trading_assets.strategies.entry_rule import EntryRule

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE: Final = "report.html.j2"
MAX_TRADES: Final = 15
"""First and last trades shown."""

_TILES: Final = ("sharpe", "total_return", "max_drawdown", "win_rate", "profit_factor", "trades")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a backtest comes from; printed at the end of its report."""

    dataset_hash: str = ""
    code_version: str = ""
    run_id: str = ""
    bundle_hash: str = ""
    model_version: str = ""


def render(
    result: BacktestResult,
    *,
    model: str,
    markets: Sequence[str],
    synthetic: Sequence[str],
    candle_timeframe: str,
    rule: EntryRule,
    remarks: Sequence[str] = (),
    labels: LabelSettings,
    settings: BacktestSettings,
    gates: Sequence[GateResult],
    predictions: pl.DataFrame,
    pictures: Sequence[Picture],
    moods: pl.DataFrame | None = None,
    provenance: Provenance,
    created_at: datetime,
    file: Path,
) -> Path:
    """Write the page; a reader never sees half of it.

    Parameters
    ----------
    synthetic
        Those of ``markets`` whose candles are made up; the page says so at its top.
    rule
        What decides on entries.
    remarks
        Sentences of :func:`trading_assets.backtest.entries.remarks`, shown with the verdict.
    predictions
        What was traded, of the table of this name.
    pictures
        Of :func:`trading_assets.backtest.report.pictures.draw`.
    moods
        The market's mood at each bar, for what trades did and prediction sets held in each.
    created_at
        Printed; UTC.
    file
        Where to.

    Returns
    -------
    Path
        The page.
    """
    page = page_template(TEMPLATE).render(
        model=model,
        markets=markets,
        synthetic=synthetic,
        start=result.start,
        end=result.end,
        candles=result.candles,
        candle_timeframe=candle_timeframe,
        rule=rule,
        remarks=remarks,
        labels=labels,
        costs=settings,
        gates=gates,
        failed=[gate for gate in gates if not gate.passed],
        tiles=[metric_row(result, name) for name in _TILES],
        metrics=[metric_row(result, name) for name in SHOWN],
        sides=side_rows(result.metrics),
        groups=group_rows(breakdown(result.trades, moods)),
        sizing=sizing_text(settings.sizing),
        falls=drawdown_rows(drawdowns(result.equity, starting_balance=settings.starting_balance)),
        luck=luck_rows(result.metrics),
        belief=belief_rows(result.metrics, predictions.drop_nulls("probability")),
        refusals=result.refusals,
        stressed=stress_figures(result.metrics),
        edge=edge_text(result.metrics),
        coverage=coverage_rows(predictions, moods) if "prediction_set" in predictions.columns else [],
        promised=result.metrics.get("coverage_promised"),
        break_even=_finite(result.metrics.get("break_even")),
        plots=pictures,
        first_trades=result.trades.head(MAX_TRADES).rows(named=True),
        last_trades=result.trades.slice(MAX_TRADES).tail(MAX_TRADES).rows(named=True),
        hidden_trades=max(result.trades.height - 2 * MAX_TRADES, 0),
        provenance=_provenance(provenance),
        created_at=created_at,
    )
    return write_page(file, page)


def page_template(name: str) -> Template:
    """A template of this folder; a name that it is not given is an error, and text is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trading_assets.backtest.report", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"number": format_metric}
    return environment.get_template(name)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _provenance(provenance: Provenance) -> list[tuple[str, str]]:
    rows = [
        ("Data set (sha256)", provenance.dataset_hash),
        ("Code version", provenance.code_version),
        ("Dagster run", provenance.run_id),
        ("Bundle (sha256)", provenance.bundle_hash),
        ("Model version", provenance.model_version),
    ]
    return [(label, value or "not recorded") for label, value in rows]


def write_page(path: Path, text: str) -> Path:
    """Write a page; a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".html.part")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)  # noqa: PTH105 - the atomic one
    return path
