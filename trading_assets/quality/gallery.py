"""Pictures of what each candle check catches, for the docs: ``python -m trading_assets.quality.gallery CANDLES_DIR``.

Drawn on recorded Binance candles. Where they hold a real example, it is shown; else one fault is put into a real
stretch, and the picture says so. The sentence above each picture is what the check says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from trading_assets.core.candles import CANDLE_COLUMNS, PRICES, timeframe_delta
from trading_assets.quality.checks import CANDLE_CHECKS, Stretch, inspect
from trading_assets.quality.finding import Finding
from trading_assets.settings import PROJECT_ROOT
from trading_assets.settings.sections.quality import QualitySettings
from trading_assets.store.tables import CANDLE_GAPS

FOLDER: Final = PROJECT_ROOT / "docs" / "images" / "quality"
SPOT, PERPETUAL, COARSE = "binance_BTC-USDT_1m", "binance_BTC-USDT_USDT_1m", "binance_XRP-USDT_15m"

Edit = Callable[[pl.DataFrame], pl.DataFrame]
_ROW: Final = pl.int_range(pl.len())


@dataclass(frozen=True, slots=True)
class Example:
    """One picture.

    Attributes
    ----------
    check
        The check that finds it.
    file
        The recorded candles, by the name of their file.
    first, rows
        The stretch that is judged.
    fault
        What was put into it, for people; empty for a real example.
    edit
        Puts the fault in.
    limits
        Settings under ``quality`` other than the defaults.
    shown
        How many rows around the finding are drawn; 0 for all.
    """

    check: str
    file: str
    first: int
    rows: int
    fault: str = ""
    edit: Edit = lambda frame: frame
    limits: dict[str, dict[str, float]] | None = None
    shown: int = 90


def _times(rows: pl.Expr, factor: float, *columns: str) -> Edit:
    return lambda f: f.with_columns(
        pl.when(rows).then(pl.col(name) * factor).otherwise(name).alias(name) for name in columns
    )


def _stand_still(frame: pl.DataFrame) -> pl.DataFrame:
    price = frame["close"][2999]
    inside = _ROW.is_between(3000, 3044)
    return frame.with_columns(pl.when(inside).then(pl.lit(price)).otherwise(name).alias(name) for name in PRICES)


_RUN = _ROW.is_between(3000, 3074)
EXAMPLES: Final = (
    Example("candle_schema", SPOT, 0, 6000, "one negative low", _times(_ROW == 3000, -1, "low")),
    Example("no_duplicates", SPOT, 0, 6000, "one doubled row", lambda f: pl.concat([f, f[3000:3001]]).sort("ts")),
    Example("ohlc_consistency", SPOT, 0, 6000, "one high set too low", _times(_ROW == 3000, 0.997, "high")),
    Example(
        "monotone_time",
        SPOT,
        0,
        6000,
        "one bar 20 s late",
        lambda f: f.with_columns(ts=pl.when(_ROW == 3000).then(pl.col("ts") + timedelta(seconds=20)).otherwise("ts")),
        shown=30,
    ),
    Example(
        "gap_share", SPOT, 0, 6000, "three hours taken out", lambda f: f.filter(~_ROW.is_between(3000, 3179)), shown=500
    ),
    Example("clock_skew", SPOT, 0, 3000, "the clock set back by 150 s", shown=60),
    Example("frozen_prices", SPOT, 0, 6000, "45 bars of one price", _stand_still, shown=150),
    Example("outliers", COARSE, 20500, 3000, "", limits={"outliers": {"max_z": 35.0}}, shown=120),
    Example("level_step", SPOT, 0, 6000, "ten old coins are one new one", _times(_ROW >= 3000, 10, *PRICES)),
    Example("zero_volume", SPOT, 0, 6000, "75 bars without volume", _times(_RUN, 0, "volume"), shown=200),
    Example(
        "volume_unit",
        SPOT,
        0,
        8640,
        "volumes in contracts of 0.01 BTC from here on",
        _times(_ROW >= 4320, 100, "volume"),
        shown=0,
    ),
    Example("second_exchange", SPOT, 0, 20000, "", limits={"second_exchange": {"max_bps": 7.0}}, shown=240),
    Example("freshness", SPOT, 0, 3000, "four hours without a new candle", shown=300),
)


def load(folder: Path, name: str) -> pl.DataFrame:
    """Recorded candles as rows of the ``candles`` table."""
    frame = pl.read_parquet(folder / f"{name}.parquet").with_columns(market=pl.format("{}:{}", "exchange", "symbol"))
    return frame.select(pl.col(name).cast(dtype) for name, dtype in CANDLE_COLUMNS.items()).sort("ts")


def judge(example: Example, folder: Path) -> tuple[Stretch, Finding]:
    """Build the example's stretch and let its check look at it."""
    candles = example.edit(load(folder, example.file).slice(example.first, example.rows))
    timeframe = str(candles["timeframe"][0])
    first, newest = candles["ts"][0], candles["ts"].max()
    assert isinstance(newest, datetime)
    end = newest + timeframe_delta(timeframe)
    stretch = Stretch(
        market=candles["market"][0],
        timeframe=timeframe,
        candles=candles,
        months=((first, end),),
        listed=first,
        now=end,
        ledger=pl.DataFrame(schema=CANDLE_GAPS.columns),
    )
    if example.check == "clock_skew":
        stretch = replace(stretch, now=end - timedelta(seconds=150))
    if example.check == "freshness":
        stretch = replace(stretch, now=end + timedelta(hours=4), months=((first, end + timedelta(days=1)),))
    if example.check == "second_exchange":
        second = load(folder, PERPETUAL)
        stretch = replace(stretch, second=second.select("ts", "close"), second_name=second["market"][0])
    quality = QualitySettings.model_validate(example.limits or {})
    return stretch, inspect(stretch, quality, [example.check])[example.check]


def draw(example: Example, stretch: Stretch, finding: Finding) -> bytes:
    """The stretch around the finding as a PNG: highs, lows and closes above, volumes below, what was found in red."""
    import io

    from matplotlib.figure import Figure

    shown = _around(stretch.candles, finding.rows["ts"][0], example)
    bar = timeframe_delta(stretch.timeframe)
    figure = Figure(figsize=(8, 3.6), dpi=80, layout="constrained")
    prices, volumes = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    times = shown["ts"].to_list()
    prices.vlines(times, shown["low"].to_list(), shown["high"].to_list(), color="#9aa7b5", lw=1)
    prices.plot(times, shown["close"].to_list(), ".-", color="#1f4e79", lw=0.8, ms=2)
    volumes.bar(times, shown["volume"].to_list(), width=times[1] - times[0], color="#9aa7b5")
    if stretch.second is not None:
        other = stretch.second.filter(pl.col("ts").is_between(times[0], times[-1]))
        prices.plot(other["ts"].to_list(), other["close"].to_list(), color="#c77d0a", lw=0.9, label=stretch.second_name)
        prices.legend(loc="best", fontsize=8)
    for begin, stop in _spans(example, stretch, finding, bar):
        for axes in (prices, volumes):
            axes.axvspan(begin, stop, color="#c0392b", alpha=0.35, lw=0)
    if example.check == "volume_unit":
        volumes.set_yscale("log")
    origin = f"fault put in: {example.fault}" if example.fault else "a real example"
    prices.set_title(f"{stretch.market} {stretch.timeframe}, {origin}", fontsize=9, loc="left")
    figure.suptitle(f"{example.check}: {finding.summary()}", fontsize=9, x=0.01, ha="left", wrap=True)
    prices.tick_params(labelsize=8)
    volumes.tick_params(labelsize=7)
    volumes.set_ylabel("volume", fontsize=8)
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None}, pil_kwargs={"optimize": True})
    return image.getvalue()


def _around(candles: pl.DataFrame, at: datetime, example: Example) -> pl.DataFrame:
    if not example.shown:
        return candles.gather_every(10)
    if example.check == "gap_share":  # its row is a month: the gap itself is more telling
        at = candles["ts"][int(candles["ts"].diff().arg_max() or 0)]
    middle = int(candles["ts"].search_sorted(at))
    return candles.slice(max(0, middle - example.shown // 2), example.shown)


def _spans(example: Example, stretch: Stretch, finding: Finding, bar: timedelta) -> list[tuple[datetime, datetime]]:
    candles = stretch.candles
    if example.check == "gap_share":
        after = int(candles["ts"].diff().arg_max() or 0)
        return [(candles["ts"][after - 1] + bar, candles["ts"][after])]
    if example.check == "freshness":
        return [(candles["ts"][-1] + bar, stretch.now)]
    if example.check == "volume_unit":
        return [(begin, begin + timedelta(hours=2)) for begin in finding.rows["ts"]]
    ends = finding.rows["end"] if "end" in finding.rows.columns else finding.rows["ts"]
    return [(begin - bar / 2, stop + bar / 2) for begin, stop in zip(finding.rows["ts"], ends, strict=True)]


def main(folder: Path) -> None:
    """Draw every example, and print what each check says as a table in Markdown."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for example in EXAMPLES:
        stretch, finding = judge(example, folder)
        (FOLDER / f"{example.check}.png").write_bytes(draw(example, stretch, finding))
        sys.stdout.write(f"| `{example.check}` | {finding.summary()} | {CANDLE_CHECKS[example.check].remedy} |\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m trading_assets.quality.gallery", description=__doc__)
    parser.add_argument("candles", type=Path, help="the folder of recorded candles (Parquet)")
    main(parser.parse_args().candles)
