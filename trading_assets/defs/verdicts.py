"""What the gates of the data have in common: the windows of a run, the checks it asks for, and how a result reads."""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from trading_assets.defs.partitions import MARKET_MONTHS, Month, Window, cut_to_days, keys_of_run, windows
from trading_assets.defs.present import preview
from trading_assets.settings import Settings


def windows_of_run(context: dg.AssetCheckExecutionContext, settings: Settings) -> list[Window]:
    """The windows of the run's partitions, or the days of them that it fetched; all where a check runs on its own."""
    return cut_to_days(windows(keys_of_run(context.run.tags, MARKET_MONTHS), settings), context.run.tags)


def selected(context: dg.AssetCheckExecutionContext) -> list[str]:
    """The checks that the run asks for: all of a group, or those picked in the UI."""
    return sorted(key.name for key in context.selected_asset_check_keys)


def of_month(frame: pl.DataFrame, month: Month) -> pl.DataFrame:
    """The rows whose ``ts`` lies in a month."""
    return frame.filter((pl.col("ts") >= month.start) & (pl.col("ts") < month.end))


def verdict(
    asset: str,
    name: str,
    bad_partitions: Sequence[str],
    examples: pl.DataFrame,
    *,
    good: str,
    bad: str,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """A check's result: the bad partitions in the metadata, the reason and the next step in the description."""
    shown = {"examples": preview(examples, rows=10)} if examples.height else {}
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=not bad_partitions,
        severity=severity,
        description=f"{'; '.join(bad_partitions[:12])}: {bad}" if bad_partitions else good,
        metadata={
            "bad_partitions": list(bad_partitions),
            "bad_partition_count": len(bad_partitions),
            **shown,
        },
    )
