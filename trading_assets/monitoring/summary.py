"""What rows of the table ``drift`` say: the newest day's alarms, the worst subjects, and a picture of them by day."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from trading_assets.monitoring.judging import KINDS

_SHOWN: Final = 30
_PICTURE_DAYS: Final = 60
_KEY: Final = ("source", "kind", "name")
_SHARE: Final = pl.col("value") / pl.col("threshold")


def newest(drift: pl.DataFrame) -> pl.DataFrame:
    """The rows of the newest day of each model and source."""
    return drift.filter(pl.col("ts") == pl.col("ts").max().over("model", "source"))


def worst(drift: pl.DataFrame, count: int = 10) -> pl.DataFrame:
    """Alarms first, then what is nearest to one: ``value`` as a share of the threshold."""
    ranked = drift.with_columns(share=pl.when(pl.col("threshold").is_not_null()).then(_SHARE))
    return ranked.sort("alarmed", "share", descending=True, nulls_last=True).head(count)


def alarms_by_kind(drift: pl.DataFrame) -> Mapping[str, Sequence[str]]:
    """Kind -> what of it the newest day alarms about, in words."""
    alarmed = worst(newest(drift).filter("alarmed"), drift.height)
    return {kind: [said(row) for row in alarmed.filter(kind=kind).iter_rows(named=True)] for kind in KINDS}


def said(row: Mapping[str, Any]) -> str:
    """One row in words."""
    above = "" if row["threshold"] is None else f" above {row['threshold']:.2f}"
    return f"{row['name']}: {row['test']} {row['value']:.2f}{above} ({row['source']}, {row['ts']:%Y-%m-%d})"


def heat_map(drift: pl.DataFrame, title: str) -> bytes:
    """Subjects by day, each as the largest share of a threshold that a test found: those with the largest ones, as PNG.

    What cannot be judged is left blank; a dot marks an alarm.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    days = drift["ts"].unique().sort().tail(_PICTURE_DAYS)
    shares = (
        drift.filter(pl.col("ts").is_in(days.implode()))
        .with_columns(subject=pl.format("{} {} ({})", "kind", "name", "source"), share=_SHARE)
        .group_by("subject", "ts")
        .agg(pl.col("share").max(), pl.col("alarmed").any())
    )
    order = shares.group_by("subject").agg(pl.col("alarmed").sum(), pl.col("share").max())
    order = order.sort("alarmed", "share", "subject", descending=[True, True, False], nulls_last=True)
    names = order["subject"].head(_SHOWN).to_list()
    table = (
        pl.DataFrame({"subject": names})
        .join(pl.DataFrame({"ts": days}), how="cross")
        .join(shares, on=["subject", "ts"], how="left", maintain_order="left")
    )
    shape = (len(names), len(days))
    values = table["share"].to_numpy().reshape(shape)
    alarmed = table["alarmed"].fill_null(value=False).to_numpy().reshape(shape)
    figure = Figure(figsize=(9, 1.4 + 0.2 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    image = axes.imshow(values, aspect="auto", cmap="cividis", vmin=0, vmax=1.2, interpolation="none")
    rows, columns = alarmed.nonzero()
    axes.scatter(columns, rows, s=14, color="#D55E00", marker="o")
    axes.set_yticks(range(len(names)), names, fontsize=7)
    ticks = range(0, len(days), max(1, len(days) // 8))
    axes.set_xticks(ticks, [f"{days[tick]:%d %b}" for tick in ticks], fontsize=7)
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    figure.colorbar(image, label="largest distance / its threshold; a dot is an alarm", shrink=0.8)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
