"""One bad month blocks no other: the months that a failed run of a range leaves, since nothing is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg
import polars as pl

from trading_assets.core.errors import StoreError
from trading_assets.defs.lib.check_states import bad_parts, passed_here
from trading_assets.defs.lib.partitions import LAUNCHED_BY_TAG, Month, Partitions, Window, keys_of_run, windows
from trading_assets.settings import Settings
from trading_assets.store import configured_store
from trading_assets.store.tables import CANDLE_GAPS, CANDLES


def months_left(instance: dg.DagsterInstance, run: dg.DagsterRun, settings: Settings) -> list[Window]:
    """The ranges of months that a failed run may be repeated for: all but those that stopped it.

    None where no month is to blame, and none of a run of the command line, which goes on with them itself.
    """
    if LAUNCHED_BY_TAG in run.tags and run.parent_run_id is None:
        return []
    keys = set(keys_of_run(run.tags, Partitions.of(settings).market_months))
    bad = keys & (blocked(instance, run) or _unfinished(instance, run, windows(keys, settings), settings))
    return windows(keys - bad, settings) if bad else []


def blocked(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str]:
    """The partition keys at which checks stopped a run."""
    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [entry.dagster_event.event_specific_data for entry in entries if entry.dagster_event is not None]
    return {
        part
        for check in found
        if isinstance(check, dg.AssetCheckEvaluation)
        and check.severity is dg.AssetCheckSeverity.ERROR
        and not passed_here(check)
        for part in bad_parts({name: value.value for name, value in check.metadata.items()})
    }


def unfetched(settings: Settings, market: str, months: Iterable[Month]) -> set[str]:
    """The keys of months that a failed fetch has left unfinished; none where nothing of the market is stored."""
    where = {"market": market, "timeframe": settings.markets[market].timeframe}
    try:
        store = configured_store(settings)
        if store.bounds(CANDLES, where=where) is None:
            return set()
        failed = store.read(CANDLE_GAPS, where=where).filter(pl.col("reason") == "fetch_failure")
    except StoreError:
        return set()
    return {
        month.key
        for month in months
        if not failed.filter((pl.col("ts") < month.end) & (pl.col("end") > month.start)).is_empty()
    }


def _unfinished(
    instance: dg.DagsterInstance, run: dg.DagsterRun, found: Iterable[Window], settings: Settings
) -> set[str]:
    """The months that are to blame where the fetch of candles itself has failed."""
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    if CANDLES.name not in {entry.step_key for entry in failures}:
        return set()
    return {key for window in found for key in unfetched(settings, window.market, window.months)}
