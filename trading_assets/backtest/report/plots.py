"""Pictures of a backtest. Colours are Okabe and Ito's, told apart with every kind of colour vision."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import polars as pl

from trading_assets.core.precision import significant
from trading_assets.validation.calibration import reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["svg", "png"]

BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
INK: Final = "#1F2933"
GREY: Final = "#7B8794"
GRID: Final = "#E4E7EB"

EXIT_COLOURS: Final = {"take_profit": BLUE, "stop_loss": VERMILION, "time": ORANGE, "end": GREY}
_STYLE: Final[Any] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib; letters become paths, so that every browser shows the same
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "trading",
    "figure.facecolor": "white",
}
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def equity_and_drawdown(equity: pl.DataFrame, *, starting_balance: float, fmt: Format = "svg") -> bytes:
    """The account at each day's close, and how far below its peak it was.

    Parameters
    ----------
    equity
        ``ts``, ``equity``, ``drawdown`` of the ``equity`` table.
    """
    with figure_of(8.6, 4.2, fmt) as (figure, save):
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.4, 1])
        days, curve = equity["ts"].to_numpy(), equity["equity"].to_numpy()
        upper.plot(days, curve, color=BLUE, linewidth=1.6)
        upper.fill_between(days, starting_balance, curve, color=BLUE, alpha=0.10, linewidth=0)
        upper.axhline(starting_balance, color=GREY, linewidth=0.9, linestyle="--")
        upper.set_title("Equity at the end of each day (quote currency)")
        upper.yaxis.set_major_formatter(_thousands)
        lower.fill_between(days, 0, -100 * equity["drawdown"].to_numpy(), color=VERMILION, alpha=0.55, linewidth=0)
        lower.set_title("Drawdown (%)")
        date_axis(lower)
        return save()


def monthly_returns(equity: pl.DataFrame, *, starting_balance: float, fmt: Format = "svg") -> bytes:
    """Return of each calendar month as a heat map, in percent; the last month may be incomplete."""
    from matplotlib.colors import LinearSegmentedColormap

    table = monthly_table(equity, starting_balance=starting_balance)
    years = sorted(set(table["year"]))
    grid = np.full((len(years), 12), np.nan)
    for year, month, value in table.iter_rows():
        grid[years.index(year), month - 1] = 100 * value
    bound = max(1.0, float(np.nanmax(np.abs(grid))) if table.height else 1.0)
    with figure_of(8.6, 0.9 + 0.42 * max(len(years), 1), fmt) as (figure, save):
        axes = figure.subplots()
        colours = LinearSegmentedColormap.from_list("loss-gain", ["#E8956B", "white", "#6BA9D3"])
        axes.imshow(grid, cmap=colours, vmin=-bound, vmax=bound, aspect="auto")
        axes.grid(visible=False)
        axes.set_xticks(range(12), _MONTHS)
        axes.set_yticks(range(len(years)), [str(year) for year in years])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (row, column), value in np.ndenumerate(grid):
            if not np.isnan(value):
                axes.text(column, row, f"{value:+.1f}", ha="center", va="center", fontsize=9)
        axes.set_title("Monthly returns (%)")
        return save()


def monthly_table(equity: pl.DataFrame, *, starting_balance: float) -> pl.DataFrame:
    """``year``, ``month``, ``return`` (fraction) from a daily equity curve."""
    ends = equity.group_by(year=pl.col("ts").dt.year(), month=pl.col("ts").dt.month()).agg(
        pl.col("equity").sort_by("ts").last()
    )
    before = pl.col("equity").shift(1, fill_value=starting_balance)
    return ends.sort("year", "month").select("year", "month", (pl.col("equity") / before - 1).alias("return"))


def trade_distribution(trades: pl.DataFrame, *, fmt: Format = "svg") -> bytes:
    """How much single trades made, by what ended them; and how many ended how."""
    with figure_of(8.6, 3.0, fmt) as (figure, save):
        left, right = figure.subplots(1, 2, width_ratios=[2.2, 1])
        reasons = [reason for reason in EXIT_COLOURS if reason in set(trades["exit_reason"])]
        reasons += sorted(set(trades["exit_reason"]) - set(reasons))
        groups = [100 * trades.filter(pl.col("exit_reason") == reason)["return"].to_numpy() for reason in reasons]
        colours = [EXIT_COLOURS.get(reason, GREY) for reason in reasons]
        if groups:
            edges = np.histogram_bin_edges(np.concatenate(groups), bins=min(40, max(8, trades.height // 4)))
            labels = [reason.replace("_", " ") for reason in reasons]
            left.hist(groups, bins=edges.tolist(), stacked=True, color=colours, edgecolor="white", lw=0.4)
            mean = float(np.concatenate(groups).mean())
            left.axvline(mean, color=INK, linewidth=1.1, linestyle="--")
            left.annotate(
                f" mean {mean:+.2f}%", (mean, 1), xycoords=("data", "axes fraction"), va="top", fontsize=8, color=INK
            )
            bars = right.barh(labels, [group.size for group in groups], color=colours)
            right.bar_label(bars, padding=3, fontsize=8)
            right.invert_yaxis()
        left.set_title("Return of single trades after costs (%)")
        right.set_title("What ended them")
        right.grid(axis="y", visible=False)
        right.margins(x=0.15)
        return save()


def calibration(
    predictions: pl.DataFrame,
    *,
    required: float | None = None,
    tail: tuple[float, float, float, float] | None = None,
    bins: int = 10,
    fmt: Format = "svg",
) -> bytes:
    """Reliability diagram: predicted probability against the share that did hit the target, with 95 % intervals.

    Parameters
    ----------
    predictions
        ``probability`` and ``label`` (1 is a hit) of the ``predictions`` table; ``raw_probability``, which is drawn
        too where calibration made another one of it.
    required
        From which probability on trades are entered.
    tail
        Of the predictions that are entered on: predicted and observed frequency, and its interval.
    """
    table = reliability(predictions["probability"], predictions["label"], bins=bins)
    with figure_of(4.2, 3.9, fmt) as (figure, save):
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        if table.height:
            predicted, observed = table["predicted"].to_numpy(), table["observed"].to_numpy()
            spread = np.abs(np.vstack([observed - table["low"].to_numpy(), table["high"].to_numpy() - observed]))
            upper.errorbar(predicted, observed, yerr=spread, fmt="o", color=BLUE, markersize=4.5, lw=1, capsize=2)
            ends = [
                min(predicted.min(), table["low"].min()),
                max(predicted.max(), table["high"].max(), required or 0.0, *(tail or ())),
            ]
            if (raw := _raw_points(predictions, bins)) is not None:
                upper.plot(*raw, "x", color=GREY, markersize=5, label="before calibration")
                ends = [min(ends[0], *raw[0], *raw[1]), max(ends[1], *raw[0], *raw[1])]
            upper.plot(ends, ends, color=GREY, linewidth=0.9, linestyle="--", label="perfect")
            lower.hist(predictions["probability"].to_numpy(), bins=40, color=BLUE, alpha=0.75)
        if tail is not None:
            x, y, low, high = tail
            upper.errorbar(
                [x],
                [y],
                yerr=[[y - low], [high - y]],
                fmt="D",
                color=VERMILION,
                markersize=5,
                capsize=2,
                label="entries",
            )
        for axes in (upper, lower) if required is not None else ():
            axes.axvline(required, color=VERMILION, linewidth=1.1, label=f"entry from {required:.3f}")
        upper.legend(fontsize=8, loc="upper left")
        upper.set_title("Calibration: hits observed")
        lower.set_title("Predictions", fontsize=9)
        lower.set_xlabel("predicted probability of take-profit")
        return save()


def _raw_points(predictions: pl.DataFrame, bins: int) -> tuple[list[float], list[float]] | None:
    """Predicted and observed before calibration; None where nothing was calibrated."""
    if "raw_probability" not in predictions.columns:
        return None
    told = predictions.drop_nulls("raw_probability")
    if told.is_empty() or told["raw_probability"].equals(told["probability"].alias("raw_probability")):
        return None
    table = reliability(told["raw_probability"], told["label"], bins=bins)
    return table["predicted"].to_list(), table["observed"].to_list()


def fold_aucs(folds: pl.DataFrame, *, fmt: Format = "svg") -> bytes:
    """Out-of-sample AUC of each walk-forward fold; 0.5 is guessing."""
    with figure_of(4.2, 3.9, fmt) as (figure, save):
        axes = figure.subplots()
        ordered = folds.sort("fold")
        numbers, aucs = ordered["fold"].to_numpy(), ordered["auc"].to_numpy()
        axes.vlines(numbers, 0.5, aucs, color=GREY, linewidth=1.2)
        axes.scatter(numbers, aucs, color=[BLUE if auc >= 0.5 else VERMILION for auc in aucs], zorder=3, s=34)
        axes.axhline(0.5, color=INK, linewidth=0.9, linestyle="--")
        axes.set_xticks(numbers)
        axes.set_title("AUC by fold, out of sample (0.5 is guessing)")
        axes.set_xlabel("fold")
        return save()


def summary_png(equity: pl.DataFrame, *, starting_balance: float, title: str) -> bytes:
    """A small PNG for the Dagster UI: equity with its drawdown."""
    with figure_of(5.6, 2.3, "png", dpi=110) as (figure, save):
        axes = figure.subplots()
        days, curve = equity["ts"].to_numpy(), equity["equity"].to_numpy()
        peak = np.maximum.accumulate(np.maximum(curve, starting_balance))
        axes.fill_between(days, curve, peak, color=VERMILION, alpha=0.30, linewidth=0, label="drawdown")
        axes.plot(days, curve, color=BLUE, linewidth=1.6, label="equity")
        axes.axhline(starting_balance, color=GREY, linewidth=0.9, linestyle="--")
        axes.yaxis.set_major_formatter(_thousands)
        axes.legend(fontsize=8, loc="best")
        axes.set_title(title, fontsize=9)
        date_axis(axes)
        return save()


def _thousands(value: float, _: float) -> str:
    return significant(value, 4)


def date_axis(axes: Axes) -> None:
    """Dates along the bottom, as few words as they need."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


@contextmanager
def figure_of(
    width: float, height: float, fmt: Format, *, dpi: int = 130
) -> Iterator[tuple[Figure, Callable[[], bytes]]]:
    """A figure without pyplot's global state, and what turns it into bytes; the same input gives the same bytes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)

        def save() -> bytes:
            out = io.BytesIO()
            figure.savefig(out, format=fmt, dpi=dpi, metadata={"Date": None} if fmt == "svg" else None)
            return out.getvalue()

        yield figure, save
