"""The page that shows a model's champion and challengers side by side."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from trading_assets.backtest.challengers import ShadowRecord
from trading_assets.backtest.metrics import daily_returns
from trading_assets.backtest.report.page import page_template, write_page
from trading_assets.backtest.report.plots import BLUE, GREEN, GREY, ORANGE, VERMILION, Format, date_axis, figure_of
from trading_assets.core.candles import Market
from trading_assets.settings import Settings

TEMPLATE: Final = "challengers.html.j2"
PAGE: Final = "challengers.html"
_COLOURS: Final = (VERMILION, GREEN, ORANGE, "#CC79A7", "#56B4E9", "#F0E442")


def page_of(reports_dir: Path, model: str) -> Path:
    """Where the page of a model is, or will be."""
    return reports_dir / model / PAGE


def render_challengers(
    records: Sequence[ShadowRecord], rows: Iterable[dict[str, Any]], settings: Settings, *, created_at: datetime
) -> Path:
    """Write the page of a model.

    Parameters
    ----------
    records
        Of :func:`trading_assets.backtest.challengers.compare_in_shadow`, at least one.
    rows
        Theirs in the table ``challengers``, in the same order.
    settings
        Costs, and where the page is to be.
    created_at
        Printed; UTC.
    """
    model = records[0].contender.model
    markets = settings.models[model].markets if model in settings.models else []
    text = page_template(TEMPLATE).render(
        model=model,
        synthetic=[market for market in markets if Market.parse(market).is_synthetic],
        rows=[_shown(record, row) for record, row in zip(records, rows, strict=True)],
        measure=settings.promotion.measure.replace("_", " "),
        picture=_address(equity_curves(records, settings.simulation.starting_balance)),
        costs=settings.simulation,
        round_trip_bps=settings.trading.costs.of_markets(markets).round_trip_bps,
        created_at=created_at,
    )
    return write_page(page_of(settings.reports_dir, model), text)


def cells_of(row: dict[str, Any]) -> list[str]:
    """A row of ``challengers`` for people: days to better; empty where nothing was measured."""
    interval = "" if row["sharpe_low"] is None else f"{row['sharpe_low']:.2f} to {row['sharpe_high']:.2f}"
    return [
        f"{row['days']:.1f}",
        f"{row['decisions']:,}",
        f"{row['entries']:,}",
        _text(row["trades"], ","),
        _text(row["net_return"], "+.2%"),
        _text(row["sharpe"], ".2f"),
        interval,
        _text(row["champion_return"], "+.2%"),
        _text(row["better"], ".0%"),
    ]


def equity_curves(records: Sequence[ShadowRecord], starting_balance: float, *, fmt: Format = "svg") -> bytes | None:
    """The account of each version at the end of each day, in percent of what it began with; None without one."""
    drawn = [record for record in records if record.result is not None]
    if not drawn:
        return None
    with figure_of(8.6, 3.6, fmt) as (figure, save):
        axes = figure.subplots()
        others = 0
        for record in drawn:
            assert record.result is not None
            equity = record.result.equity
            returns = daily_returns(equity["equity"].to_list(), starting_balance)
            gained = 100 * ((1 + returns).cumprod() - 1)
            colour = BLUE if record.is_champion else _COLOURS[others % len(_COLOURS)]
            style = "-" if record.is_champion or others < len(_COLOURS) else "--"
            others += not record.is_champion
            width = 2.0 if record.is_champion else 1.1
            axes.plot(
                equity["ts"].to_numpy(), gained, color=colour, linewidth=width, linestyle=style, label=_name(record)
            )
        axes.axhline(0, color=GREY, linewidth=0.9, linestyle="--")
        axes.set_title("Net return since its first bar in shadow (%)")
        axes.legend(fontsize=8, loc="best", ncols=2)
        date_axis(axes)
        return save()


def _shown(record: ShadowRecord, row: dict[str, Any]) -> dict[str, Any]:
    return {"name": _name(record), "cells": cells_of(row), "note": record.note}


def _name(record: ShadowRecord) -> str:
    return f"version {record.contender.version}{' (champion)' if record.is_champion else ''}"


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _address(svg: bytes | None) -> str:
    return "" if svg is None else f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
