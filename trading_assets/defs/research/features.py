"""Features: indicators of every bar on the timeframes that models name, by the function that the node calls too."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import dagster as dg
import numpy as np
import polars as pl

from trading_assets.core.errors import MissingCandles
from trading_assets.core.timeframes import Timeframe
from trading_assets.defs.lib.freshness import freshness_policy
from trading_assets.defs.lib.metadata import RESEARCH_TEAM, asset_metadata, describe_partitions, origin_tags
from trading_assets.defs.lib.partitions import Partitions, Window, look_back, windows
from trading_assets.defs.lib.recomputed_rows import bar_start, made_anew, resume_at
from trading_assets.defs.sql_models.bars import FOLLOWS_DATA
from trading_assets.features import FeatureSet, compute, feature_names, fingerprint, lookback_bars, registry, select
from trading_assets.features.framework.auxiliary_series import COMPANIONS, join
from trading_assets.features.framework.stored_series import read_companions
from trading_assets.settings import Settings
from trading_assets.settings.demand import (
    asked_timeframes,
    feature_timeframes_of,
    features_of,
    second_exchange_of,
)
from trading_assets.store.contract import Store
from trading_assets.store.tables import BARS, FEATURES, FUNDING_RATES, Table

_FUNDING_REACH = COMPANIONS["funding"].max_age + timedelta(days=1)
_ON_ITS_WAY = timedelta(days=1)
"""So much later than a market's newest bar its leader's may come."""


def _chosen(timeframe: Timeframe, settings: Settings) -> list[FeatureSet]:
    """What is computed on a timeframe, for each market that has it."""
    markets = [market for market in settings.markets if timeframe in feature_timeframes_of(settings, market)]
    return [select(features_of(settings, market, timeframe), timeframe, settings.plugged) for market in markets]


def code_version(settings: Settings) -> str:
    """Of the code, and of what models ask for: a month made for other timeframes or features lacks rows or columns."""
    asked = {
        market: {one.name: features_of(settings, market, one) for one in feature_timeframes_of(settings, market)}
        for market in settings.markets
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
    names = {
        name
        for market in settings.markets
        for one in feature_timeframes_of(settings, market)
        for name in feature_names(one, asked[market][one.name], settings.plugged)
    }
    led = f" led by {settings.features.leader}" if settings.features.leader else ""
    beside = "".join(f" {one} beside {other}" for one, other in _beside(settings).items())
    return f"{fingerprint(names, settings.plugged)[:12]} for {digest}{led}{beside}"


def _beside(settings: Settings) -> dict[str, str]:
    """Market -> its second exchange, of the markets whose features read it."""
    seconds = {market: second_exchange_of(settings, market) for market in settings.markets}
    return {market: second for market, second in seconds.items() if second is not None}


def features_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the markets, months and timeframes of a project."""
    leader, plugins = settings.features.leader, settings.plugged
    beside = _beside(settings)
    chosen = {one: sets for one in asked_timeframes(settings) if (sets := _chosen(one, settings))}
    timeframes = list(chosen)  # none where rules alone trade
    reaches = {one: max(each.lookback for each in sets) for one, sets in chosen.items()}
    read = {one: {name for each in sets for name in each.companions} for one, sets in chosen.items()}
    funded = [reaches[one] for one in timeframes if "funding" in read[one]]
    found = {name: feature for one in timeframes for name, feature in registry(one, plugins).items()}
    return dg.asset(
        deps=[
            *(
                dg.AssetDep(
                    BARS[one.name].name,
                    partition_mapping=look_back(
                        reaches[one],
                        leader=leader if "leader" in read[one] else None,
                        markets=settings.markets,
                        beside=beside,
                    ),
                )
                for one in timeframes
            ),
            *(
                dg.AssetDep(FUNDING_RATES.name, partition_mapping=look_back(max(funded) + _FUNDING_REACH))
                for _ in funded[:1]
            ),
        ],
        group_name="features",
        owners=[RESEARCH_TEAM],
        kinds={"polars", "duckdb"},
        tags=origin_tags(settings),
        code_version=code_version(settings),
        metadata={
            **asset_metadata(FEATURES, features=found),
            "timeframes": ", ".join(map(str, timeframes)),
            "features": len({name for one in timeframes for name in feature_names(one, plugins=plugins)}),
            "lookback_bars": max((lookback_bars(one, plugins=plugins) for one in timeframes), default=0),
        },
        partitions_def=Partitions.of(settings).market_months,
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=FOLLOWS_DATA,
        freshness_policy=freshness_policy(settings),
    )(features)


def features(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.MaterializeResult[None]:
    """Indicators of each bar of the timeframes that models name; null where funding and the like are not stored."""
    parts, unknown = [], {}
    for window in windows(context.partition_keys, settings):
        rows, share = write_features(store, window, settings)
        if share:
            context.log.warning(f"{window.market}: no bar of its leader beside {share:.1%} of its bars")
            unknown[f"{window.keys[0]} to {window.keys[-1]}"] = share
        parts.append((window, rows))
    said = {"without_leader": unknown} if unknown else {}
    return dg.MaterializeResult(metadata=describe_partitions(context, FEATURES, parts) | said)


def write_features(store: Store, window: Window, settings: Settings) -> tuple[pl.DataFrame, float]:
    """Make the features of one window anew; its rows, and the share of bars beside which no leader's bar is known.

    Of several timeframes, the largest share.
    """
    made = [_write(store, window, settings, timeframe) for timeframe in feature_timeframes_of(settings, window.market)]
    if not made:
        return pl.DataFrame(schema=FEATURES.columns), 0.0
    return pl.concat((rows for rows, _ in made), how="diagonal"), max(share for _, share in made)


def _write(store: Store, window: Window, settings: Settings, timeframe: Timeframe) -> tuple[pl.DataFrame, float]:
    market, where, table = window.market, {"market": window.market}, BARS[timeframe.name]
    chosen = features_of(settings, market, timeframe)
    start = bar_start(resume_at(store, settings, market, window.start), timeframe.length)
    needed = lookback_bars(timeframe, chosen, settings.plugged)
    before = store.tail(table, where=where, before=start, rows=needed - 1)
    before = before.filter(pl.col("ts") >= settings.history_start)
    own = store.read(table, where=where, start=start, end=window.end)
    bars = pl.concat([before, own])
    first = bars["ts"][0] if bars.height else start
    read = select(chosen, timeframe, settings.plugged).companions
    leader = settings.features.leader if "leader" in read else None
    second = second_exchange_of(settings, market)
    known = read_companions(
        store,
        market,
        timeframe=timeframe,
        start=first,
        end=window.end,
        leader=leader,
        second_exchange=second,
        names=read,
    )
    share = _without_leader(store, window, own, known, leader, table)
    if second is not None and "second_exchange" not in known and own.height:
        _refuse_absent(store, window, own, second, table, "second_exchange")
    rows = compute(bars, known, timeframe=timeframe, features=chosen, plugins=settings.plugged).filter(
        pl.col("ts") >= start
    )
    for other in (leader, second):
        if (awaited := _behind(store, own, market, other, table)) is not None:
            rows = rows.filter(pl.col("known_at") <= awaited)
    since, until = made_anew(window, settings, start, window.end)
    rows = rows.with_columns(timeframe=pl.lit(timeframe.name))
    store.replace(FEATURES, rows, where={**where, "timeframe": timeframe.name}, start=since, end=until)
    return rows, share


def _behind(store: Store, bars: pl.DataFrame, market: str, other: str | None, table: Table) -> datetime | None:
    """The end of another market's newest bar where those beside the market's newest ones are still on their way.

    Two runs of one hour promise no order. A row whose leader is to come would say that it stood still; it is written by
    the next run. Where the other is behind for longer, what is missing is null.
    """
    if other in (None, market) or bars.is_empty():
        return None
    newest = store.tail(table, where={"market": str(other)}, before=bars["known_at"][-1], rows=1)
    if newest.is_empty():
        return None
    known: datetime = newest["known_at"][0]
    behind: timedelta = bars["known_at"][-1] - known
    return known if timedelta(0) < behind <= _ON_ITS_WAY else None


def _without_leader(
    store: Store,
    window: Window,
    bars: pl.DataFrame,
    known: Mapping[str, pl.DataFrame],
    leader: str | None,
    table: Table,
) -> float:
    """The share of a window's bars beside which no bar of the leader is known.

    Raises
    ------
    MissingCandles
        If there is none beside any of them, although the leader traded before they end, as far as the store knows.
    """
    if leader in (None, window.market) or bars.is_empty():
        return 0.0
    if "leader" in known:
        return float(np.isnan(join(bars, {"leader": known["leader"]})["leader.close"]).mean())
    _refuse_absent(store, window, bars, str(leader), table, "leader")
    return 1.0  # the leader was listed later


def _refuse_absent(store: Store, window: Window, bars: pl.DataFrame, other: str, table: Table, what: str) -> None:
    """Refuse a window beside which another market has no bars, although it traded before its end."""
    stored = store.bounds(table, where={"market": other})
    if stored is None or stored[0] < window.end:
        raise MissingCandles(
            f"its {what} {other} has no bars from {bars['ts'][0]:%Y-%m-%d} to {bars['ts'][-1]:%Y-%m-%d}",
            where=window.market,
            remedy=f"run trading backfill --market {other} for these months first",
        )
