"""What the gates of the data have in common: the windows of a run, the checks it asks for, and how a result reads."""

from collections import Counter
from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from trading_assets.defs.lib.check_states import BAD_PARTS, PASSED_HERE, Judged, owner, with_open_problems
from trading_assets.defs.lib.metadata import preview
from trading_assets.defs.lib.partitions import Month, Partitions, Window, cut_to_days, keys_of_run, windows
from trading_assets.settings import Settings
from trading_assets.store.contract import Store

_SHOWN = 12


def windows_of_run(
    context: dg.AssetCheckExecutionContext, settings: Settings, store: Store, asset: str
) -> list[Window]:
    """The windows of the run's partitions, or the days of them that it fetched; all where a check runs on its own."""
    found = cut_to_days(
        windows(keys_of_run(context.run.tags, Partitions.of(settings).market_months), settings), context.run.tags
    )
    return with_open_problems(store, asset, found)


def selected(context: dg.AssetCheckExecutionContext) -> list[str]:
    """The checks that the run asks for: all of a group, or those picked in the UI."""
    return sorted(key.name for key in context.selected_asset_check_keys)


def of_month(frame: pl.DataFrame, month: Month) -> pl.DataFrame:
    """The rows whose ``ts`` lies in a month."""
    return frame.filter((pl.col("ts") >= month.start) & (pl.col("ts") < month.end))


def verdict(
    asset: str,
    name: str,
    judged: Sequence[Judged],
    examples: pl.DataFrame,
    *,
    others: Mapping[str, str],
    good: str,
    bad: str,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """A check's result: the bad parts in the metadata, the reason and the next step in the description.

    A run whose own parts pass goes on, but its result is a warning, not a pass, as long as another market or model of
    the settings fails (``others``: part -> problem): the page of a check shows its newest result alone.
    """
    problems = [f"{one.part}: {one.problem}" for one in judged if one.problem]
    told = [f"{part}: {problem}" for part, problem in others.items()]
    said = f"{'; '.join(problems[:_SHOWN])}: {bad}" if problems else good
    if told:
        said += f". Other runs found: {'; '.join(told[:_SHOWN])}" + (f": {bad}" if not problems else "")
    checked = dict.fromkeys(owner(one.part) for one in judged)
    failing = Counter(owner(one.part) for one in judged if one.problem)
    shown = {"examples": preview(examples, rows=10)} if examples.height else {}
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=not problems and not told,
        severity=severity if problems else dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={
            PASSED_HERE: not problems,
            BAD_PARTS: problems,
            "bad_elsewhere": told,
            **{f"bad_partitions of {market}": failing[market] for market in checked},
            **shown,
        },
    )
